package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// visitor has polls and streams of one protocol on the channel that all share.
type visitor struct {
	*caddytest.Client
	polls   []<-chan caddytest.Answer
	streams []*caddytest.Stream
	version int
	heard   string // the position of the last message
}

// poll parks polls that resume after the last position heard.
func (v *visitor) poll(t *testing.T, n int) {
	v.polls = nil
	for range n {
		v.polls = append(v.polls, v.Get(t.Context(), fmt.Sprintf("/rooms/all?version=%d", v.version), "Last-Event-ID: "+v.heard))
	}
}

// expectNext checks that each poll and stream hears the wanted event next.
func (v *visitor) expectNext(t *testing.T, want string) {
	t.Helper()
	for _, poll := range v.polls {
		g := <-poll
		if g.Body != want || g.Header.Get("Parker-Recovered") != "" {
			t.Errorf("by %s, a poll was answered %+v, want %s", v.Protocol, g, want)
		}
		if id := g.Header.Get("Last-Event-ID"); id != "" {
			v.heard = id
		}
	}
	for _, stream := range v.streams {
		if e := stream.Next(t); e.Data != want {
			t.Errorf("by %s, a stream heard %+v, want %s", v.Protocol, e, want)
		}
	}
}

// Each poll is parked before a reload and released after it, so that none is held for
// longer than HTTP/3 allows.
func TestReloadKeepsPollsAndStreamsOnEveryProtocol(t *testing.T) {
	const polls, streams = 3, 2
	s := &storm{known: make(map[string]bool), hook: &http.Transport{DisableKeepAlives: true}}
	r := &room{name: "rooms/all"}
	s.rooms, s.still = []*room{r}, r
	upstreams := []string{caddytest.Serve(t, s.serve), caddytest.Serve(t, s.serve)}
	// All must be parked when something is published, so look_again is off.
	site := func(i int) string {
		return strings.Replace(generation(i, upstreams[i%2]), "timeout ", "look_again off\n\t\ttimeout ", 1)
	}
	s.caddy = caddytest.StartSecure(t, site(0), "", "OTHER="+caddytest.FreePorts(t, 1)[0])
	r.start = s.publish(t, r, false).Position

	var visitors []*visitor
	for _, protocol := range caddytest.Protocols {
		v := &visitor{Client: s.caddy.Client(t, protocol), heard: r.start}
		for range streams {
			v.streams = append(v.streams, s.open(t, v.Client, r))
		}
		visitors = append(visitors, v)
	}
	all := (polls + streams) * len(visitors)
	for i := range generations {
		version := i%2 == 1
		for _, v := range visitors {
			v.poll(t, polls)
		}
		s.caddy.AwaitWaiting(t, r.name, polls*len(visitors))
		awaitStreams(t, s.caddy.Caddy, r.name, streams*len(visitors))
		s.caddy.MustLoad(t, site(i+1))
		if p := s.publish(t, r, version); p.Released != all {
			t.Errorf("after reload %d, %d of %d are left", i+1, p.Released, all)
		}
		messages, versions := r.upTo()
		for _, v := range visitors {
			if version {
				v.expectNext(t, fmt.Sprint("version ", versions))
				v.version = versions
			} else {
				v.expectNext(t, fmt.Sprint("message ", messages))
			}
		}
	}
	for _, v := range visitors {
		for _, stream := range v.streams {
			stream.Leave()
			if rest, _ := stream.Rest(t); len(rest) > 0 {
				t.Errorf("by %s, a stream also heard %v", v.Protocol, rest)
			}
		}
	}
}
