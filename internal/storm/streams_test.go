package storm

import (
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
	"github.com/caddy-parker/parker/internal/caddytest/load"
)

const streamsSite = `{
	{$GLOBAL}
	parker {
		history 10000 10m
	}
}
http://{$SITE} {
	parker /events {
		hold messages
		sse {
			queue 16
		}
	}
}
http://{$HOOK} {
	parker_publish
}`

// Clients stop reading for a while, so that their queues overflow, or disconnect, and
// resume where they were.
func TestStormOfStreamsDeliversEachEventOnceInOrder(t *testing.T) {
	const (
		clients   = 100
		published = 1500
		length    = 16_000 // of a message: some hundreds fill the buffers of a connection that is not read
	)
	caddy := caddytest.Start(t, streamsSite, "127.0.0.1:1")
	l := &load.Load{T: t, StallOneIn: 500, StallWithin: 5 * time.Second}
	p := &load.Publisher{Load: l, Topic: l.Topic("events"), Hook: "http://" + caddy.Hook + "/events"}
	before := p.Publish("before").Position
	// Its connections hold little, so that they are soon full when they are not read.
	sites := []*caddytest.Client{{Protocol: caddytest.HTTP1, URL: "http://" + caddy.Site, Transport: caddytest.NewStall().Transport()}}
	for range clients {
		l.Follow(load.Client{Form: load.Stream, Most: 2000, Sites: sites, Path: "/events", Messages: []*load.Topic{p.Topic}, Position: before})
	}
	l.Start()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range published {
		p.Message(length)
		<-tick.C
	}
	l.Finish()
}
