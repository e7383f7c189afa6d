package observe

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-parker/parker/internal/advise"
	"github.com/caddy-parker/parker/internal/advise/redact"
	"github.com/caddy-parker/parker/internal/logging"
	"github.com/caddy-parker/parker/internal/nothingnew"
)

const (
	// maxBody is the length in bytes up to which bodies are copied.
	maxBody = 64 << 10

	// maxQueued limits how many requests wait for the analysis, and maxBytes the memory that
	// they take, and the bodies that are being copied.
	maxQueued = 1024
	maxBytes  = 16 << 20

	// pause is how long requests wait for others, so that the goroutine that feeds the
	// analysis need not be woken for each. It does not wait if a quarter of the queue is full.
	pause = 50 * time.Millisecond
)

// watcher feeds the analysis of this process.
type watcher struct {
	key      redact.Key
	analysis *advise.Analysis
	queue    queue
	feeding  sync.Mutex   // keeps exchanges in their order
	bytes    atomic.Int64 // see maxBytes
	dropped  atomic.Int64
	stopped  chan struct{}
	failures logging.Rarely
}

func newWatcher() *watcher {
	return &watcher{key: redact.NewKey(), analysis: advise.New(), queue: newQueue(), stopped: make(chan struct{})}
}

// exchange is a request and its answer.
type exchange struct {
	advise.Observation

	watcher *watcher
	partial bool // the answer's body is not the whole one, or cannot be that of a poll
	known   bool // body is the whole body
	body    text // of the answer, encoded
	coding  []string
	sent    text // has the bytes of Body
	queued  int  // bytes that are counted while it is in the queue
}

// reserve counts memory. It returns false if that would be too much.
func (w *watcher) reserve(bytes int) bool {
	if w.bytes.Add(int64(bytes)) <= maxBytes {
		return true
	}
	w.free(bytes)
	return false
}

func (w *watcher) free(bytes int) { w.bytes.Add(-int64(bytes)) }

// release gives the memory back.
func (e *exchange) release() {
	e.body.release()
	e.sent.release()
	e.watcher.free(e.queued)
	e.queued = 0
}

// hand gives the exchange to the goroutine that feeds the analysis, or drops it if that has
// too much to do. The exchange must not be used after this.
func (e *exchange) hand() {
	if !e.known {
		e.body.release()
	}
	if size := e.size(); e.watcher.reserve(size) {
		e.queued = size
		if e.watcher.queue.put(e) {
			return
		}
	}
	e.watcher.dropped.Add(1)
	e.release()
}

// size returns the memory that the exchange takes, without its bodies.
func (e *exchange) size() int {
	size := 512 + len(e.Host) + len(e.Path) + len(e.Query)
	for _, header := range []http.Header{e.Request, e.Answer} {
		for _, values := range header {
			for _, value := range values {
				size += 64 + len(value)
			}
		}
	}
	return size
}

// run feeds the analysis until the watcher is stopped.
func (w *watcher) run() {
	for {
		select {
		case <-w.stopped:
			return
		case <-w.queue.wake:
		case <-w.queue.timer.C:
		}
		w.feed()
	}
}

// feed adds all exchanges that wait to the analysis.
func (w *watcher) feed() {
	w.feeding.Lock()
	defer w.feeding.Unlock()
	for _, e := range w.queue.take() {
		w.look(e)
	}
}

// look adds an exchange to the analysis. A mistake there must not end Caddy.
func (w *watcher) look(e *exchange) {
	defer e.release()
	defer func() {
		if reason := recover(); reason != nil {
			w.dropped.Add(1)
			w.failures.Warn(caddy.Log().Named("http.handlers.parker_observe"), "a request could not be analyzed", fmt.Errorf("%v\n%s", reason, debug.Stack()))
		}
	}()
	e.decode()
	w.analysis.Add(e.Observation)
}

// decode sets what the observation says of the answer's body.
func (e *exchange) decode() {
	if !e.known {
		return
	}
	text, err := nothingnew.Decode(http.Header{"Content-Encoding": e.coding}, e.body.bytes, maxBody)
	if err != nil {
		return
	}
	e.Text, e.Length = text, int64(len(text))
	e.Sum = e.watcher.key.Digest("body", string(text))
}

// pool holds the watcher of this process. It lives as long as a configuration uses it.
var (
	pool    = caddy.NewUsagePool()
	current atomic.Pointer[watcher]
)

const poolKey = "watcher"

// join returns the watcher of this process. [leave] must follow.
func join() (*watcher, error) {
	joined, _, err := pool.LoadOrNew(poolKey, func() (caddy.Destructor, error) {
		w := newWatcher()
		go w.run()
		current.Store(w)
		return w, nil
	})
	if err != nil {
		return nil, err
	}
	return joined.(*watcher), nil
}

func leave() error {
	_, err := pool.Delete(poolKey)
	return err
}

// Destruct ends the watcher when no configuration uses it any more.
func (w *watcher) Destruct() error {
	current.CompareAndSwap(w, nil)
	close(w.stopped)
	return nil
}

// Current returns the analysis that the handlers of this process feed, and how many requests
// were left out because they came too fast. It is not ok if no configuration has a handler.
func Current() (analysis *advise.Analysis, dropped int64, ok bool) {
	w := current.Load()
	if w == nil {
		return nil, 0, false
	}
	w.feed()
	return w.analysis, w.dropped.Load(), true
}
