package storm

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
	"github.com/caddy-parker/parker/internal/caddytest/load"
)

var (
	paths = []string{"/backend", "/messages"}
	forms = []load.Form{load.Poll, load.Batch, load.Stream}
)

// follow adds a client that has heard nothing of the messages yet, and resumes from its
// position each time.
func (s *stepSite) follow(path string, most int, form load.Form) {
	s.Follow(load.Client{Form: form, Most: most, Sites: []*caddytest.Client{s.site}, Path: path, Messages: []*load.Topic{s.Publisher.Topic}, Position: s.before})
}

func TestHistoryDeliversEventBetweenAnyTwoStepsOnce(t *testing.T) {
	const most = 30
	for _, path := range paths {
		for _, form := range forms {
			for _, step := range []string{stepArrives, stepNotes, stepNoted, stepAsks, stepAnswered, stepReads, stepRead} {
				if path == "/messages" && (step == stepAsks || step == stepAnswered) {
					continue
				}
				t.Run(fmt.Sprint(path, " ", form, " ", step), func(t *testing.T) {
					s := serve(t, "")
					s.follow(path, 1, form)
					var publishing sync.Mutex
					atEachStep(t, func(taken string) {
						if taken != step {
							return
						}
						publishing.Lock()
						defer publishing.Unlock()
						if s.Publisher.Topic.Messages.Count() < most {
							s.Message(0)
						}
					})
					s.Start()
					s.AwaitPublished(most)
					s.Finish()
				})
			}
		}
	}
}

func TestHistoryResumeDeliversEachMessageOnce(t *testing.T) {
	for _, slow := range []string{stepRead, stepArrives, stepNotes, stepNoted, stepAsks, stepAnswered, stepReads, stepDelivers} {
		t.Run(slow, func(t *testing.T) {
			slowDown(t, slow, 5*time.Millisecond)
			s := serve(t, "")
			for _, path := range paths {
				for _, form := range append(forms, load.Any) {
					s.follow(path, 4, form)
					s.follow(path, 4, form)
				}
			}
			s.Start()
			for range 100 {
				s.Message(0)
				if rand.N(3) == 0 {
					s.Publish("") // a wake-up is not a message
				}
			}
			s.Finish()
		})
	}
}

func TestHistoryOfTenThousandReachesClientsWhole(t *testing.T) {
	s := serve(t, "")
	for range 10_000 {
		s.Message(0)
	}
	for _, path := range paths {
		s.follow(path, 0, load.Batch)
		s.follow(path, 0, load.Stream)
		s.follow(path, 300, load.Any)
	}
	s.Start()
	for range 500 {
		s.Message(0)
	}
	s.Finish()
}

// A stream that holds for messages only must not ask the backend because of a wake-up
// in the history.
func TestHistoryWakeUpDoesNotAskForMessagesOnly(t *testing.T) {
	s := serve(t, "")
	s.Publish("missed")
	var once sync.Once
	atEachStep(t, func(step string) {
		switch step {
		case stepReads:
			once.Do(func() { s.Publish("") })
		case stepAsks:
			t.Error("the backend was asked")
		}
	})
	stream := caddytest.Listen(t, s.site.URL+"/messages", "Last-Event-ID: "+s.before)
	if e := stream.Next(t); e.Data != "missed" {
		t.Errorf("heard %+v", e)
	}
	s.Publish("next")
	if e := stream.Next(t); e.Data != "next" {
		t.Errorf("heard %+v", e)
	}
	stream.Leave()
}

// The clients share the ask that finds out whether there is a backend.
func TestHistoryReportsLostPositionToManyAtOnce(t *testing.T) {
	const many = 10
	s := serve(t, "")
	lost := caddytest.OtherEpoch(s.before)
	var read atomic.Int32
	together := make(chan struct{})
	atEachStep(t, func(step string) {
		switch step {
		case stepRead:
			if read.Add(1) == many {
				close(together)
			}
		case stepAsks:
			<-together
		}
	})
	var all sync.WaitGroup
	for range many {
		all.Go(func() {
			g := caddytest.Do(t.Context(), http.MethodGet, s.site.URL+"/messages", "", "Last-Event-ID: "+lost)
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
	s := serve(t, "watch 50ms")
	stream := caddytest.Listen(t, s.site.URL+"/backend")
	first := stream.NextID(t, "")
	var once sync.Once
	atEachStep(t, func(step string) {
		if step == stepNotes || step == stepAsks {
			once.Do(func() { s.Publish("news") })
		}
	})
	at := first
	for {
		id, e := stream.NextOfAny(t, at)
		if at = id; e == nil {
			if caddytest.Offset(t, id) > caddytest.Offset(t, first) {
				t.Errorf("the client's last ID is %s before it has heard the message there", id)
			}
			continue
		}
		if e.Data != "news" {
			t.Errorf("heard %+v", e)
		}
		return
	}
}
