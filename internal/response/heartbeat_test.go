package response

import (
	"errors"
	"io"
	"net/http"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const interval = 15 * time.Second

// act is a step of a route: after a pause, it writes.
type act struct {
	after time.Duration
	write string
}

func acts(steps ...act) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		for _, step := range steps {
			time.Sleep(step.after)
			if step.write != "" {
				io.WriteString(w, step.write)
			}
		}
	}
}

func TestLiveSendsHeartbeatAfterSilentInterval(t *testing.T) {
	for name, test := range map[string]struct {
		header http.Header
		every  time.Duration
		route  func(http.ResponseWriter)
		want   []string
	}{
		"silence from the start": {stream(), interval, acts(act{46 * time.Second, ""}),
			[]string{"0s 200", "15s : \n", "30s : \n", "45s : \n"}},
		"an event begins the interval anew": {stream(), interval, acts(act{10 * time.Second, "data: a\n\n"}, act{16 * time.Second, ""}),
			[]string{"0s 200", "10s data: a\n\n", "25s : \n"}},
		"no silence is long enough": {stream(), interval, acts(act{14 * time.Second, "data: a\n\n"}, act{14 * time.Second, "data: b\n\n"}, act{14 * time.Second, ""}),
			[]string{"0s 200", "14s data: a\n\n", "28s data: b\n\n"}},
		"never inside an event": {stream(), interval, acts(act{time.Second, "data: a\n"}, act{70 * time.Second, "\n"}, act{16 * time.Second, ""}),
			[]string{"0s 200", "1s data: a\n", "1m11s \n", "1m26s : \n"}},
		"never inside a line": {stream(), interval, acts(act{time.Second, "data: a\n\nda"}, act{time.Minute, ""}),
			[]string{"0s 200", "1s data: a\n\nda"}},
		"the backend's own comments count": {stream(), interval, acts(act{10 * time.Second, ":\n"}, act{10 * time.Second, ":\n"}, act{16 * time.Second, ""}),
			[]string{"0s 200", "10s :\n", "20s :\n", "35s : \n"}},
		"a byte order mark behind one says nothing": {stream(), interval, acts(act{16 * time.Second, "\xEF"}, act{time.Second, "\xBB\xBFdata: a\n\n"}),
			[]string{"0s 200", "15s : \n", "17s data: a\n\n"}},
		"none is asked for": {stream(), 0, acts(act{time.Hour, "\uFEFFdata: a\n\n"}),
			[]string{"0s 200", "1h0m0s \uFEFFdata: a\n\n"}},
		"not an event stream": {chunked(), interval, acts(act{time.Hour, "{}"}),
			[]string{"0s 200", "1h0m0s {}"}},
		"compressed": {http.Header{"Content-Type": {"text/event-stream"}, "Content-Encoding": {"gzip"}}, interval, acts(act{time.Hour, "data: a\n\n"}),
			[]string{"0s 200", "1h0m0s data: a\n\n"}},
		"said to be compressed by none": {http.Header{"Content-Type": {"text/event-stream"}, "Content-Encoding": {"none"}}, interval, acts(act{16 * time.Second, ""}),
			[]string{"0s 200", "15s : \n"}},
		"a digest of all bytes": {http.Header{"Content-Type": {"text/event-stream"}, "Content-Digest": {"sha-256=:AAAA:"}}, interval, acts(act{time.Hour, ""}),
			[]string{"0s 200"}},
		"a part of a whole": {http.Header{"Content-Type": {"text/event-stream"}, "Content-Range": {"bytes 0-9/*"}}, interval, acts(act{time.Hour, ""}),
			[]string{"0s 200"}},
		"trailers that are announced": {http.Header{"Content-Type": {"text/event-stream"}, "Trailer": {"Server-Timing"}}, interval, acts(act{time.Hour, ""}),
			[]string{"0s 200"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMemory()
				pass(m, get(), test.header, test.every, test.route)
				time.Sleep(24 * time.Hour) // nothing comes after the end
				if got := m.got(); !slices.Equal(got, test.want) {
					t.Errorf("the client got %q, want %q", got, test.want)
				}
			})
		})
	}
}

// This runs in real time, because in a synctest bubble a goroutine that waits for a mutex
// counts as running.
func TestLiveWritesNothingAfterClose(t *testing.T) {
	m := newMemory()
	beating, accepted := make(chan struct{}), make(chan struct{})
	m.accept = func() error {
		close(beating) // panics the second time
		<-accepted
		return nil
	}
	returned := make(chan struct{})
	go func() {
		pass(m, get(), stream(), time.Millisecond, func(http.ResponseWriter) { <-beating })
		close(returned)
	}()
	<-beating
	select {
	case <-returned:
		t.Fatal("the handler returned while a heartbeat was being written")
	case <-time.After(20 * time.Millisecond):
	}
	close(accepted)
	<-returned
	if got := m.got(); len(got) != 2 {
		t.Errorf("the client got %q", got)
	}
}

func TestLiveSendsNoHeartbeatAfterPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		func() {
			defer func() {
				if recovered := recover(); recovered != http.ErrAbortHandler {
					t.Errorf("recovered %v", recovered)
				}
			}()
			pass(m, get(), stream(), interval, func(http.ResponseWriter) { panic(http.ErrAbortHandler) })
		}()
		time.Sleep(time.Hour)
		if got := m.got(); len(got) != 1 {
			t.Errorf("the client got %q", got)
		}
	})
}

func TestLiveWriteReturnsErrorOfHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("gone")
		writes := 0
		m := newMemory()
		m.accept = func() error {
			writes++
			return gone
		}
		pass(m, get(), stream(), interval, func(w http.ResponseWriter) {
			time.Sleep(time.Hour)
			synctest.Wait()
			if writes != 1 {
				t.Errorf("%d heartbeats were tried", writes)
			}
			if n, err := io.WriteString(w, "data: a\n\n"); n != 0 || !errors.Is(err, gone) {
				t.Errorf("the write returned %d, %v", n, err)
			}
			if err := http.NewResponseController(w).Flush(); !errors.Is(err, gone) {
				t.Errorf("the flush returned %v", err)
			}
		})
	})
}

func TestLiveWritesNothingAfterError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("gone")
		m := newMemory()
		m.accept = func() error {
			m.accept = nil
			return gone
		}
		pass(m, get(), stream(), interval, func(w http.ResponseWriter) {
			if _, err := io.WriteString(w, "data: a\n\n"); !errors.Is(err, gone) {
				t.Errorf("the write returned %v", err)
			}
			time.Sleep(time.Hour)
		})
		if got := m.got(); len(got) != 1 {
			t.Errorf("the client got %q", got)
		}
	})
}

func TestLiveHeartbeatsAndWritesTakeTurns(t *testing.T) {
	m := newMemory()
	var writing atomic.Bool
	m.accept = func() error {
		if writing.Swap(true) {
			t.Error("two writes at once")
		}
		runtime.Gosched()
		writing.Store(false)
		return nil
	}
	pass(m, get(), stream(), time.Microsecond, func(w http.ResponseWriter) {
		for range 2000 {
			io.WriteString(w, "data: a\n\n")
		}
	})
}
