package advise

import (
	"cmp"
	"slices"
)

// What the parts of a route take on the heap, about.
const (
	routeBytes      = 400
	recordBytes     = 140 // with the unused part of a slice that grows
	fieldBytes      = 16
	credentialBytes = 16
	answerBytes     = 140 // with its place in the map
	memberBytes     = 16
	senderBytes     = 120
	nameBytes       = 48
)

// forgetRoutes forgets the quarter of the routes that has the fewest records, and of these
// the oldest: a poll has many.
func (a *Analysis) forgetRoutes() {
	routes := make([]*route, 0, len(a.routes))
	for _, r := range a.routes {
		routes = append(routes, r)
	}
	slices.SortFunc(routes, func(x, y *route) int {
		return cmp.Or(cmp.Compare(len(x.records), len(y.records)), cmp.Compare(x.lastSeen(), y.lastSeen()))
	})
	for _, r := range routes[:maxRoutes/4] {
		a.forget(r)
	}
}

func (a *Analysis) forget(r *route) {
	a.records -= len(r.records)
	a.bytes -= r.bytes
	delete(a.routes, r.key)
}

// forgetRecords makes room for an eighth more. Reads that their client did not repeat are
// forgotten first, as they are no polls. Then the route that takes most forgets its older
// half, again and again: so writes, which are few, stay as long as the polls that they
// explain.
func (a *Analysis) forgetRecords() {
	enough := func() bool { return a.records <= maxRecords/8*7 && a.bytes <= maxBytes/8*7 }
	a.forgetSingle()
	for !enough() {
		var most *route
		for _, r := range a.routes {
			if most == nil || r.weight() > most.weight() {
				most = r
			}
		}
		if len(most.records) < 2 {
			a.forgetRoutes()
			return
		}
		a.keep(most, slices.Clone(most.records[len(most.records)/2:]))
	}
}

// weight says how much of the limits a route takes.
func (r *route) weight() float64 {
	return max(float64(len(r.records))/maxRecords, float64(r.bytes)/maxBytes)
}

// forgetSingle forgets the older half of the reads whose client has sent fewer than three to
// the route. If its cookies change, its address has not sent many, either.
func (a *Analysis) forgetSingle() {
	type reader struct {
		route  *route
		sender uint64
	}
	counts := make(map[reader]int)
	var begun []int64
	for _, r := range a.routes {
		if r.key.isWrite() {
			continue
		}
		for i := range r.records {
			from := r.records[i].sender
			counts[reader{r, from.all}]++
			if from.client != from.all {
				counts[reader{r, from.client}]++
			}
		}
	}
	single := func(r *route, it *record) bool {
		return counts[reader{r, it.sender.all}] < 3 && counts[reader{r, it.sender.client}] < minPolls
	}
	for _, r := range a.routes {
		for i := range r.records {
			if !r.key.isWrite() && single(r, &r.records[i]) {
				begun = append(begun, r.records[i].begun)
			}
		}
	}
	if len(begun) < maxRecords/8 {
		return
	}
	slices.Sort(begun)
	middle := begun[len(begun)/2]
	for _, r := range a.routes {
		if r.key.isWrite() {
			continue
		}
		kept := make([]record, 0, len(r.records))
		for i := range r.records {
			if it := &r.records[i]; it.begun > middle || !single(r, it) {
				kept = append(kept, *it)
			}
		}
		switch {
		case len(kept) == 0:
			a.forget(r)
		case len(kept) < len(r.records):
			a.keep(r, kept)
		}
	}
}

// keep makes the given records the only ones of a route.
func (a *Analysis) keep(r *route, records []record) {
	a.records += len(records) - len(r.records)
	a.bytes -= r.bytes
	r.records = records
	r.count()
	a.bytes += r.bytes
}

// count forgets the answers and senders that no record has, and counts the bytes anew.
func (r *route) count() {
	r.bytes = routeBytes + r.key.size() + len(r.target) + r.namesBytes
	r.answers, r.senders = nil, nil
	r.textCount = 0
	for i := range r.records {
		it := &r.records[i]
		r.bytes += recordBytes + len(it.fields)*fieldBytes + len(it.renewed)*credentialBytes
		it.sender = r.noteSender(it.sender)
		it.answer = r.noteAnswer(it.answer)
	}
}
