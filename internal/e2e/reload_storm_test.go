package e2e

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
	"github.com/caddy-parker/parker/internal/caddytest/load"
)

// storm has polls and streams on many rooms while Caddy is reloaded. No request may fail
// and no stream may end.
type storm struct {
	load.Load
	caddy *caddytest.Secure
	rooms []*room
	still *room // a room without news

	upstreams [2]string
}

// room has two kinds of news: messages, and rows of the backend.
type room struct {
	load.Publisher
	name  string
	start string // the position before all news
}

// stormSite is the template of all configurations. GLOBALS, AROUND and the other words
// are replaced as in generations.
const stormSite = `{
	{$GLOBAL}
	servers {
		protocols h1 h2 h3
	}
	parker {
		GLOBALS
	}
}
http://{$SITE}, https://{$TLS_SITE} {
	AROUND
	parker /rooms/* ROUTE {
		timeout TIMEOUT
		OPTIONS
	}
	reverse_proxy UPSTREAM {
		header_up X-Upstream {upstream_hostport}
	}
}
http://{$HOOK} {
	parker_publish
}
MORE
`

// generations are the changes from one reload to the next.
var generations = []map[string]string{
	{},
	{"TIMEOUT": "4m"},
	{"GLOBALS": "history 200 5m"},
	{"ROUTE": "rooms/{path.1} all"},
	{"MORE": "http://{$OTHER} {\n respond hello\n parker /x\n}"},
	{"GLOBALS": "max_parked 5000\n max_message 2MB\n max_channels_per_client 500"},
	{"AROUND": "encode gzip zstd\n log {\n output stderr\n }\n templates"},
	{"AROUND": "header X-Generation 7\n request_header X-New yes"},
	{"OPTIONS": "sse {\n queue 200\n heartbeat 5s\n }\n share {header.Cookie}"},
	{"ROUTE": "rooms/{path.1} rooms/lobby", "OPTIONS": "asks 16\n per_client 10000"},
}

// generation returns one of the configurations, with more options of parker.
func (s *storm) generation(i int, options string) string {
	words := map[string]string{"UPSTREAM": s.upstreams[i%2], "TIMEOUT": "5m"} // longer than the test
	maps.Copy(words, generations[i%len(generations)])
	words["OPTIONS"] = options + "\n" + words["OPTIONS"]
	pairs := []string{}
	for _, word := range []string{"GLOBALS", "AROUND", "ROUTE", "TIMEOUT", "OPTIONS", "UPSTREAM", "MORE"} {
		pairs = append(pairs, word, words[word])
	}
	return strings.NewReplacer(pairs...).Replace(stormSite)
}

// newStorm starts Caddy in the first generation, with rooms of the names, of which the
// last is still.
func newStorm(t *testing.T, options string, names ...string) *storm {
	s := &storm{Load: load.Load{T: t}}
	s.upstreams = [2]string{caddytest.Serve(t, s.NewBoard().ServeHTTP), caddytest.Serve(t, s.Board.ServeHTTP)}
	s.caddy = caddytest.StartSecure(t, s.generation(0, options), "", "OTHER="+caddytest.FreePorts(t, 1)[0])
	for _, name := range names {
		r := &room{name: name, Publisher: load.Publisher{Load: &s.Load, Topic: s.Topic(name), Hook: "http://" + s.caddy.Hook + "/" + name, Transport: load.Fresh()}}
		r.start = r.Publish("before").Position
		s.rooms, s.still = append(s.rooms, r), r
	}
	return s
}

// follow adds clients of a room, which hear all of its news from the start.
func (s *storm) follow(r *room, site *caddytest.Client, form load.Form, n int) {
	for range n {
		s.Follow(load.Client{
			Form: form, Sites: []*caddytest.Client{site}, Path: "/" + r.name,
			Messages: []*load.Topic{r.Topic}, Rows: r.Topic, Position: r.start, Attempts: true, Stays: true,
		})
	}
}

// publish puts something new into the room: a message or a row.
func (r *room) publish(row bool) caddytest.Publication {
	if row {
		return r.Row()
	}
	return r.Message(0)
}

// publishAll puts something new into one room after the other until the context ends, and
// then a last message into each room.
func (s *storm) publishAll(ctx context.Context, every time.Duration) {
	rooms := s.rooms[:len(s.rooms)-1]
	for i := 0; ctx.Err() == nil; i++ {
		rooms[i%len(rooms)].publish(i/len(rooms)%3 == 2)
		load.Pause(ctx, every)
	}
	for _, r := range rooms {
		r.publish(false)
	}
}

// reload loads a generation. Whatever waits in the still room keeps waiting.
func (s *storm) reload(t *testing.T, i int, options string, polls, streams int) {
	s.Reload(func() { s.caddy.MustLoad(t, s.generation(i, options)) })
	s.caddy.AwaitWaiting(t, s.still.name, polls)
	awaitStreams(t, s.caddy.Caddy, s.still.name, streams)
}

// roomNames returns names of n rooms and a still one.
func roomNames(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprint("rooms/", i))
	}
	return append(names, "rooms/still")
}
