package e2e

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
	"github.com/caddy-parker/parker/internal/caddytest/load"
)

// crowds are the clients of each protocol.
var crowds = []struct {
	protocol       caddytest.Protocol
	polls, streams int
}{{caddytest.HTTP1, 250, 100}, {caddytest.HTTP2, 250, 100}, {caddytest.HTTP3, 20, 10}}

func TestReloadTwentyTimesUnderLoadLosesNothing(t *testing.T) {
	const rooms, reloads = 50, 20
	s := newStorm(t, "", roomNames(rooms)...)
	var waiting []<-chan caddytest.Answer
	var still []*caddytest.Stream
	for _, crowd := range crowds {
		client := s.caddy.Client(t, crowd.protocol)
		for i := range crowd.polls {
			s.follow(s.rooms[i%rooms], client, load.Poll, 1)
		}
		for i := range crowd.streams {
			s.follow(s.rooms[i%rooms], client, load.Stream, 1)
		}
		for range 4 {
			if crowd.protocol != caddytest.HTTP3 { // which holds a poll for at most 25 s
				waiting = append(waiting, client.Get(t.Context(), "/"+s.still.name+"?since=0"))
			}
			still = append(still, caddytest.ListenWith(t, client.Transport, client.URL+"/"+s.still.name+"?since=0"))
		}
	}
	s.caddy.AwaitWaiting(t, s.still.name, len(waiting))
	awaitStreams(t, s.caddy.Caddy, s.still.name, len(still))

	s.Start()
	ctx, end := context.WithCancel(t.Context())
	s.Act(time.Hour,
		func(context.Context) { s.publishAll(ctx, 10*time.Millisecond) },
		func(context.Context) {
			defer end()
			for i := range reloads {
				s.AwaitPublished(s.Published() + 10)
				s.reload(t, i+1, "", len(waiting), len(still))
			}
		})
	s.Finish()

	// The requests that have waited all the time are now in the last configuration.
	s.upstreams[1] = caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Backend", r.Header.Get("X-New"))
		s.Board.ServeHTTP(w, r)
	})
	s.reload(t, 7, "", len(waiting), len(still))
	if p := s.still.Row(); p.Released != len(waiting)+len(still) {
		t.Errorf("%d of %d requests were released", p.Released, len(waiting)+len(still))
	}
	const row = `["rooms/still 1"]`
	for _, poll := range waiting {
		if g := <-poll; g.Status != 200 || g.Body != row || g.Header.Get("X-Generation") != "7" || g.Header.Get("X-Backend") != "yes" || g.Release() != "replay" {
			t.Errorf("a waiting poll was answered %+v", g)
		}
	}
	for _, stream := range still {
		if e := stream.Next(t); e.Data != row {
			t.Errorf("a waiting stream heard %+v", e)
		}
	}
}

// Each poll is parked before a reload and released after it, so that none is held for
// longer than HTTP/3 allows.
func TestReloadKeepsPollsAndStreamsOnEveryProtocol(t *testing.T) {
	const polls, streams = 3, 2
	// All must be parked when something is published, so look_again is off.
	const options = "look_again off"
	s := newStorm(t, options, "rooms/all")
	for _, protocol := range caddytest.Protocols {
		client := s.caddy.Client(t, protocol)
		s.follow(s.still, client, load.Poll, polls)
		s.follow(s.still, client, load.Stream, streams)
	}
	protocols := len(caddytest.Protocols)
	s.Start()
	for i := range generations {
		s.caddy.AwaitWaiting(t, s.still.name, polls*protocols)
		awaitStreams(t, s.caddy.Caddy, s.still.name, streams*protocols)
		s.reload(t, i+1, options, polls*protocols, streams*protocols)
		if p := s.still.publish(i%2 == 1); p.Released != len(s.Clients) {
			t.Errorf("after reload %d, %d of %d are left", i+1, p.Released, len(s.Clients))
		}
		s.AwaitHeard()
	}
	s.Finish()
}
