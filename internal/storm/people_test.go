package storm

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
	"github.com/caddy-parker/parker/internal/caddytest/load"
	"github.com/caddy-parker/parker/internal/caddytest/tabs"
)

// household is people at one address who have the same browser, and look at one room.
type household struct {
	people  int
	kind    string // of their pages, as in the path of the room
	cookies bool   // without, nothing tells them apart
	path    string
	state   *tabs.State
	pages   []*page
}

// Nobody waits for a first state, sees what is another's, or sees a change late. The backend
// is asked no more than the pages poll and writes release, and much less by those that are
// told apart.
func TestPeopleBehindOneAddressAreEachServed(t *testing.T) {
	backend := newRooms()
	s := &tabStorm{t: t, rooms: backend, caddy: caddytest.StartSecure(t, tabSite(0), caddytest.Serve(t, backend.ServeHTTP))}
	s.writer = s.caddy.Client(t, caddytest.HTTP1)
	var all []*household
	for _, people := range []int{2, 50} {
		for _, kind := range []string{"loop", "timer"} {
			for _, cookies := range []bool{true, false} {
				all = append(all, s.household(len(all), people, kind, cookies))
			}
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var living, ticking sync.WaitGroup
	ticking.Go(func() { s.clock.run(ctx, s.caddy.Client(t, caddytest.HTTP1)) })
	began := time.Now()
	for _, h := range all {
		for _, p := range h.pages {
			living.Go(func() {
				load.Pause(ctx, rand.N(2*p.pause))
				p.load(ctx)
				p.live(ctx)
			})
		}
	}
	const writes = 5
	for i := range writes {
		load.Pause(ctx, 3*time.Second)
		for _, h := range all {
			s.write(h.path, h.state, []string{"B", "A"}[i%2])
		}
	}
	load.Pause(ctx, 4*time.Second) // longer than a page may be late
	stop()
	living.Wait()
	ticking.Wait()
	held := make(map[bool]int) // by whether there are cookies
	for _, h := range all {
		held[h.cookies] += h.judge(t, s.rooms.asked(h.path), writes, time.Since(began))
	}
	if held[true] == 0 || held[false] > 0 {
		t.Errorf("%d polls were held of people with cookies, %d of people without", held[true], held[false])
	}
}

// household returns people who have each opened a page.
func (s *tabStorm) household(i, people int, kind string, cookies bool) *household {
	h := &household{people: people, kind: kind, cookies: cookies, path: fmt.Sprint("/", kind, "/", i), state: tabs.NewState("A", s.clock.now)}
	s.rooms.open(h.path, h.state)
	as := caddytest.As{Address: netip.AddrFrom4([4]byte{127, 0, 0, byte(10 + i)})}
	for person := range people {
		session := ""
		if cookies {
			session = fmt.Sprintf("session-%d-%d", i, person)
		}
		protocol := []caddytest.Protocol{caddytest.HTTP1, caddytest.HTTP2}[person%2]
		b := newBrowser(s.t, s.caddy, protocol, as, fmt.Sprintf("one of %d people, with cookies %v", people, cookies), session)
		h.pages = append(h.pages, &page{browser: b, path: h.path, pause: time.Second, timer: kind == "timer", state: h.state})
	}
	return h
}

// judge judges what the people have seen in a time, and how often their pages have polled and
// the backend was asked. It returns how many polls a write has released.
func (h *household) judge(t *testing.T, asks, writes int, open time.Duration) (held int) {
	polls := 0
	for _, p := range h.pages {
		p.judge()
		if !p.shows() || p.failed.Load() > 0 {
			p.fails("the page shows something: %v; %d polls have failed", p.shows(), p.failed.Load())
		}
		polls, held = polls+p.polls, held+p.held
	}
	t.Logf("%d people, %s, cookies %v: %d polls, %d held, %d asks", h.people, h.kind, h.cookies, polls, held, asks)
	if most := polls + writes*h.people; asks > most {
		t.Errorf("the backend was asked %d times, want at most %d", asks, most)
	}
	if most := h.people * int(open/h.pages[0].pause) * 4 / 5; h.cookies && h.kind == "loop" && polls > most {
		t.Errorf("pages whose polls can be held have polled %d times in %v, want at most %d", polls, open, most)
	}
	return held
}
