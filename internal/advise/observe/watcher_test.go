package observe

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

func answerOnce(w *watcher, target string, size int) {
	watch(w, &calls{header: make(http.Header)}, get(target), func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, strings.Repeat("x", size))
	})
}

func TestWatcherDropsInsteadOfWaiting(t *testing.T) {
	for name, c := range map[string]struct {
		target       string
		size, queued int
	}{
		"many":       {"/", 1, maxQueued},
		"large":      {"/", maxBody, maxBytes / (maxBody + 512 + 1)},
		"long paths": {"/" + strings.Repeat("x", 1<<20), 0, maxBytes / (1<<20 + 513)},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWatcher()
			const further = 10
			for range c.queued + further {
				answerOnce(w, c.target, c.size)
			}
			if w.queue.len() < c.queued || w.queue.len()+int(w.dropped.Load()) != c.queued+further {
				t.Errorf("%d are in the queue, %d were dropped", w.queue.len(), w.dropped.Load())
			}
			if bytes := w.bytes.Load(); bytes > maxBytes {
				t.Errorf("they take %d bytes", bytes)
			}
			w.feed()
			checkFree(t, w)
		})
	}
}

func TestWatcherLimitsBodiesThatAreCopied(t *testing.T) {
	w := newWatcher()
	var open []*text
	for range 2 * maxBytes / maxBody {
		copied := &text{watcher: w}
		copied.add(make([]byte, maxBody))
		open = append(open, copied)
	}
	if bytes := w.bytes.Load(); bytes > maxBytes || bytes < maxBytes/2 {
		t.Errorf("they take %d bytes", bytes)
	}
	answerOnce(w, "/", 100)
	if w.dropped.Load() != 1 {
		t.Error("a request was not dropped although there is no room")
	}
	for _, copied := range open {
		copied.release()
	}
	checkFree(t, w)
}

func TestWatcherGoesOnAfterFailure(t *testing.T) {
	w := newWatcher()
	w.analysis = nil // makes it panic
	answerOnce(w, "/", 100)
	w.feed()
	if w.dropped.Load() != 1 {
		t.Error("the request is not counted as left out")
	}
	checkFree(t, w)
}

func TestWatcherLivesAsLongAsAHandler(t *testing.T) {
	if _, _, ok := Current(); ok {
		t.Fatal("there is an analysis without a handler")
	}
	first, second := new(Handler), new(Handler)
	for _, h := range []*Handler{first, second} {
		if err := h.Provision(caddy.Context{}); err != nil {
			t.Fatal(err)
		}
	}
	if first.watcher != second.watcher {
		t.Error("two handlers have two analyses")
	}
	if err := first.Cleanup(); err != nil {
		t.Error(err)
	}
	if analysis, _, ok := Current(); !ok || analysis != second.watcher.analysis {
		t.Error("the analysis has ended with the first handler")
	}
	if err := second.Cleanup(); err != nil {
		t.Error(err)
	}
	if _, _, ok := Current(); ok {
		t.Error("the analysis goes on without a handler")
	}
	<-second.watcher.stopped
	if err := new(Handler).Cleanup(); err != nil {
		t.Error(err)
	}
}

// TestWatcherReadsHeadersBeforeItReturns changes a header as a handler further out may.
func TestWatcherReadsHeadersBeforeItReturns(t *testing.T) {
	w := newWatcher()
	go w.run()
	defer close(w.stopped)
	r, to := get("/?since=1"), &calls{header: make(http.Header)}
	r.Header.Set("Cookie", "session=secret")
	watch(w, to, r, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Set-Cookie", "session=secret")
		io.WriteString(w, "x")
	})
	for range 100 {
		to.header.Add("ETag", "changed")
		to.header.Del("Set-Cookie")
		r.Header.Set("Cookie", "changed")
	}
}
