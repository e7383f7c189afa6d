package storm

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
	"github.com/caddy-parker/parker/internal/caddytest/inprocess"
)

// resumeConfig is a site with two ways to wait for messages, and the hook.
const resumeConfig = `{
	admin off
	auto_https off
	persist_config off
	default_bind 127.0.0.1
	parker {
		broker stepped
		history 20000 10m 100MB
	}
}
http://%[1]s {
	route {
		step "the request arrives" ""
		parker /backend messages {
			timeout 2s
			%[3]s
		}
		parker /messages messages {
			hold messages
			timeout 2s
		}
		step "the backend is asked" "the backend has answered"
		respond /backend 204
	}
}
http://%[2]s {
	parker_publish
}`

// board is a channel with numbered messages.
type board struct {
	site, hook string

	mu        sync.Mutex // guards published
	published int
}

func serveBoard(t *testing.T, options string) *board {
	t.Helper()
	onStep.Store(nil)
	addresses := caddytest.FreePorts(t, 2)
	inprocess.Serve(t, fmt.Sprintf(resumeConfig, addresses[0], addresses[1], options))
	return &board{site: "http://" + addresses[0], hook: "http://" + addresses[1] + "/messages"}
}

// publish publishes the next message, unless there are already the most allowed.
func (b *board) publish(t *testing.T, most int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.published == most {
		return
	}
	b.published++
	b.post(t, strconv.Itoa(b.published))
}

func (b *board) post(t *testing.T, body string) (position string) {
	answer := caddytest.Do(context.Background(), http.MethodPost, b.hook, body)
	var said struct{ Position string }
	if err := json.Unmarshal([]byte(answer.Body), &said); err != nil || answer.Status != http.StatusOK {
		t.Errorf("publishing: %+v", answer)
	}
	return said.Position
}

// resumer is a client that resumes from its last position each time.
type resumer struct {
	t     *testing.T
	url   string
	at    string
	heard int
	most  int // total number of messages
	more  int // maximum number of events that it reads from one stream
}

func (r *resumer) took(body, at string) {
	if number, err := strconv.Atoi(body); err != nil || number != r.heard+1 {
		r.t.Errorf("at %s, heard %s after message %d", r.url, body, r.heard)
	}
	r.heard, r.at = r.heard+1, at
}

// forms are the ways in which a resumer resumes once.
var forms = map[string]func(r *resumer){
	"poll": func(r *resumer) {
		g := caddytest.Do(r.t.Context(), http.MethodGet, r.url, "", "Last-Event-ID: "+r.at)
		if g.Err != nil || g.Header.Get("Parker-Recovered") != "" {
			r.t.Errorf("after %s a poll was answered %+v", r.at, g)
		}
		if g.Status == http.StatusOK {
			r.took(g.Body, g.Header.Get("Last-Event-ID"))
		}
	},
	"batch": func(r *resumer) {
		g := caddytest.Do(r.t.Context(), http.MethodGet, r.url+"?batch=true&last_event_id="+r.at, "", "Accept: application/json")
		if g.Err != nil || g.Header.Get("Parker-Recovered") != "" {
			r.t.Errorf("after %s a poll was answered %+v", r.at, g)
		}
		if g.Status == http.StatusOK {
			var events []struct{ ID, Data string }
			json.Unmarshal([]byte(g.Body), &events)
			for _, e := range events {
				r.took(e.Data, e.ID)
			}
		}
	},
	"stream": func(r *resumer) {
		s := caddytest.Listen(r.t, r.url, "Last-Event-ID: "+r.at)
		for range 1 + rand.N(r.more) {
			e := s.Next(r.t)
			r.took(e.Data, e.ID)
			if r.t.Failed() || r.heard == r.most {
				break
			}
		}
		s.Leave()
	},
}

func TestHistoryDeliversEventBetweenAnyTwoStepsOnce(t *testing.T) {
	const most = 30
	for _, path := range []string{"/backend", "/messages"} {
		for name, form := range forms {
			for _, step := range resumeSteps[:len(resumeSteps)-1] {
				if path == "/messages" && (step == stepAsks || step == stepAnswered) {
					continue
				}
				t.Run(path+" "+name+" "+step, func(t *testing.T) {
					b := serveBoard(t, "")
					r := &resumer{t: t, url: b.site + path, most: most, more: 1, at: b.post(t, "before")}
					publish := func(s string) {
						if s == step {
							b.publish(t, most)
						}
					}
					onStep.Store(&publish)
					defer onStep.Store(nil)
					for r.heard < most && !t.Failed() {
						form(r)
					}
				})
			}
		}
	}
}

func TestHistoryResumeDeliversEachMessageOnce(t *testing.T) {
	const (
		most    = 100
		readers = 2 // of each form and path
	)
	for _, slow := range resumeSteps {
		t.Run(slow, func(t *testing.T) {
			b := serveBoard(t, "")
			before := b.post(t, "before")
			delay := func(s string) {
				if s == slow {
					<-time.After(rand.N(5 * time.Millisecond))
				}
			}
			onStep.Store(&delay)
			defer onStep.Store(nil)
			var done sync.WaitGroup
			for _, path := range []string{"/backend", "/messages"} {
				for _, form := range forms {
					for range readers {
						done.Go(func() {
							r := &resumer{t: t, url: b.site + path, most: most, more: 4, at: before}
							for r.heard < most && !t.Failed() {
								form(r)
							}
						})
					}
				}
			}
			for range most {
				b.publish(t, most)
				if rand.N(3) == 0 {
					b.post(t, "") // a wake-up is not a message
				}
			}
			done.Wait()
		})
	}
}

// A stream that holds for messages only must not ask the backend because of a wake-up
// in the history.
func TestHistoryWakeUpDoesNotAskForMessagesOnly(t *testing.T) {
	b := serveBoard(t, "")
	before := b.post(t, "before")
	b.post(t, "missed")
	var once sync.Once
	watch := func(step string) {
		switch step {
		case stepReads:
			once.Do(func() { b.post(t, "") })
		case stepAsks:
			t.Error("the backend was asked")
		}
	}
	onStep.Store(&watch)
	defer onStep.Store(nil)
	s := caddytest.Listen(t, b.site+"/messages", "Last-Event-ID: "+before)
	if e := s.Next(t); e.Data != "missed" {
		t.Errorf("heard %+v", e)
	}
	b.post(t, "next")
	if e := s.Next(t); e.Data != "next" {
		t.Errorf("heard %+v", e)
	}
	s.Leave()
}
