package e2e

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// crowds are the readers of each protocol.
var crowds = []struct {
	protocol       caddytest.Protocol
	polls, streams int
}{{caddytest.HTTP1, 250, 100}, {caddytest.HTTP2, 250, 100}, {caddytest.HTTP3, 20, 10}}

func TestReloadTwentyTimesUnderLoadLosesNothing(t *testing.T) {
	skipShort(t)
	const rooms, reloads, every = 50, 20, 10 * time.Millisecond
	s := &storm{known: make(map[string]bool), hook: &http.Transport{DisableKeepAlives: true}}
	upstreams := []string{caddytest.Serve(t, s.serve), caddytest.Serve(t, s.serve)}
	s.caddy = caddytest.StartSecure(t, generation(0, upstreams[0]), "", "OTHER="+caddytest.FreePorts(t, 1)[0])
	s.begin(t, rooms)

	var readers sync.WaitGroup
	var waiting []<-chan caddytest.Answer
	var still []*caddytest.Stream
	for _, crowd := range crowds {
		client := s.caddy.Client(t, crowd.protocol)
		for i := range crowd.streams {
			stream := s.open(t, client, s.rooms[i%rooms])
			readers.Go(func() { s.listen(t, client, stream, s.rooms[i%rooms]) })
		}
		for i := range crowd.polls {
			readers.Go(func() { s.poll(t, client, fmt.Sprint(crowd.protocol, " poll ", i), s.rooms[i%rooms]) })
		}
		for range 4 {
			if crowd.protocol != caddytest.HTTP3 { // which holds a poll for at most 25 s
				waiting = append(waiting, client.Get(t.Context(), "/"+s.still.name+"?version=0"))
			}
			still = append(still, caddytest.ListenWith(t, client.Transport, client.URL+"/"+s.still.name+"?version=0"))
		}
	}
	s.caddy.AwaitWaiting(t, s.still.name, len(waiting))
	awaitStreams(t, s.caddy.Caddy, s.still.name, len(still))

	end := make(chan struct{})
	var publishing sync.WaitGroup
	publishing.Go(func() { s.publishAll(t, every, end) })
	for i := range reloads {
		awaitMore(t, &s.published, 10)
		s.caddy.MustLoad(t, generation(i+1, upstreams[(i+1)%2]))
		s.caddy.AwaitWaiting(t, s.still.name, len(waiting))
		awaitStreams(t, s.caddy.Caddy, s.still.name, len(still))
	}
	close(end)
	publishing.Wait()
	readers.Wait()

	// The requests that have waited all the time are now in the last configuration.
	s.caddy.MustLoad(t, generation(7, caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Backend", r.Header.Get("X-New"))
		s.serve(w, r)
	})))
	if p := s.publish(t, s.still, true); p.Released != len(waiting)+len(still) {
		t.Errorf("%d of %d requests were released", p.Released, len(waiting)+len(still))
	}
	for _, poll := range waiting {
		if g := <-poll; g.Status != 200 || g.Body != "version 1" || g.Header.Get("X-Generation") != "7" || g.Header.Get("X-Backend") != "yes" || g.Release() != "replay" {
			t.Errorf("a waiting poll was answered %+v", g)
		}
	}
	for _, stream := range still {
		hears(t, stream, "version 1")
	}
}

// awaitMore returns when the count has grown by n.
func awaitMore(t *testing.T, count *atomic.Int32, n int32) {
	t.Helper()
	n += count.Load()
	caddytest.Await(t, fmt.Sprint("there are ", n), func() bool { return count.Load() >= n })
}
