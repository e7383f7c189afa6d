package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// publisher publishes the items of a topic, one after the other.
type publisher struct {
	soak    *soak
	topic   *topic
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
			pause(ctx, rand.N(p.every))
			if rand.N(4) == 0 {
				burst = rand.N(30)
			}
		}
		number := p.topic.count() + 1
		switch {
		case p.path == "":
			p.message(number)
		case rand.N(3) == 0:
			p.soak.board.add(p.topic.name, number) // as a cron job does
			p.hook("")
		default:
			announce := ""
			if rand.N(2) == 0 {
				announce = "&announce=" + p.channel
			}
			for !p.write(fmt.Sprint(p.path, "?number=", number, announce)) {
				pause(context.Background(), 50*time.Millisecond)
			}
		}
		p.topic.announce()
	}
}

// message publishes the item as a message, sometimes twice, and sometimes with a
// wake-up before it.
func (p *publisher) message(number int) {
	if rand.N(10) == 0 {
		p.hook("")
	}
	text := p.topic.item(number) + " " + strings.Repeat("x", rand.N(16<<10))
	id := fmt.Sprint("Parker-Id: ", number)
	p.hook(text, id)
	if rand.N(10) == 0 {
		p.hook(text, id)
	}
}

// hook publishes at the hook, which must succeed.
func (p *publisher) hook(text string, header ...string) {
	url := "http://" + p.soak.caddy.Hook + "/" + p.channel
	answer := p.send(url, text, header...)
	if answer.Status != http.StatusOK {
		p.soak.breaks("a publish on %s was answered %+v", p.channel, answer)
	}
}

// write sends the item to the backend through the proxy, and tells whether it was
// taken. The backend may be down.
func (p *publisher) write(path string) bool {
	began := time.Now()
	answer := p.send("http://"+p.soak.caddy.Site+path, "", p.header...)
	if answer.Status == http.StatusSeeOther {
		return true
	}
	if p.soak.board.servedSince(began) {
		p.soak.breaks("POST %s was answered %+v", path, answer)
		return true
	}
	return false
}

func (p *publisher) send(url, body string, header ...string) caddytest.Answer {
	return caddytest.DoWith(context.Background(), p.soak.fresh, http.MethodPost, url, body, header...)
}
