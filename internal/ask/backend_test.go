package ask

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/delay"
	"github.com/caddy-parker/parker/internal/response"
)

type route = caddyhttp.HandlerFunc

// impatience is the time after which an answer streams that has not ended.
const impatience = 250 * time.Millisecond

// patience returns a Patience for one test, because its timer belongs to a bubble.
func patience() Patience { return Patience{Bytes: 10, Time: delay.New(impatience)} }

// walk is an observer. Its fields may be nil.
type walk struct {
	patience Patience
	keep     func(status int, header http.Header, start []byte) bool
	stream   func(status int) bool
	attend   func(header http.Header)
}

func (w walk) Patience() Patience {
	if w.patience == (Patience{}) {
		return patience()
	}
	return w.patience
}

func (w walk) Header(int, http.Header) {}

func (w walk) Keep(status int, header http.Header, start []byte) bool {
	return w.keep(status, header, start)
}

func (w walk) Stream(status int, _ Reason) bool { return w.stream == nil || w.stream(status) }

func (w walk) Attend(client http.ResponseWriter, _ int) *response.Live {
	if w.attend != nil {
		w.attend(client.Header())
	}
	return nil
}

// sendTo sends q through the route, and keeps at most 10 bytes of the answer.
func sendTo(t *testing.T, client http.ResponseWriter, q *Request, r route, w walk) Result {
	return q.Send(t.Context(), client, r, w)
}

// send sends a request through the route. keep is [Observer.Keep].
func send(t *testing.T, keep func(status int, header http.Header, start []byte) bool, r route) (Result, *httptest.ResponseRecorder) {
	t.Helper()
	q, err := Keep(httptest.NewRequest(http.MethodGet, "/poll", nil), 100)
	if err != nil {
		t.Fatal(err)
	}
	client := httptest.NewRecorder()
	client.Header().Set("Server", "Caddy")
	client.Header().Set("X-Outer", "yes")
	result := sendTo(t, client, q, r, walk{keep: keep, attend: func(h http.Header) { h.Set("X-Stamp", "yes") }})
	return result, client
}

func always(int, http.Header, []byte) bool { return true }
func never(int, http.Header, []byte) bool  { return false }

func TestSendKeepsAnswerWithoutTrace(t *testing.T) {
	result, client := send(t, always, func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Del("Server")
		w.Header().Add("Via", "1.1 Caddy")
		w.Header().Set("Set-Cookie", "a=1")
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, "[")
		http.NewResponseController(w).Flush()
		io.WriteString(w, "]")
		return nil
	})
	if client.Code != 200 || client.Body.Len() != 0 || client.Flushed || !maps.EqualFunc(client.Header(), http.Header{"Server": {"Caddy"}, "X-Outer": {"yes"}}, slices.Equal) {
		t.Errorf("the client got %d %v %q", client.Code, client.Header(), client.Body)
	}
	a := result.Answer
	if a == nil || a.Status != http.StatusAccepted || string(a.Body) != "[]" || len(a.Header) != 2 || !slices.Equal(a.Removed, []string{"Server"}) {
		t.Fatalf("kept %+v", a)
	}
	a.Apply(client.Header())
	a.WriteTo(client)
	if client.Code != http.StatusAccepted || client.Body.String() != "[]" || client.Header().Get("Server") != "" || client.Header().Get("X-Outer") != "yes" || client.Header().Get("Via") != "1.1 Caddy" {
		t.Errorf("the client was given %d %v %q", client.Code, client.Header(), client.Body)
	}
}

func TestSendStreamsNewsWithHeaderOfRoute(t *testing.T) {
	result, client := send(t, never, func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Del("Server")
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, "news")
		w.Header().Set("X-Sum", "4")
		w.Header().Set("X-Late", "too late")
		return nil
	})
	h := client.Header()
	if !result.Streamed || result.Answer != nil || client.Body.String() != "news" || h.Get("Server") != "" || h.Get("X-Stamp") != "yes" {
		t.Errorf("%+v: the client got %v %q", result, h, client.Body)
	}
	if h.Get("X-Sum") != "4" || h.Get("X-Late") != "" {
		t.Errorf("the trailers are %v", h)
	}
}

func TestSendStreamsTooLongAnswerWhole(t *testing.T) {
	for name, write := range map[string]func(w http.ResponseWriter, text string){
		"written": func(w http.ResponseWriter, text string) {
			for i := range text {
				io.WriteString(w, text[i:i+1])
			}
		},
		"copied": func(w http.ResponseWriter, text string) { w.(io.ReaderFrom).ReadFrom(strings.NewReader(text)) },
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Repeat("0123456789", 5)
			result, client := send(t, always, func(w http.ResponseWriter, _ *http.Request) error {
				write(w, text)
				return nil
			})
			if !result.Streamed || client.Body.String() != text {
				t.Errorf("%+v: the client got %q", result, client.Body)
			}
		})
	}
}

func TestSendStreamsOnceStartIsNews(t *testing.T) {
	keep := func(_ int, _ http.Header, start []byte) bool { return !bytes.Contains(start, []byte("x")) }
	result, client := send(t, keep, func(w http.ResponseWriter, _ *http.Request) error {
		io.WriteString(w, "ab")
		http.NewResponseController(w).Flush()
		io.WriteString(w, "x")
		io.WriteString(w, "cd")
		return nil
	})
	if !result.Streamed || client.Body.String() != "abxcd" || !client.Flushed {
		t.Errorf("%+v: the client got %q", result, client.Body)
	}
}

func TestSendStreamsAnswerThatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := Keep(httptest.NewRequest(http.MethodGet, "/poll", nil), 100)
		client := httptest.NewRecorder()
		silent := route(func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Trailer", "X-Sum")
			io.WriteString(w, "[")
			time.Sleep(2 * impatience)
			synctest.Wait()
			if client.Body.String() != "[" || !client.Flushed {
				t.Errorf("the client got %q, flushed %v", client.Body, client.Flushed)
			}
			io.WriteString(w, "]")
			w.Header().Set("X-Sum", "2")
			return nil
		})
		result := sendTo(t, client, q, silent, walk{keep: always})
		if !result.Streamed || client.Body.String() != "[]" || client.Header().Get("X-Sum") != "2" {
			t.Errorf("%+v: the client got %v %q", result, client.Header(), client.Body)
		}
	})
}

func TestSendWaitsLongerForEndOfCompleteAnswer(t *testing.T) {
	for name, x := range map[string]struct {
		route    route
		lingers  int // in multiples of impatience; 0: twice
		streamed bool
	}{
		"no content": {route: func(w http.ResponseWriter, _ *http.Request) error {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}},
		"as long as it says": {route: func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Length", "2")
			_, err := io.WriteString(w, "[]")
			return err
		}},
		"and goes on": {lingers: 10, streamed: true, route: func(w http.ResponseWriter, _ *http.Request) error {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}},
		"shorter": {streamed: true, route: func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Length", "2")
			_, err := io.WriteString(w, "[")
			return err
		}},
		"flushed": {streamed: true, route: func(w http.ResponseWriter, _ *http.Request) error {
			w.WriteHeader(http.StatusNoContent)
			return http.NewResponseController(w).Flush()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q, _ := Keep(httptest.NewRequest(http.MethodGet, "/poll", nil), 100)
				result := sendTo(t, httptest.NewRecorder(), q, func(w http.ResponseWriter, r *http.Request) error {
					defer time.Sleep(time.Duration(cmp.Or(x.lingers, 2)) * impatience)
					return x.route(w, r)
				}, walk{keep: always})
				if result.Streamed != x.streamed || (result.Answer == nil) != x.streamed {
					t.Errorf("%+v", result)
				}
			})
		})
	}
}

// Many answers share one timer. Each that does not end streams at its own time, in whatever
// order others end.
func TestSendStreamsEachAnswerAtItsOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const count, apart = 50, 10 * time.Millisecond
		shared, begin := patience(), time.Now()
		streamed := make([]time.Duration, count)
		var all sync.WaitGroup
		for i := range count {
			all.Go(func() {
				time.Sleep(time.Duration(i) * apart)
				q, _ := Keep(httptest.NewRequest(http.MethodGet, "/poll", nil), 100)
				q.Send(t.Context(), httptest.NewRecorder(), route(func(w http.ResponseWriter, _ *http.Request) error {
					io.WriteString(w, "[")
					time.Sleep(time.Duration(i%7) * impatience / 3) // 0 to 500 ms
					return nil
				}), walk{patience: shared, keep: always, stream: func(int) bool { streamed[i] = time.Since(begin); return true }})
			})
		}
		all.Wait()
		for i, at := range streamed {
			want := time.Duration(i)*apart + impatience
			if i%7 < 3 {
				want = 0 // it has ended before
			}
			if i%7 != 3 && at != want {
				t.Errorf("answer %d streamed at %s, want %s", i, at, want)
			}
		}
	})
}

func TestSendStreamsNothingAfterPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := Keep(httptest.NewRequest(http.MethodGet, "/poll", nil), 100)
		client := httptest.NewRecorder()
		func() {
			defer func() {
				if recover() != "a fault" {
					t.Error("the panic is lost")
				}
			}()
			sendTo(t, client, q, route(func(w http.ResponseWriter, _ *http.Request) error {
				io.WriteString(w, "[")
				panic("a fault")
			}), walk{keep: always})
		}()
		time.Sleep(2 * impatience)
		synctest.Wait()
		if client.Flushed || client.Body.Len() > 0 {
			t.Errorf("the client got %q", client.Body)
		}
	})
}

func TestSendDropsAnswerThatMayNotStream(t *testing.T) {
	q, _ := Keep(httptest.NewRequest(http.MethodGet, "/poll", nil), 100)
	client := httptest.NewRecorder()
	result := sendTo(t, client, q, route(func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("X-Dropped", "yes")
		if n, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader(strings.Repeat("x", 1000))); n != 1000 || err != nil {
			t.Errorf("the route could write %d, %v", n, err)
		}
		_, err := io.WriteString(w, "more")
		return err
	}), walk{keep: always, stream: func(int) bool { return false }})
	if result.Streamed || result.Answer != nil || client.Body.Len() != 0 || len(client.Header()) != 0 {
		t.Errorf("%+v: the client got %v %q", result, client.Header(), client.Body)
	}
}

func TestSendPassesInformationalAnswers(t *testing.T) {
	var informed []int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q, _ := Keep(r, 100)
		result := sendTo(t, w, q, route(func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Link", "</a.css>")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Del("Link")
			w.WriteHeader(http.StatusNoContent)
			return nil
		}), walk{keep: always})
		if result.Answer == nil || result.Answer.Status != http.StatusNoContent {
			t.Errorf("kept %+v", result.Answer)
		}
		informed = append(informed, len(w.Header()["Link"]))
	}))
	defer server.Close()
	if _, err := http.Get(server.URL); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(informed, []int{0}) {
		t.Errorf("Link fields left: %v", informed)
	}
}

func TestSendReportsAbortedRoute(t *testing.T) {
	result, client := send(t, always, func(w http.ResponseWriter, _ *http.Request) error {
		io.WriteString(w, "[")
		panic(http.ErrAbortHandler)
	})
	if !result.Aborted || result.Answer == nil || string(result.Answer.Body) != "[" || client.Body.Len() != 0 {
		t.Errorf("%+v", result)
	}
	result, client = send(t, never, func(w http.ResponseWriter, _ *http.Request) error {
		io.WriteString(w, "[")
		panic(http.ErrAbortHandler)
	})
	if !result.Aborted || !result.Streamed || client.Body.String() != "[" {
		t.Errorf("%+v", result)
	}
}

func TestSendReportsErrorOfRoute(t *testing.T) {
	failure := errors.New("no upstream")
	result, _ := send(t, always, func(http.ResponseWriter, *http.Request) error { return failure })
	if result.Err != failure || result.Answer != nil || result.Streamed {
		t.Errorf("%+v", result)
	}
}

func TestSendTakesSilentRouteFor200(t *testing.T) {
	result, _ := send(t, always, func(http.ResponseWriter, *http.Request) error { return nil })
	if result.Answer == nil || result.Answer.Status != 200 {
		t.Errorf("%+v", result)
	}
}
