package storm

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestHistoryOfTenThousandReachesReadersWhole(t *testing.T) {
	const (
		long   = 10_000 // messages before the readers start
		most   = 10_500 // with the messages published meanwhile
		single = 300    // number of polls, which get one message each
	)
	b := serveBoard(t, "")
	before := b.post(t, "before")
	for range long {
		b.publish(t, most)
	}
	var all sync.WaitGroup
	for _, path := range []string{"/backend", "/messages"} {
		all.Go(func() {
			r := &resumer{t: t, url: b.site + path, most: most, at: before}
			for r.heard < single && !t.Failed() {
				forms["poll"](r)
			}
			for r.heard < most && !t.Failed() {
				forms["batch"](r)
			}
		})
		all.Go(func() {
			s := caddytest.Listen(t, b.site+path, "Last-Event-ID: "+before)
			r := &resumer{t: t, url: b.site + path, most: most}
			for r.heard < most && !t.Failed() {
				e := s.Next(t)
				r.took(e.Data, e.ID)
			}
		})
	}
	all.Go(func() {
		for range most - long {
			b.publish(t, most)
		}
	})
	all.Wait()
}

// The clients share the ask that finds out whether there is a backend.
func TestHistoryReportsLostPositionToManyAtOnce(t *testing.T) {
	b := serveBoard(t, "")
	lost := caddytest.OtherEpoch(b.post(t, "before"))
	const many = 10
	var read atomic.Int32
	together := make(chan struct{})
	step := func(step string) {
		switch step {
		case stepRead:
			if read.Add(1) == many {
				close(together)
			}
		case stepAsks:
			<-together
		}
	}
	onStep.Store(&step)
	defer onStep.Store(nil)
	var all sync.WaitGroup
	for range many {
		all.Go(func() {
			g := caddytest.Do(t.Context(), http.MethodGet, b.site+"/messages", "", "Last-Event-ID: "+lost)
			if g.Status != http.StatusNoContent || g.Header.Get("Parker-Recovered") != "false" || g.Header.Get("Last-Event-ID") == "" {
				t.Errorf("one of the polls was answered %+v", g)
			}
		})
	}
	all.Wait()
}

// Under watch, an answer of the backend must not move a client past a message that it
// has not heard.
func TestWatchDoesNotHideMessage(t *testing.T) {
	b := serveBoard(t, "watch 50ms")
	s := caddytest.Listen(t, b.site+"/backend")
	first := s.NextID(t, "")
	var once sync.Once
	publish := func(step string) {
		if step == stepNotes || step == stepAsks {
			once.Do(func() { b.publish(t, 1) })
		}
	}
	onStep.Store(&publish)
	defer onStep.Store(nil)
	at := first
	for {
		id, e := s.NextOfAny(t, at)
		if at = id; e == nil {
			if caddytest.Offset(t, id) > caddytest.Offset(t, first) {
				t.Errorf("the client's last ID is %s before it has heard the message there", id)
			}
			continue
		}
		if e.Data != "1" {
			t.Error(fmt.Sprint("heard ", e))
		}
		return
	}
}
