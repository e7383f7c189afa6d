package storm

import (
	"context"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
	"github.com/caddy-parker/parker/internal/caddytest/load"
)

// author publishes on one topic, one event after the other, at one node as long as it
// is available or at any node. Most events are messages; the others are a row in the
// backend and a wake-up.
//
// If a publish fails, it is unknown whether the event was published, so the author
// publishes it again, at any node, with the same ID. An event that was answered with
// 202 reaches the other nodes later. So the author stays at its node until the broker
// is back, because only that node keeps its events in order.
type author struct {
	*fleet
	topic   *load.Topic
	home    *node // nil if none
	staysAt *node // nil if it may move
}

// write publishes until the failures end, and then until the broker has everything.
func (a *author) write(ctx context.Context, t *testing.T) {
	const each = time.Second * topics / perSecond
	for ctx.Err() == nil {
		if rand.N(5) == 0 {
			a.writeRow(t)
		} else {
			a.writeMessage(t)
		}
		load.Pause(ctx, each/2+rand.N(each))
	}
	a.writeRow(t)
	for last := time.Now().Add(longPatience); a.staysAt != nil && !a.Failed(); load.Pause(t.Context(), each) {
		if time.Now().After(last) {
			a.Breaks("node %d did not reach the broker again", a.staysAt.number)
		}
		a.writeMessage(t)
	}
}

func (a *author) writeMessage(t *testing.T) {
	number := a.topic.Messages.Add()
	text := a.topic.Messages.Text(number)
	a.topic.Messages.Set(number, a.publish(t, text, "Parker-Id: "+text))
}

func (a *author) writeRow(t *testing.T) {
	number := a.topic.Rows.Add()
	a.topic.Rows.Set(number, a.publish(t, ""))
}

// publish publishes one event, with as many attempts as necessary.
func (a *author) publish(t *testing.T, body string, header ...string) load.Item {
	last := time.Now().Add(longPatience)
	for again := false; ; again = true {
		n := a.choose(again)
		place := n.place()
		answer := caddytest.Do(t.Context(), http.MethodPost, "http://"+n.caddy.Hook+"/"+a.topic.Name, body, header...)
		away := answer.Status == http.StatusAccepted
		item := load.Item{Published: time.Now(), Place: place, Ahead: away}
		switch {
		case answer.Err == nil && away:
			a.staysAt = n
			return item
		case answer.Err == nil && answer.Status == http.StatusOK:
			a.staysAt = nil
			return item
		case answer.Err == nil || time.Now().After(last):
			a.Breaks("publishing %q at node %d: %+v", body, n.number, answer)
			return item
		case n.place() != place:
			a.staysAt = nil
		}
		load.Pause(t.Context(), 10*time.Millisecond)
	}
}

func (a *author) choose(again bool) *node {
	switch {
	case a.staysAt != nil:
		return a.staysAt
	case a.home != nil && !again:
		return a.home
	}
	return a.nodes[rand.N(len(a.nodes))]
}
