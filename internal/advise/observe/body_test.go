package observe

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

func post(kind, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", struct{ io.Reader }{strings.NewReader(body)})
	r.ContentLength = int64(len(body))
	r.Header.Set("Content-Type", kind)
	return r
}

func TestBodyIsCopiedIfItWasReadAsAWhole(t *testing.T) {
	all := func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }
	unknown := post("application/json", `{"method":"status"}`)
	unknown.ContentLength = -1
	long := post("application/json", strings.Repeat("x", maxBody+1))
	long.ContentLength = -1
	for name, c := range map[string]struct {
		r     *http.Request
		route http.HandlerFunc
		want  string
	}{
		"JSON":              {post("application/json", `{"method":"status"}`), all, `{"method":"status"}`},
		"a form":            {post("application/x-www-form-urlencoded", "action=poll"), all, "action=poll"},
		"of unknown length": {unknown, all, `{"method":"status"}`},
		"up to its length":  {post("text/plain", "abc"), func(w http.ResponseWriter, r *http.Request) { io.ReadFull(r.Body, make([]byte, 3)) }, "abc"},
		"in part":           {post("text/plain", "abc"), func(w http.ResponseWriter, r *http.Request) { io.ReadFull(r.Body, make([]byte, 2)) }, ""},
		"not at all":        {post("text/plain", "abc"), func(w http.ResponseWriter, r *http.Request) {}, ""},
		"too long":          {long, all, ""},
		"a file":            {post("image/png", "abc"), all, ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := observe(t, c.r, func(w http.ResponseWriter, r *http.Request) {
				c.route(w, r)
				w.WriteHeader(http.StatusNoContent)
			})
			if string(e.Body) != c.want {
				t.Errorf("the body is %.100q", e.Body)
			}
		})
	}
}

func TestBodyIsTakenOfAnswerThatStreams(t *testing.T) {
	e := observe(t, post("application/json", "{}"), func(w http.ResponseWriter, r *http.Request) {
		io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
	})
	if string(e.Body) != "{}" {
		t.Errorf("the body is %q", e.Body)
	}
}

// TestBodyMayBeReadAfterTheAnswer reads on as the transport of a proxy does whose backend has
// answered early.
func TestBodyMayBeReadAfterTheAnswer(t *testing.T) {
	text := strings.Repeat("0123456789", 1000)
	r := post("application/json", text)
	w := newWatcher()
	var reading sync.WaitGroup
	var read bytes.Buffer
	watch(w, httptest.NewRecorder(), r, func(_ http.ResponseWriter, r *http.Request) {
		body := r.Body
		reading.Go(func() { io.CopyBuffer(struct{ io.Writer }{&read}, body, make([]byte, 100)) })
	})
	w.feed()
	reading.Wait()
	if read.String() != text {
		t.Error("the body has changed")
	}
	checkFree(t, w)
}
