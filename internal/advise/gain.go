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

// heldBytes is the memory that a held request takes over HTTP/1.1: see "Sizing" in the
// operations guide.
const heldBytes = 40_000

// gainOf says what parker would have brought. Each write costs a replay for each client that it
// releases, and each change the next poll. Where all share, a write costs one replay, and the
// next polls come together: most of them join the ask of another.
func gainOf(p *Poll, r *route, changes []step) Gain {
	if p.idle {
		return Gain{Asks: len(r.records)}
	}
	g := Gain{Asks: len(r.records), Parked: mostAtOnce(r), Sooner: Seconds(p.sooner)}
	g.Memory = g.Parked * heldBytes
	needed := len(changes)
	if p.Public {
		needed = 2 * len(changes) / len(r.threads)
	}
	for _, t := range r.threads {
		lasted := time.Duration(t.asks[len(t.asks)-1].begun - t.asks[0].begun)
		needed += 1 + int(lasted/heldTime)
	}
	if watch := p.watch(); watch > 0 {
		needed += int(p.watched(r) / watch)
	}
	rooms := make(map[uint64]bool)
	for _, t := range r.threads {
		rooms[t.key] = true
	}
	for _, publisher := range p.Publishers {
		released := len(r.threads)
		if len(publisher.Channels) == 0 || strings.Contains(publisher.Channels[0], "{") {
			released /= max(len(rooms), 1) // a write releases one room
		}
		if p.Public {
			released = 1
		}
		needed += publisher.Writes * max(released, 1)
	}
	g.Spared = max(g.Asks-needed, 0)
	g.Time = Seconds(time.Duration(g.Spared) * r.rhythm.took)
	return g
}

// watched returns for how long parker would have watched, once for all requests that share.
func (p *Poll) watched(r *route) (total time.Duration) {
	groups := make(map[uint64]span)
	for i, t := range r.threads {
		key := mix(t.key, uint64(i))
		if p.Public {
			key = t.key
		} else if len(p.shared) > 0 {
			key = t.key
			for _, name := range p.shared {
				key = mix(key, t.asks[0].sender.credential(name))
			}
		}
		from, to := t.asks[0].begun, t.asks[len(t.asks)-1].begun
		if known, ok := groups[key]; ok {
			from, to = min(from, known.from), max(to, known.to)
		}
		groups[key] = span{from, to}
	}
	for _, g := range groups {
		total += time.Duration(g.to - g.from)
	}
	return total
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
