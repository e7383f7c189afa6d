package response

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// idle returns Caddy's idle writer in front of a client's, and its request. Two goroutines
// must not use the idle writer at once.
func idle(client http.ResponseWriter) (*caddyhttp.IdleTimeoutWriter, *http.Request) {
	writer := &caddyhttp.IdleTimeoutWriter{
		ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: client},
		Ctrl:                  http.NewResponseController(client),
		Deadline:              caddyhttp.IdleDeadline{Timeout: time.Minute},
		Logger:                zap.NewNop(),
	}
	r := get()
	return writer, r.WithContext(caddyhttp.ContextWithIdleTimeouts(r.Context(), nil, writer))
}

func TestLiveStopInterruptsWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.header = chunked()
		m.accept = func() error { // a client that does not read
			for {
				m.mu.Lock()
				deadline := m.deadline
				m.mu.Unlock()
				if !time.Now().Before(deadline) {
					return os.ErrDeadlineExceeded
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
		client, r := idle(m)
		limits := LimitsOf(client, r)
		w := Attend(client, r, &limits, http.StatusOK, interval)
		var stopped sync.WaitGroup
		stopped.Go(func() {
			time.Sleep(10 * time.Second)
			w.Stop(nil)
		})
		_, err := io.WriteString(w, "a")
		if took := time.Since(m.start); !errors.Is(err, os.ErrDeadlineExceeded) || took < 11*time.Second || took > 12*time.Second {
			t.Errorf("the write ended after %v by %v", took, err)
		}
		w.Close()
		stopped.Wait()
	})
}

func TestLiveStopMayComeAtAnyMoment(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			m := newMemory()
			m.header = stream()
			client, r := idle(m)
			limits := LimitsOf(client, r)
			w := Attend(client, r, &limits, http.StatusOK, interval)
			var stopped sync.WaitGroup
			stopped.Go(func() { w.Stop(func() {}) })
			for range 10 {
				io.WriteString(w, "data: a\n\n")
			}
			w.Close()
			m.mu.Lock()
			m.ended = true
			m.mu.Unlock()
			stopped.Wait()
		})
	}
}
