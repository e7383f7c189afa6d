package observe

import (
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-parker/parker/internal/advise"
	"github.com/caddy-parker/parker/internal/advise/redact"
	"github.com/caddy-parker/parker/internal/nothingnew"
)

const (
	// maxBody is the length in bytes up to which bodies are copied.
	maxBody = 64 << 10

	// maxQueued and maxQueuedBytes limit what waits for the analysis.
	maxQueued      = 1024
	maxQueuedBytes = 8 << 20
)

// watcher feeds the analysis of this process.
type watcher struct {
	key      redact.Key
	analysis *advise.Analysis
	queue    chan *exchange
	queued   atomic.Int64 // bytes of bodies in the queue
	dropped  atomic.Int64
	stopped  chan struct{}
}

// exchange is a request and its answer.
type exchange struct {
	advise.Observation

	watcher  *watcher
	query    bool   // the URL has a query
	partial  bool   // only a part of the answer's body was asked for
	complete bool   // the answer has ended well
	known    bool   // body is the whole body
	body     []byte // of the answer, encoded, from buffers
}

// buffer is room for the body of an answer.
type buffer struct{ bytes []byte }

// buffers keeps buffers for reuse.
var buffers = sync.Pool{New: func() any { return &buffer{make([]byte, 0, 4<<10)} }}

// release gives the buffer back.
func (e *exchange) release() {
	if e.body != nil {
		buffers.Put(&buffer{e.body})
		e.body = nil
	}
	e.known = false
}

// hand gives the exchange to the goroutine that feeds the analysis, or drops it if that has
// too much to do.
func (e *exchange) hand(status int, header http.Header) {
	e.Status, e.Answer = status, e.watcher.key.Answer(header)
	if !e.known {
		e.release()
	}
	size := int64(len(e.body) + len(e.Body))
	if e.watcher.queued.Add(size) <= maxQueuedBytes {
		select {
		case e.watcher.queue <- e:
			return
		default:
		}
	}
	e.watcher.queued.Add(-size)
	e.watcher.dropped.Add(1)
	e.release()
}

// run feeds the analysis until the watcher is stopped.
func (w *watcher) run() {
	for {
		select {
		case <-w.stopped:
			return
		case e := <-w.queue:
			w.queued.Add(-int64(len(e.body) + len(e.Body)))
			e.decode()
			w.analysis.Add(e.Observation)
			e.release()
		}
	}
}

// decode sets what the observation says of the answer's body.
func (e *exchange) decode() {
	if !e.known {
		return
	}
	text, err := nothingnew.Decode(e.Answer, e.body, maxBody)
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
		w := &watcher{key: redact.NewKey(), analysis: advise.New(), queue: make(chan *exchange, maxQueued), stopped: make(chan struct{})}
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
	return w.analysis, w.dropped.Load(), true
}
