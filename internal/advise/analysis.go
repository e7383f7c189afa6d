package advise

import (
	"hash/maphash"
	"slices"
	"sync"
	"time"
)

// What an Analysis keeps at most. Together with the limits on fields and answers, they bound
// its memory whatever the traffic is.
const (
	maxRecords = 20_000
	maxRoutes  = 1_000
	maxTexts   = 8 << 20 // bytes
)

// Analysis keeps what it needs to know of the requests that it is fed with. It can be used
// by several goroutines at once.
type Analysis struct {
	mutex   sync.Mutex
	seed    maphash.Seed
	routes  map[routeKey]*route
	records int
	texts   int // bytes

	seen        int
	first, last int64 // when the first request came, and when the last answer had ended
}

// New returns an Analysis that has seen nothing.
func New() *Analysis {
	return &Analysis{seed: maphash.MakeSeed(), routes: make(map[routeKey]*route)}
}

// Add looks at a request and its answer.
func (a *Analysis) Add(o Observation) {
	key, fields := shapeOf(&o)
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.seen++
	begun, end := o.Begun.UnixNano(), o.Begun.Add(o.Took).UnixNano()
	if a.first == 0 || begun < a.first {
		a.first = begun
	}
	a.last = max(a.last, end)

	r := a.route(key)
	r.seen++
	r.records = append(r.records, record{
		begun:  begun,
		took:   o.Took,
		client: maphash.String(a.seed, o.Client),
		fields: fields,
		answer: a.answerOf(r, &o),
		facts:  factsOf(&o),
	})
	a.records++
	if a.records > maxRecords {
		a.forgetRecords()
	}
}

// route returns the route of a key. If there are too many routes, those with the fewest
// records are forgotten first: a poll has many.
func (a *Analysis) route(key routeKey) *route {
	if r := a.routes[key]; r != nil {
		return r
	}
	if len(a.routes) >= maxRoutes {
		a.forgetRoutes()
	}
	r := &route{key: key, answers: make(map[uint64]*answer)}
	a.routes[key] = r
	return r
}

func (a *Analysis) forgetRoutes() {
	routes := make([]*route, 0, len(a.routes))
	for _, r := range a.routes {
		routes = append(routes, r)
	}
	slices.SortFunc(routes, func(x, y *route) int {
		if len(x.records) != len(y.records) {
			return len(x.records) - len(y.records)
		}
		return int(min(max(x.lastSeen()-y.lastSeen(), -1), 1))
	})
	for _, r := range routes[:maxRoutes/4] {
		a.records -= len(r.records)
		a.texts -= r.texts
		delete(a.routes, r.key)
	}
}

// forgetRecords forgets the older half of the route that has most records, so that writes,
// which are few, stay as long as the polls that they explain.
func (a *Analysis) forgetRecords() {
	var longest *route
	for _, r := range a.routes {
		if longest == nil || len(r.records) > len(longest.records) {
			longest = r
		}
	}
	half := len(longest.records) / 2
	longest.records = slices.Clone(longest.records[half:])
	a.records -= half
	a.texts -= longest.forgetAnswers()
}

// Report says what the traffic so far shows.
func (a *Analysis) Report() Report {
	a.mutex.Lock()
	routes := make([]*route, 0, len(a.routes))
	for _, r := range a.routes {
		routes = append(routes, r.copied())
	}
	report := Report{Requests: a.seen}
	if a.seen > 0 {
		report.From, report.To = time.Unix(0, a.first).UTC(), time.Unix(0, a.last).UTC()
	}
	a.mutex.Unlock()

	slices.SortFunc(routes, func(x, y *route) int { return x.key.compare(y.key) })
	routes = mergeNamed(routes)
	var polls, others []*route
	for _, r := range routes {
		r.prepare()
		poll := r.isPoll()
		if poll {
			polls = append(polls, r)
		}
		if !poll || r.mayWrite() {
			others = append(others, r)
		}
	}
	for _, r := range polls {
		report.Polls = append(report.Polls, judge(r, others))
	}
	slices.SortStableFunc(report.Polls, func(x, y Poll) int { return y.Asks - x.Asks })
	return report
}
