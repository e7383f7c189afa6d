package observe

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// watch passes a request to a route through the handler of a watcher that nobody empties. It
// returns what the route has panicked with.
func watch(w *watcher, to http.ResponseWriter, r *http.Request, route http.HandlerFunc) (reason any) {
	defer func() { reason = recover() }()
	_ = (&Handler{w}).ServeHTTP(to, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		route(w, r)
		return nil
	}))
	return nil
}

// observe returns what the analysis would get of a request.
func observe(t *testing.T, r *http.Request, route http.HandlerFunc) *exchange {
	t.Helper()
	w := newWatcher()
	watch(w, httptest.NewRecorder(), r, route)
	return next(t, w)
}

// next takes an exchange out of the queue, and checks that all memory is given back.
func next(t *testing.T, w *watcher) *exchange {
	t.Helper()
	all := w.queue.take()
	if len(all) != 1 {
		t.Fatalf("%d exchanges were handed over", len(all))
	}
	e := all[0]
	e.decode()
	kept := *e
	kept.Text, kept.Body = append([]byte(nil), e.Text...), append([]byte(nil), e.Body...)
	e.release()
	checkFree(t, w)
	return &kept
}

func checkFree(t *testing.T, w *watcher) {
	t.Helper()
	if bytes := w.bytes.Load(); bytes != 0 {
		t.Errorf("%d bytes are still counted", bytes)
	}
}

func get(target string) *http.Request { return httptest.NewRequest(http.MethodGet, target, nil) }
