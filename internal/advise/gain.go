package advise

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// heldTime is for how long parker holds a request on average, with its default timeout of
// 55 seconds, which is shortened by up to a tenth.
const heldTime = 52 * time.Second

// gainOf says what parker would have brought. It errs on the side of less: each write costs a
// replay for each client that it releases, also if they share, and each change the next poll.
func gainOf(p *Poll, r *route, changes []step) Gain {
	g := Gain{Asks: len(r.records), Parked: mostAtOnce(r)}
	needed := len(changes)
	for _, t := range r.threads {
		lasted := time.Duration(t.asks[len(t.asks)-1].begun - t.asks[0].begun)
		needed += 1 + int(lasted/heldTime)
		if watch := p.watch(); watch > 0 && !p.Public {
			needed += int(lasted / watch)
		}
	}
	if watch := p.watch(); watch > 0 && p.Public {
		needed += int(time.Duration(r.lastSeen()-r.records[0].begun) / watch)
	}
	for _, publisher := range p.Publishers {
		needed += publisher.Writes * max(len(r.threads)/publisher.rooms(r), 1)
	}
	g.Spared = max(g.Asks-needed, 0)
	g.Time = time.Duration(g.Spared) * r.rhythm.took
	g.Sooner = p.sooner(changes)
	return g
}

// rooms returns among how many rooms the clients of a poll are divided, of which a write
// releases one.
func (p *Publisher) rooms(r *route) int {
	if len(p.Channels) > 0 && !strings.Contains(p.Channels[0], "{") {
		return 1
	}
	rooms := make(map[string]bool)
	for _, t := range r.threads {
		rooms[t.key] = true
	}
	return max(len(rooms), 1)
}

// sooner returns how long after the write news came to each client, on average. Where no
// write explains them, and parker finds them by asking, they come no sooner.
func (p *Poll) sooner(changes []step) time.Duration {
	if len(p.Publishers) == 0 || len(changes) == 0 {
		return 0
	}
	return p.Every / 2 * time.Duration(p.Changes-p.Unknown) / time.Duration(p.Changes)
}

// mostAtOnce returns how many threads were active at the same time, at most: each would be a
// held request.
func mostAtOnce(r *route) int {
	type edge struct {
		at   int64
		step int
	}
	var edges []edge
	for _, t := range r.threads {
		edges = append(edges, edge{t.asks[0].begun, 1}, edge{t.asks[len(t.asks)-1].end(), -1})
	}
	slices.SortFunc(edges, func(x, y edge) int { return cmp.Or(cmp.Compare(x.at, y.at), y.step-x.step) })
	now, most := 0, 0
	for _, e := range edges {
		now += e.step
		most = max(most, now)
	}
	return most
}
