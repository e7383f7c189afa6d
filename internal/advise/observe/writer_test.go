package observe

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// calls is a client's writer that notes how it is called.
type calls struct {
	header http.Header
	log    []string
}

func (c *calls) Header() http.Header { return c.header }

func (c *calls) note(format string, args ...any) { c.log = append(c.log, fmt.Sprintf(format, args...)) }

func (c *calls) WriteHeader(status int) { c.note("status %d %v", status, c.header) }

func (c *calls) Write(p []byte) (int, error) {
	c.note("write %q", p)
	return len(p), nil
}

func (c *calls) ReadFrom(r io.Reader) (int64, error) {
	p := make([]byte, 5)
	n, err := io.ReadFull(r, p)
	c.note("read from %q %v", p[:n], err)
	return int64(n), nil
}

func (c *calls) FlushError() error {
	c.note("flush")
	return nil
}

func TestWriterMakesOnlyTheCallsOfTheRoute(t *testing.T) {
	flush := func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }
	for name, route := range map[string]http.HandlerFunc{
		"nothing":                  func(w http.ResponseWriter, r *http.Request) {},
		"a write without a status": func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "a"); io.WriteString(w, "") },
		"a flush before a status":  func(w http.ResponseWriter, r *http.Request) { flush(w); w.WriteHeader(404); flush(w) },
		"two statuses":             func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(201); w.WriteHeader(404) },
		"early hints": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</a>")
			w.WriteHeader(103)
			w.Header().Del("Link")
			w.WriteHeader(200)
		},
		"a file": func(w http.ResponseWriter, r *http.Request) {
			io.Copy(w, io.MultiReader(strings.NewReader("12345678")))
		},
		"another protocol": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(101); flush(w) },
		"a stream": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "Text/Event-Stream")
			flush(w)
			io.WriteString(w, "data: 1\n\n")
			flush(w)
		},
	} {
		t.Run(name, func(t *testing.T) {
			direct, watched := &calls{header: make(http.Header)}, &calls{header: make(http.Header)}
			route(direct, get("/"))
			watch(newWatcher(), watched, get("/"), route)
			if !slices.Equal(direct.log, watched.log) {
				t.Errorf("the client's writer got %q, not %q", watched.log, direct.log)
			}
		})
	}
}

func TestWriterCopiesBodiesOfPolls(t *testing.T) {
	json, html := "application/json", "text/html; charset=utf-8"
	for name, c := range map[string]struct {
		target, kind, body string
		text               bool
	}{
		"JSON":                   {"/", json, "[1]", true},
		"HTML":                   {"/", html, "<p>", true},
		"no type":                {"/", "", "x", true},
		"nothing":                {"/", "", "", true},
		"as long as may be":      {"/", json, strings.Repeat("x", maxBody), true},
		"too long":               {"/", json, strings.Repeat("x", maxBody+1), false},
		"an image":               {"/", "image/png", "x", false},
		"a script":               {"/", "text/javascript", "x", false},
		"a script with a query":  {"/?callback=f", "text/javascript", "f(1)", true},
		"an archive":             {"/", "application/zip", "x", false},
		"JSON in capitals":       {"/", "Application/Problem+JSON", "{}", true},
		"a body that grows late": {"/", json, strings.Repeat("0123456789", 3000), true},
	} {
		t.Run(name, func(t *testing.T) {
			e := observe(t, get(c.target), func(w http.ResponseWriter, r *http.Request) {
				if c.kind != "" {
					w.Header().Set("Content-Type", c.kind)
				}
				w.WriteHeader(http.StatusOK)
				for part := range slices.Chunk([]byte(c.body), 1000) {
					w.Write(part)
				}
			})
			switch {
			case e.Sent != int64(len(c.body)):
				t.Errorf("%d bytes were sent", e.Sent)
			case c.text && (string(e.Text) != c.body || e.Length != int64(len(c.body)) || e.Sum == ""):
				t.Errorf("the text is %.100q, %d, %q", e.Text, e.Length, e.Sum)
			case !c.text && (len(e.Text) > 0 || e.Length != -1 || e.Sum != ""):
				t.Errorf("there is a text, %.100q, %d, %q", e.Text, e.Length, e.Sum)
			}
		})
	}
}

// The answer to a parked poll that has moved to a new configuration is not written here.
func TestHandlerLeavesOutAnswersThatItDoesNotSee(t *testing.T) {
	w := newWatcher()
	watch(w, httptest.NewRecorder(), get("/"), func(http.ResponseWriter, *http.Request) {})
	if all := w.queue.take(); len(all) != 0 {
		t.Errorf("status %d was handed over", all[0].Status)
	}
	checkFree(t, w)
}

func TestWriterCopiesWhatIsReadFrom(t *testing.T) {
	w := newWatcher()
	watch(w, &calls{header: make(http.Header)}, get("/"), func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, io.MultiReader(strings.NewReader("12345")))
	})
	if e := next(t, w); string(e.Text) != "12345" || e.Sent != 5 {
		t.Errorf("it copied %q", e.Text)
	}
}

func TestWriterDoesNotTakePartForWhole(t *testing.T) {
	aborted := get("/")
	for name, c := range map[string]struct {
		r     *http.Request
		route http.HandlerFunc
	}{
		"HEAD": {mustRequest(http.MethodHead), func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "x") }},
		"shorter": {aborted, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "2")
			io.WriteString(w, "x")
		}},
		"broken off": {aborted, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "x"); panic(http.ErrAbortHandler) }},
	} {
		if e := observe(t, c.r, c.route); e.Length != -1 || e.Status != http.StatusOK {
			t.Errorf("%s: the text is %q, the status %d", name, e.Text, e.Status)
		}
	}
}

func mustRequest(method string) *http.Request {
	r := get("/")
	r.Method = method
	return r
}

func TestWriterPassesPanicsOn(t *testing.T) {
	w := newWatcher()
	reason := watch(w, &calls{header: make(http.Header)}, get("/"), func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if reason != http.ErrAbortHandler || w.queue.len() != 0 {
		t.Errorf("the panic is %v, %d are in the queue", reason, w.queue.len())
	}
	checkFree(t, w)
}

// TestWriterHandsStreamsOverAtTheirHeader goes on writing while the analysis has the exchange:
// the race detector sees whether they share anything.
func TestWriterHandsStreamsOverAtTheirHeader(t *testing.T) {
	for name, c := range map[string]struct {
		method, kind string
		status       int
	}{
		"events":           {http.MethodGet, "text/event-stream; charset=utf-8", 200},
		"another protocol": {http.MethodGet, "", 101},
		"a tunnel":         {http.MethodConnect, "", 200},
	} {
		t.Run(name, func(t *testing.T) {
			watcher := newWatcher()
			r := get("/events")
			r.Method = c.method
			reason := watch(watcher, &calls{header: make(http.Header)}, r, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", c.kind)
				w.WriteHeader(c.status)
				if watcher.queue.len() != 1 {
					t.Fatal("it is not handed over")
				}
				go watcher.run()
				io.WriteString(w, "data: 1\n\n")
				w.Header().Set("Content-Type", "changed")
				io.Copy(w, io.MultiReader(strings.NewReader("data: 2\n\n")))
				panic(http.ErrAbortHandler)
			})
			close(watcher.stopped)
			if reason != http.ErrAbortHandler {
				t.Errorf("the panic is %v", reason)
			}
		})
	}
}

func TestDecodeUndoesContentCodings(t *testing.T) {
	const text = `{"tickets":[]}`
	for coding, encode := range map[string]func(io.Writer) io.WriteCloser{
		"gzip":    func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		"br":      func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) },
		"deflate": func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) },
		"zstd":    func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w); return z },
	} {
		var encoded bytes.Buffer
		to := encode(&encoded)
		io.WriteString(to, text)
		to.Close()
		e := observe(t, get("/"), func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", coding)
			w.Write(encoded.Bytes())
			w.Header().Set("Content-Encoding", "as an encoder further out does")
		})
		if string(e.Text) != text {
			t.Errorf("%s is decoded as %q", coding, e.Text)
		}
	}
}

func TestDecodeLeavesBodiesThatCannotBeDecoded(t *testing.T) {
	var bomb bytes.Buffer
	to, _ := gzip.NewWriterLevel(&bomb, flate.BestCompression)
	to.Write(make([]byte, 10<<20))
	to.Close()
	for coding, body := range map[string]string{"gzip": bomb.String(), "br": "not brotli", "unknown": "x"} {
		e := observe(t, get("/"), func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", coding)
			io.WriteString(w, body)
		})
		if e.Length != -1 || e.Sum != "" {
			t.Errorf("%s is decoded as %.100q", coding, e.Text)
		}
	}
}

// TestWriterReusesBuffersOnlyAfterTheAnalysis has many answers at once, so that a buffer that
// is reused too early shows another's text.
func TestWriterReusesBuffersOnlyAfterTheAnalysis(t *testing.T) {
	w := newWatcher()
	var clients sync.WaitGroup
	for number := range 8 {
		clients.Go(func() {
			for range 100 {
				watch(w, &calls{header: make(http.Header)}, get(fmt.Sprintf("/%d", number)), func(w http.ResponseWriter, r *http.Request) {
					io.WriteString(w, strings.Repeat(r.URL.Path, 3000))
				})
			}
		})
	}
	ended := make(chan struct{})
	go func() { clients.Wait(); close(ended) }()
	for all := false; !all; {
		select {
		case <-ended:
			all = true
		default:
			runtime.Gosched()
		}
		for _, e := range w.queue.take() {
			e.decode()
			if e.Length != -1 && string(e.Text) != strings.Repeat(e.Path, 3000) {
				t.Errorf("the text of %s is of another", e.Path)
			}
			e.release()
		}
	}
	checkFree(t, w)
}
