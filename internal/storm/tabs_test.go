package storm

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
	"github.com/caddy-parker/parker/internal/caddytest/load"
	"github.com/caddy-parker/parker/internal/caddytest/tabs"
)

var (
	tabsSeed     = flag.Uint64("seed", 0, "the seed of the storm of tabs; 0: a random one")
	tabsDuration = flag.Duration("duration", 20*time.Second, "how long the storm of tabs lasts")
)

// tabStorm has browsers with tabs that are opened, closed, reloaded and left, while the
// states that they show change and change back, the backend restarts, and Caddy reloads.
type tabStorm struct {
	t      *testing.T
	caddy  *caddytest.Secure
	rooms  *rooms
	clock  clock
	writer *caddytest.Client
}

// No tab may show a state that is older than it would be by plain polling at its own pause,
// and a second more. A tab that was just opened must show one within a second.
func TestTabsShowStateNoLaterThanByPolling(t *testing.T) {
	seed := *tabsSeed
	if seed == 0 {
		seed = rand.Uint64N(1 << 32)
	}
	t.Logf("the seed is %d", seed)
	backend := newRooms()
	address := caddytest.FreePorts(t, 1)[0]
	server := caddytest.ServeAt(t, address, backend.ServeHTTP)
	s := &tabStorm{t: t, rooms: backend, caddy: caddytest.StartSecure(t, tabSite(0), address)}
	s.writer = s.caddy.Client(t, caddytest.HTTP1)

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var running, ticking sync.WaitGroup
	ticking.Go(func() { s.clock.run(ctx, s.caddy.Client(t, caddytest.HTTP1)) })
	ends, calm := context.WithTimeout(t.Context(), *tabsDuration)
	defer calm()
	for i := range 60 {
		running.Go(func() { s.browse(ends, seed, i) })
	}
	random := rand.New(rand.NewPCG(seed, 0))
	for n := 1; ends.Err() == nil; n++ {
		load.Pause(ends, 6*time.Second)
		if n%2 == 1 {
			s.caddy.MustLoad(t, tabSite(n))
			continue
		}
		server.Close()
		load.Pause(t.Context(), time.Duration(random.IntN(300))*time.Millisecond)
		server = caddytest.ServeAt(t, address, backend.ServeHTTP)
	}
	running.Wait()
	stop()
	ticking.Wait()
}

// tabSite returns one of the configurations.
func tabSite(n int) string {
	return strings.ReplaceAll(wholeStateSite, "OPTIONS", fmt.Sprintf("timeout %ds", 50+n%3))
}

// browse runs one browser, whose tabs show one room.
func (s *tabStorm) browse(ends context.Context, seed uint64, i int) {
	random := rand.New(rand.NewPCG(seed, uint64(i+1)*1000))
	state := tabs.NewState("A", s.clock.now)
	timer := i%3 == 2
	path := fmt.Sprint("/loop/", i)
	if timer {
		path = fmt.Sprint("/timer/", i)
	}
	s.rooms.open(path, state)
	session := fmt.Sprint("session-of-browser-", i)
	b := newBrowser(s.t, s.caddy, pick(random, caddytest.HTTP1, caddytest.HTTP2), caddytest.As{}, fmt.Sprintf("seed %d, browser %d", seed, i), session)
	shortest := pick(random, 150, 400, 1000)
	if timer {
		shortest = pick(random, 500, 1500)
	}
	calm := time.Duration(pick(random, 2, 12, 12)) * time.Second
	longest := pick(random, 10*time.Second, time.Hour)
	var all sync.WaitGroup
	count := 1 + random.IntN(4)
	for j := range count {
		p := &page{browser: b, tab: j, path: path, state: state, timer: timer}
		p.pause = time.Duration(shortest+random.IntN(shortest)) * time.Millisecond
		all.Go(func() { s.tab(ends, p, rand.New(rand.NewPCG(seed, uint64(i+1)*1000+uint64(j+1))), longest, count == 1) })
	}
	for ends.Err() == nil {
		for range 1 + random.IntN(3) {
			value := pick(random, "A", "B", "C")
			s.write(path, state, value)
			b.notes("the state is %s", value)
			load.Pause(ends, time.Duration(random.IntN(2*shortest))*time.Millisecond)
		}
		load.Pause(ends, time.Duration(random.Int64N(int64(calm))))
	}
	all.Wait()
}

// write changes the state of a room. While the backend is away, it tries again.
func (s *tabStorm) write(path string, state *tabs.State, value string) {
	for s.t.Context().Err() == nil {
		got := s.writer.Do(s.t.Context(), http.MethodPost, path+"?value="+value, "")
		if got.Err == nil && got.Status == http.StatusNoContent {
			state.Done()
			return
		}
		load.Pause(s.t.Context(), 20*time.Millisecond)
	}
}

// tab runs a tab: something happens to its page after a time up to the longest.
func (s *tabStorm) tab(ends context.Context, p *page, random *rand.Rand, longest time.Duration, alone bool) {
	load.Pause(ends, time.Duration(random.IntN(1000))*time.Millisecond)
	for fresh := true; ends.Err() == nil; {
		if fresh {
			p.load(ends)
		}
		life, over := context.WithTimeout(ends, time.Duration(random.Int64N(int64(longest))))
		p.live(life)
		over()
		p.judge()
		fresh = true
		switch random.IntN(3) {
		case 0: // it is closed
			load.Pause(ends, time.Duration(random.IntN(5000))*time.Millisecond)
		case 1: // it is left for another document, and comes back as it was
			if fresh = !p.shows(); fresh {
				continue
			}
			// With another tab open, parker would take this one for that, if it was away
			// for longer than a page load counts.
			away := 5 * time.Second
			if alone {
				away *= 3
			}
			p.notes("tab %d is left for another document", p.tab)
			p.visit(ends)
			load.Pause(ends, time.Duration(random.Int64N(int64(away))))
			p.back()
			p.notes("tab %d is back", p.tab)
			load.Pause(ends, time.Duration(random.Int64N(int64(p.pause))))
		}
	}
}
