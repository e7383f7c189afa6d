package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest/load"
)

// publisher publishes the items of a topic, one after the other.
type publisher struct {
	load.Publisher
	soak    *soak
	channel string
	every   time.Duration // up to so long between two

	// path and header are where the backend takes items; empty: they are messages.
	path   string
	header []string
}

// run publishes until the context ends, and what it has begun to the end.
func (p *publisher) run(ctx context.Context) {
	burst := 0 // items that are to come at once
	for ; ctx.Err() == nil; burst-- {
		if burst <= 0 {
			load.Pause(ctx, rand.N(p.every))
			if rand.N(4) == 0 {
				burst = rand.N(30)
			}
		}
		switch {
		case p.path == "":
			if rand.N(10) == 0 {
				p.Publish("")
			}
			p.Message(rand.N(16 << 10))
			if rand.N(10) == 0 {
				text := p.Topic.Messages.Text(p.Topic.Messages.Count())
				p.Publish(text, "Parker-Id: "+text) // a duplicate
			}
		case rand.N(3) == 0:
			p.Row() // as a cron job does
		default:
			p.write()
		}
	}
}

// write sends the next item to the backend through the proxy until it is taken. The
// backend may be down.
func (p *publisher) write() {
	number := p.Topic.Rows.Count() + 1
	path := fmt.Sprint(p.path, "?number=", number)
	if rand.N(2) == 0 {
		path += "&announce=" + p.channel
	}
	for !p.soak.Failed() {
		began := time.Now()
		answer := p.Send("http://"+p.soak.caddy.Site+path, "", p.header...)
		if answer.Status == http.StatusSeeOther {
			p.Topic.Rows.Done(number)
			return
		}
		if p.soak.backend.servedSince(began) {
			p.soak.Breaks("POST %s was answered %+v", path, answer)
		}
		load.Pause(context.Background(), 50*time.Millisecond)
	}
}
