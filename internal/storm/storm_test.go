// Package storm tests parker with many clients that poll, write, disconnect and return,
// and checks that none misses an event.
package storm

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
	"github.com/caddy-parker/parker/internal/caddytest/inprocess"
	"github.com/caddy-parker/parker/internal/caddytest/load"
)

// steppedSite has a page whose rows the backend has, and two ways to wait for messages.
// All steps can be seen: see steps_test.go. Without look_again, and with a long timeout,
// nothing makes up for a wake-up that is lost.
const steppedSite = `{
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
		respond /probe "here"
		step "the request arrives" ""
		parker_notify /rows
		step "" "the backend has answered a write"
		parker /rows {
			timeout 1m
			look_again off
		}
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
		reverse_proxy /rows %[4]s {
			transport http {
				keepalive_idle_conns_per_host 300
			}
		}
	}
}
http://%[2]s {
	parker_publish
}`

// stepSite is a running steppedSite, with a load for it.
type stepSite struct {
	load.Load
	load.Publisher // of messages

	site   *caddytest.Client
	before string // the position before all messages
}

// serve runs Caddy in this process until the test ends, with options for /backend.
func serve(t *testing.T, options string) *stepSite {
	t.Helper()
	caddytest.SkipShort(t)
	s := &stepSite{Load: load.Load{T: t}}
	backend := caddytest.Serve(t, s.NewBoard().ServeHTTP)
	addresses := caddytest.FreePorts(t, 2)
	inprocess.Serve(t, fmt.Sprintf(steppedSite, addresses[0], addresses[1], options, backend))
	s.site = load.Site(t, addresses[0])
	s.Publisher = load.Publisher{Load: &s.Load, Topic: s.Load.Topic("messages"), Hook: "http://" + addresses[1] + "/messages"}
	s.before = s.Publish("before").Position
	return s
}

func TestStormOfPollsLosesNothing(t *testing.T) {
	storm(t, "", 20*time.Second)
}

func TestStormWithAnySlowStepLosesNothing(t *testing.T) {
	for _, step := range []string{stepArrives, stepAsks, stepAnswered, stepWritten, stepDelivers, stepDelivered} {
		t.Run(step, func(t *testing.T) { storm(t, step, 2*time.Second) })
	}
}

// storm has clients that poll as old pages do, without positions, while others write.
func storm(t *testing.T, slow string, duration time.Duration) {
	const clients, writers = 200, 4
	slowDown(t, slow, 100*time.Millisecond)
	s := serve(t, "")
	s.LeaveOneIn, s.LeaveWithin = 4, time.Second
	s.Probe = s.site.URL + "/probe"
	for i := range clients {
		var header []string
		if i%3 == 0 {
			header = append(header, "Prefer: wait=1") // which times out while others write
		}
		if i%4 == 0 {
			header = append(header, fmt.Sprint("Cookie: client=", i)) // which shares no ask
		}
		s.Follow(load.Client{Form: load.Poll, Sites: []*caddytest.Client{s.site}, Path: "/rows", Header: header, Rows: s.Load.Topic("rows")})
	}
	s.Start()
	var all []func(context.Context)
	for range writers {
		all = append(all, func(ctx context.Context) {
			for stormy := true; stormy && !s.Failed(); load.Pause(ctx, rand.N(100*time.Millisecond)) {
				stormy = ctx.Err() == nil // at the end, all write at once
				if answer := s.Send(s.site.URL+"/rows", "text"); answer.Status != http.StatusSeeOther {
					s.Breaks("a write was answered %+v", answer)
				}
			}
		})
	}
	s.Act(duration, all...)
	s.Finish()
}

// slowDown delays one step by up to the time, until the test ends.
func slowDown(t *testing.T, slow string, longest time.Duration) {
	atEachStep(t, func(step string) {
		if step == slow {
			<-time.After(rand.N(longest))
		}
	})
}
