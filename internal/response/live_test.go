package response

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// overEach runs a test in a bubble for each protocol.
func overEach(t *testing.T, test func(t *testing.T, protocol string)) {
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, protocol) })
		})
	}
}

func TestLiveSendsHeaderAndWritesAtOnce(t *testing.T) {
	for kind, header := range map[string]http.Header{"a stream": stream(), "an answer of unknown length": chunked()} {
		t.Run(kind, func(t *testing.T) {
			overEach(t, func(t *testing.T, protocol string) {
				s := serve(protocol, passed(header, time.Hour, func(w http.ResponseWriter) {
					time.Sleep(time.Second)
					io.WriteString(w, "data: a\n\n")
					time.Sleep(time.Second)
					w.(io.ReaderFrom).ReadFrom(io.MultiReader(strings.NewReader("data: b\n\n"), slow{}))
				})).start()
				defer s.stop()
				start := time.Now()
				at := func(what string, want time.Duration) {
					if got := time.Since(start); got != want {
						t.Errorf("%s came after %v, want %v", what, got, want)
					}
				}
				response := s.get(t, t.Context())
				at("the header", 0)
				if got := read(t, response); got != "data: a\n\n" {
					t.Errorf("read %q", got)
				}
				at("the first write", time.Second)
				if got := read(t, response); got != "data: b\n\n" {
					t.Errorf("read %q", got)
				}
				at("what was copied", 2*time.Second)
				io.Copy(io.Discard, response.Body)
			})
		})
	}
}

// slow is the body of an answer that ends after a while.
type slow struct{}

func (slow) Read([]byte) (int, error) {
	time.Sleep(time.Minute)
	return 0, io.EOF
}

func TestLiveWriteFailsAfterHalfMinuteWithoutReader(t *testing.T) {
	overEach(t, func(t *testing.T, protocol string) {
		var took time.Duration
		var failed error
		s := serve(protocol, passed(chunked(), 0, func(w http.ResponseWriter) {
			for start := time.Now(); failed == nil; took = time.Since(start) {
				_, failed = w.Write(make([]byte, 1<<20))
			}
		})).start()
		response := s.get(t, t.Context())
		time.Sleep(time.Minute)
		response.Body.Close()
		s.stop()
		synctest.Wait()
		if failed == nil || took != writeTimeout {
			t.Errorf("the write took %v and returned %v", took, failed)
		}
	})
}

func TestLiveKeepsOperatorsShorterLimitPerWrite(t *testing.T) {
	for name, test := range map[string]struct {
		idle, whole, want time.Duration
	}{
		"on single writes":                  {idle: 4 * time.Second, want: 4 * time.Second},
		"on whole answers":                  {whole: 5 * time.Second, want: 5 * time.Second},
		"the shorter one":                   {idle: 4 * time.Second, whole: 3 * time.Second, want: 3 * time.Second},
		"none is shorter than parker's":     {idle: time.Minute, whole: time.Hour, want: writeTimeout},
		"there is none, so parker's counts": {want: writeTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, r := newMemory(), get()
				var had time.Duration
				m.accept = func() error {
					had = time.Until(m.deadline)
					return nil
				}
				ctx := context.WithValue(r.Context(), caddyhttp.ServerCtxKey, &caddyhttp.Server{WriteTimeout: caddy.Duration(test.whole)})
				var client http.ResponseWriter = m
				if test.idle > 0 {
					writer := &caddyhttp.IdleTimeoutWriter{
						ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: m},
						Ctrl:                  http.NewResponseController(m),
						Deadline:              caddyhttp.IdleDeadline{Start: time.Now(), Timeout: test.idle},
						Logger:                zap.NewNop(),
					}
					client, ctx = writer, caddyhttp.ContextWithIdleTimeouts(ctx, nil, writer)
				}
				pass(client, r.WithContext(ctx), chunked(), 0, func(w http.ResponseWriter) {
					time.Sleep(time.Minute)
					io.WriteString(w, "late")
				})
				if had != test.want {
					t.Errorf("the write had %v, want %v", had, test.want)
				}
			})
		})
	}
}

func TestLiveGivesUpUnreadHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failed error
		var took time.Duration
		s := serve("HTTP 1.1", func(client http.ResponseWriter, r *http.Request) {
			start := time.Now()
			pass(client, r, stream(), interval, func(http.ResponseWriter) { <-r.Context().Done() })
			took, failed = time.Since(start), r.Context().Err()
		})
		go s.server.Serve(s)
		client, server := net.Pipe()
		s.conns <- server
		io.WriteString(client, "GET / HTTP/1.1\r\nHost: site.test\r\n\r\n")
		client.Read(make([]byte, 4096)) // the header, and then nothing
		time.Sleep(time.Minute)
		client.Close()
		s.stop()
		synctest.Wait()
		if failed == nil || took != interval+writeTimeout {
			t.Errorf("the request ended after %v by %v", took, failed)
		}
	})
}

func TestLiveWritesLargeDataToSlowReader(t *testing.T) {
	overEach(t, func(t *testing.T, protocol string) {
		large := bytes.Repeat([]byte("0123456789abcdef"), 1<<15)
		s := serve(protocol, passed(chunked(), 0, func(w http.ResponseWriter) {
			if n, err := w.Write(large); n != len(large) || err != nil {
				t.Errorf("wrote %d, %v", n, err)
			}
		})).start()
		defer s.stop()
		response := s.get(t, t.Context())
		var got bytes.Buffer
		for {
			n, err := io.CopyN(&got, response.Body, 32<<10)
			if n < 32<<10 || err != nil {
				break
			}
			time.Sleep(10 * time.Second)
		}
		if !bytes.Equal(got.Bytes(), large) {
			t.Errorf("read %d bytes of %d", got.Len(), len(large))
		}
	})
}

// limited limits the writes of a request in each way that Caddy's server has.
func limited(handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		writer := &caddyhttp.IdleTimeoutWriter{
			ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w},
			Ctrl:                  http.NewResponseController(w),
			Deadline:              limits(),
			Logger:                zap.NewNop(),
			ClearBetweenWrites:    r.ProtoMajor == 2,
		}
		defer writer.HandlerDone()
		handler(writer, r.WithContext(caddyhttp.ContextWithIdleTimeouts(r.Context(), nil, writer)))
	}
}

func limits() caddyhttp.IdleDeadline {
	return caddyhttp.IdleDeadline{Start: time.Now(), Timeout: 4 * time.Second, MinRate: 100, HardDeadline: time.Now().Add(5 * time.Second)}
}

func TestLiveOutlivesTimeLimits(t *testing.T) {
	for kind, header := range map[string]http.Header{"a stream": stream(), "an answer of unknown length": chunked()} {
		t.Run(kind, func(t *testing.T) {
			overEach(t, func(t *testing.T, protocol string) {
				s := serve(protocol, limited(passed(header, 0, func(w http.ResponseWriter) {
					for range 10 {
						time.Sleep(time.Minute)
						io.WriteString(w, ".")
					}
				})))
				s.server.ReadTimeout, s.server.WriteTimeout = 5*time.Second, 5*time.Second
				s.start()
				defer s.stop()
				body, err := io.ReadAll(s.get(t, t.Context()).Body)
				if string(body) != ".........." || err != nil {
					t.Errorf("read %q, %v", body, err)
				}
			})
		})
	}
}

func TestLiveCloseRestoresLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		writer := &caddyhttp.IdleTimeoutWriter{
			ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: m},
			Ctrl:                  http.NewResponseController(m),
			Deadline:              limits(),
			Logger:                zap.NewNop(),
		}
		r := get()
		r = r.WithContext(caddyhttp.ContextWithIdleTimeouts(r.Context(), nil, writer))
		before := writer.Deadline.HardDeadline
		pass(writer, r, stream(), interval, func(http.ResponseWriter) { time.Sleep(time.Minute) })
		if d := writer.Deadline; d.Timeout != 4*time.Second || d.MinRate != 100 || !d.HardDeadline.Equal(before.Add(time.Minute)) {
			t.Errorf("afterwards the limits are %+v", d)
		}
	})
}

func TestLiveCloseLeavesNoDeadline(t *testing.T) {
	overEach(t, func(t *testing.T, protocol string) {
		s := serve(protocol, func(client http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Second") != "" {
				time.Sleep(time.Hour)
				io.WriteString(client, "second")
				return
			}
			pass(client, r, chunked(), 0, acts(act{0, "first"}))
		}).start()
		defer s.stop()
		io.Copy(io.Discard, s.get(t, t.Context()).Body)
		request, _ := http.NewRequest(http.MethodGet, "http://site.test/", nil)
		request.Header.Set("Second", "1")
		response, err := s.transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(response.Body); string(body) != "second" || err != nil {
			t.Errorf("read %q, %v", body, err)
		}
	})
}

func TestLiveKeepsDeadlineOfRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		var during []time.Duration
		m.accept = func() error {
			during = append(during, time.Until(m.deadline))
			return nil
		}
		pass(m, get(), chunked(), 0, func(w http.ResponseWriter) {
			io.WriteString(w, "a")
			if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
				t.Error(err)
			}
			io.WriteString(w, "b")
			if left := time.Until(m.deadline); left != time.Second {
				t.Errorf("after the write, the deadline is in %v", left)
			}
		})
		if during[0] != writeTimeout || during[1] != time.Second {
			t.Errorf("the writes had %v", during)
		}
	})
}

func TestLivePassesTrailers(t *testing.T) {
	for kind, announced := range map[string]bool{"announced": true, "not announced": false} {
		t.Run(kind, func(t *testing.T) {
			overEach(t, func(t *testing.T, protocol string) {
				header, name := stream(), http.TrailerPrefix+"Sum"
				if announced {
					header["Trailer"], name = []string{"Sum"}, "Sum"
				}
				s := serve(protocol, passed(header, interval, func(w http.ResponseWriter) {
					io.WriteString(w, "data: a\n\n")
					time.Sleep(time.Minute)
					w.Header().Set(name, "7")
				})).start()
				defer s.stop()
				response := s.get(t, t.Context())
				io.Copy(io.Discard, response.Body)
				if got := response.Trailer.Get("Sum"); got != "7" {
					t.Errorf("the trailer is %q, of %v", got, response.Trailer)
				}
			})
		})
	}
}

func TestLiveWriteFailsWhenClientLeaves(t *testing.T) {
	overEach(t, func(t *testing.T, protocol string) {
		var failed error
		s := serve(protocol, passed(stream(), interval, func(w http.ResponseWriter) {
			for failed == nil {
				time.Sleep(time.Second)
				_, failed = io.WriteString(w, "data: a\n\n")
			}
		})).start()
		ctx, leave := context.WithCancel(t.Context())
		read(t, s.get(t, ctx))
		leave()
		time.Sleep(5 * time.Second)
		s.stop()
		synctest.Wait()
		if failed == nil || errors.Is(failed, os.ErrDeadlineExceeded) {
			t.Errorf("writing ended by %v", failed)
		}
	})
}

func TestLivePassesInformationalAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.header = stream()
		w := attend(m, http.MethodGet, http.StatusOK, interval)
		defer w.Close()
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusOK)
		if got := m.got(); len(got) != 1 || got[0] != "0s 103200" {
			t.Errorf("the client got %q", got)
		}
	})
}

func TestLiveLeavesTypeDetectionToServer(t *testing.T) {
	overEach(t, func(t *testing.T, protocol string) {
		s := serve(protocol, passed(http.Header{"Via": {"1.1 Caddy"}}, interval, acts(act{time.Second, "<html>"}))).start()
		defer s.stop()
		response := s.get(t, t.Context())
		if got := response.Header.Get("Content-Type"); got != "text/html; charset=utf-8" {
			t.Errorf("the type is %q", got)
		}
		io.Copy(io.Discard, response.Body)
	})
}

func TestLiveHijackEndsHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var complaints bytes.Buffer
		s := serve("HTTP 1.1", passed(stream(), interval, func(w http.ResponseWriter) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			time.Sleep(time.Hour)
			io.WriteString(conn, "5\r\nhello\r\n0\r\n\r\n")
			conn.Close()
		}))
		s.server.ErrorLog = log.New(&complaints, "", 0)
		s.start()
		defer s.stop()
		if body, err := io.ReadAll(s.get(t, t.Context()).Body); string(body) != "hello" || err != nil {
			t.Errorf("read %q, %v", body, err)
		}
		if complaints.Len() > 0 {
			t.Errorf("the server logged %q", &complaints)
		}
	})
}
