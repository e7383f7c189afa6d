package advise

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"time"
)

// What an Analysis keeps at most. Go's heap has up to twice of maxBytes in use, with what a
// garbage collection has not removed yet.
const (
	maxRecords = 20_000
	maxRoutes  = 2_000
	maxBytes   = 12 << 20
)

// Analysis keeps what it needs to know of the requests that it is fed with. It can be used
// by several goroutines at once.
//
// Whatever the traffic is, it keeps at most 20,000 requests of at most 2,000 kinds, with
// their answers 12 MiB. Together with what Go's heap adds, and with what a Report needs while
// it runs, that is less than 32 MiB.
type Analysis struct {
	mutex   sync.Mutex
	seed    maphash.Seed
	routes  map[routeKey]*route
	senders senders
	records int
	bytes   int // of the routes

	seen        int
	first, last int64 // when the first request came, and when the last answer had ended
}

// New returns an Analysis that has seen nothing.
func New() *Analysis {
	seed := maphash.MakeSeed()
	return &Analysis{seed: seed, routes: make(map[routeKey]*route), senders: newSenders(seed)}
}

// Add looks at a request and its answer. It keeps no part of the observation.
func (a *Analysis) Add(o Observation) {
	var buffer [maxFields]rawField
	key, fields := routeKey{}, buffer[:0]
	matters := canMatter(&o)
	if matters {
		key, fields = shapeOf(&o, fields)
	}
	begun, end := o.Begun.UnixNano(), o.Begun.Add(o.Took).UnixNano()

	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.seen++
	if a.first == 0 || begun < a.first {
		a.first = begun
	}
	a.last = max(a.last, end)
	if !matters {
		return
	}
	r := a.route(key)
	r.seen++
	before := r.bytes
	it := record{begun: begun, took: o.Took, facts: factsOf(&o)}
	it.fields = r.keptFields(fields)
	it.sender = a.senders.of(r, &o)
	it.renewed = a.senders.renewedBy(&o)
	it.answer = r.answerOf(&o)
	r.noteTarget(&o)
	r.bytes += recordBytes + len(it.fields)*fieldBytes + len(it.renewed)*credentialBytes
	r.records = append(r.records, it)
	a.records++
	a.bytes += r.bytes - before
	if a.records > maxRecords || a.bytes > maxBytes {
		a.forgetRecords()
	}
}

// route returns the route of a key.
func (a *Analysis) route(key routeKey) *route {
	if r := a.routes[key]; r != nil {
		return r
	}
	if len(a.routes) >= maxRoutes {
		a.forgetRoutes()
	}
	key = key.clone()
	r := &route{key: key, seed: a.seed}
	r.bytes = routeBytes + key.size()
	a.bytes += r.bytes
	a.routes[key] = r
	return r
}

// Report says what the traffic so far shows. Observations can be added meanwhile.
func (a *Analysis) Report() Report {
	a.mutex.Lock()
	routes := make([]*route, 0, len(a.routes))
	for _, r := range a.routes {
		routes = append(routes, r.copied())
	}
	report := Report{Requests: a.seen, Polls: []Poll{}}
	if a.seen > 0 {
		report.From, report.To = time.Unix(0, a.first).UTC(), time.Unix(0, a.last).UTC()
	}
	names := a.senders.copiedNames()
	a.mutex.Unlock()

	slices.SortFunc(routes, func(x, y *route) int { return x.key.compare(y.key) })
	shared := &shared{names: names, renewals: renewalsOf(routes)}
	for _, r := range routes {
		r.shared = shared
	}
	routes = mergeNamed(hideNames(routes))
	var polls, others []*route
	for _, r := range routes {
		r.prepare()
		poll := r.isPoll()
		if poll {
			polls = append(polls, r)
		}
		if r.key.isWrite() && (!poll || r.mayWrite() || !r.ruleOf().exists()) || !poll && r.mayWriteByGet() {
			others = append(others, r)
		}
	}
	for _, r := range polls {
		p := judge(r, others)
		report.HeldThoughDifferent += p.HeldThoughDifferent
		report.Polls = append(report.Polls, p)
	}
	report.Polls = slices.DeleteFunc(slices.Clone(report.Polls), report.publishes)
	slices.SortStableFunc(report.Polls, func(x, y Poll) int { return y.Asks - x.Asks })
	return report
}

// publishes reports whether what looked like a poll is a write that comes regularly.
func (r *Report) publishes(p Poll) bool {
	return !p.Hold && slices.ContainsFunc(r.Polls, func(other Poll) bool {
		return slices.ContainsFunc(other.Publishers, func(w Publisher) bool { return other.Host == p.Host && w.Title() == p.Title() })
	})
}

// canMatter reports whether a request can be a poll or a write. The files that make up a page
// are neither, and on a busy site there are many of them.
func canMatter(o *Observation) bool {
	if slices.Contains(pollMethods, o.Method) && !(routeKey{method: o.Method}).isWrite() {
		return !isFile(o)
	}
	return (routeKey{method: o.Method}).isWrite()
}

// fileExtensions are those of files that pages consist of.
var fileExtensions = []string{"css", "js", "mjs", "map", "png", "jpg", "jpeg", "gif", "webp", "avif", "svg", "ico", "woff", "woff2", "ttf", "otf", "eot",
	"mp4", "webm", "mp3", "ogg", "pdf", "zip", "wasm"}

// isFile reports whether a request is for a file, or for a page in a tab of its own.
func isFile(o *Observation) bool {
	switch o.Request.Get("Sec-Fetch-Dest") {
	case "document", "style", "font", "image", "audio", "video", "track", "manifest", "worker", "sharedworker", "serviceworker":
		return true
	}
	name := o.Path[strings.LastIndexByte(o.Path, '/')+1:]
	if i := strings.LastIndexByte(name, '.'); i >= 0 && slices.Contains(fileExtensions, strings.ToLower(name[i+1:])) {
		return true
	}
	kind, _, _ := strings.Cut(strings.ToLower(o.Answer.Get("Content-Type")), "/")
	return kind == "image" || kind == "font" || kind == "audio" || kind == "video"
}
