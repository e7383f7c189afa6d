// Package poll takes one client's poll through its steps: ask the backend, alone
// or with others; park; ask again; give the client its answer, or one event after
// the other.
package poll

import (
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/answer"
	"github.com/caddy-parker/parker/internal/ask"
	"github.com/caddy-parker/parker/internal/coalesce"
	"github.com/caddy-parker/parker/internal/lot"
	"github.com/caddy-parker/parker/internal/response"
)

// Poll is one client's request on its way. It belongs to the goroutine that serves the
// request.
type Poll struct {
	config   *Config
	id       string // in debug lines
	channels []string
	streams  bool // the client wants an event stream
	only     bool // the client accepts nothing else

	state
	transport
	sharing
	place
	moving
}

// state is what a poll has come to. It is what remains of the poll in another
// configuration.
type state struct {
	// deadline is when the client wants its answer, patience when a first ask
	// that still queues is given up.
	deadline, patience time.Time

	resume  Resume
	start   brokers.Position // where events stood when it began; only where it may be told
	lost    bool             // not all that came after the client's position is known
	checked bool             // lost is known

	kept     *ask.Answer // the last nothing-new answer
	cookies  answer.Cookies
	askedAt  time.Time // when it last asked
	failures int       // replays that failed, in a row
	retry    time.Time // when to replay again after one, or zero
	passes   int       // how often it has asked

	report answer.Report // how it ends, as far as is known
}

// transport is how a poll reaches the backend and its client.
type transport struct {
	client  http.ResponseWriter
	next    caddyhttp.Handler
	r       *http.Request
	request *ask.Request
	limits  response.Limits
	timeout time.Duration // of one replay, on a stream

	outer      *attempt // of a handler further out that would hold the request, too; or nil
	depth      int      // how many such handlers there are
	overlapped bool     // a handler further in holds it
}

// sharing is what a poll has to do with others that ask for the same answer.
type sharing struct {
	group  *coalesce.Group
	asked  *coalesce.Group // the group as which it asked last
	varies []string        // fields by which answers varied that did not suit, sorted
	alone  bool            // see [Request.Alone]

	freed  atomic.Bool // an event has freed it from a replay that hung
	behind atomic.Bool // the stream has events to give after its replay
	seen   sight       // of the backend's last answer
}

// place is where a poll is parked, and what it counts for there.
type place struct {
	waiter    *lot.Waiter
	supersede Key               // zero: none
	why       coalesce.Parking  // it parks next
	listed    bool              // its group knows that it is parked
	outcomes  chan lot.Outcome  // the waiter's; at most one is under way
	outcome   func(lot.Outcome) // sends one
	since     time.Time         // when it was parked; zero: it is not
	ended     lot.Outcome       // of the last park
	gone      bool              // the client left while it was parked

	clientIP string
	counted  bool  // as one of the client's that are parked
	full     error // which limit keeps it from that
	weight   int64 // of what it holds while it is parked, without the answer
	weighed  *ask.Answer
	visitor  visitor // none: there is no limit for it
	browser  Key     // digest of what it is known by, once it is needed
	site     Key     // the same for all paths
}

// moving is how a poll goes from one configuration to the next.
type moving struct {
	continues bool      // it has taken over from a poll of an older configuration
	came      *Handover // as this
	stream    *Stream   // that was one of these
	moved     bool      // a poll of a newer configuration has taken over, or is about to
	sentBack  bool      // it is the first of its line that sees to that
	left      bool      // it is a member of nothing any more
}

// Request is what a poll starts from.
type Request struct {
	Client   http.ResponseWriter
	Next     caddyhttp.Handler
	Kept     *ask.Request
	HTTP     *http.Request
	Channels []string

	// ID is what debug lines call the request: see [Config.IDOf].
	ID string

	// Stream says that the client wants an event stream, Only that it accepts nothing
	// else.
	Stream, Only bool

	// Resume says where the client goes on from.
	Resume Resume

	// Wait is how long the client wants to be held, or negative if it did not
	// say.
	Wait time.Duration

	// Timeout is how long it is held at the most. Where the client did not say
	// less, it is shortened at random by up to a tenth.
	Timeout time.Duration

	ClientIP string

	// Supersede, if it is not zero, has the poll take the place of an older one
	// of the same key, which ends at once with its nothing-new answer.
	Supersede Key

	// Alone says that other requests may go through another route behind the handler,
	// so that nothing is shared unless the operator says what matters.
	Alone bool

	// Handover, if it is not nil, is a poll of an older configuration, which goes
	// on as this one.
	Handover *Handover
}

// Description is what operators may know of a poll.
type Description struct {
	Method, Path string
	Remote       string // the address of the direct peer
	Came         time.Time
}

// New starts a poll: from now on it hears of events on its channels.
// [Poll.Close] must follow.
func (c *Config) New(q Request) *Poll {
	now := time.Now()
	p := &Poll{
		config:   c,
		id:       q.ID,
		channels: q.Channels,
		streams:  q.Stream,
		only:     q.Only,
		state: state{
			deadline: now.Add(shortened(q.Timeout)),
			patience: now.Add(q.Timeout),
			resume:   q.Resume,
			report:   answer.Report{Release: answer.None, Wait: -1},
		},
		transport: transport{client: q.Client, next: q.Next, r: q.HTTP, request: q.Kept, limits: response.LimitsOf(q.Client, q.HTTP), timeout: q.Timeout},
		sharing:   sharing{alone: q.Alone},
		place:     place{clientIP: q.ClientIP, supersede: q.Supersede},
	}
	if q.Stream {
		p.waiter = c.Lot.Subscribe(q.Channels, c.Interest, c.Streams.room())
		p.deadline = c.Streams.end(now)
	} else {
		p.waiter = c.Lot.RegisterAfter(q.Resume.Position, q.Channels, c.Interest)
		if q.Wait >= 0 && q.Wait <= q.Timeout {
			p.deadline = now.Add(q.Wait)
			p.report.Wait = q.Wait
		}
	}
	if c.PerBrowser > 0 && !q.Stream {
		p.visitor = visitorOf(q.HTTP)
	}
	if p.outer = outerOf(q.HTTP); p.outer != nil {
		p.depth = p.outer.poll.depth + 1
		p.outer.overlap()
	}
	p.waiter.Describe(&Description{Method: q.HTTP.Method, Path: p.clientPath(), Remote: q.HTTP.RemoteAddr, Came: now})
	if q.Stream || q.Resume.Given || p.messagesOnly() {
		p.start = c.Broker.Position()
	}
	if p.messagesOnly() {
		p.kept = noContent
		p.report.Position = p.resume.Position.Merge(p.start)
	}
	var from *Poll
	if q.Handover != nil {
		from = q.Handover.from
		p.take(q.Handover)
	}
	p.group = c.Groups.Enter(p.key(), p.channels)
	if p.supersede != (Key{}) && (from == nil || p.supersede != from.supersede) {
		if older, ok := c.Newest.Put(p.supersede, p.waiter); ok {
			older.Supersede(p.waiter)
		}
	}
	return p
}

// shortened is a time less up to a tenth of it, so that polls that came together
// do not all leave together.
func shortened(d time.Duration) time.Duration { return d - rand.N(d/10+1) }

// Close ends the poll.
func (p *Poll) Close() {
	if !p.sentBack {
		p.leave()
	}
	p.request.Finish()
	if p.outcomes == nil && p.came == nil {
		p.request.Discard() // nobody else has ever heard of it
		p.request = nil
	}
}

// leave takes the poll out of all that it is a member of.
func (p *Poll) leave() {
	if p.left {
		return
	}
	p.left = true
	if p.supersede != (Key{}) {
		p.config.Newest.Drop(p.supersede, p.waiter)
	}
	p.uncountClient()
	p.group.Exit()
	p.waiter.Close()
}

// messagesOnly reports whether the poll waits for messages, whatever the backend
// has to say.
func (p *Poll) messagesOnly() bool { return p.config.Interest == lot.MessagesOnly }

// Overlapped reports whether another handler further in has held the request, and this
// one has let its answer pass.
func (p *Poll) Overlapped() bool { return p.overlapped }

// Streams reports whether the client wants an event stream.
func (p *Poll) Streams() bool { return p.streams }

// Channels are those that it waits on.
func (p *Poll) Channels() []string { return p.channels }

// Parked is for how long the poll has been parked so far.
func (p *Poll) Parked() time.Duration { return p.report.Parked }

// Passes counts how often the poll itself has asked the backend.
func (p *Poll) Passes() int { return p.passes }

// Release is how it ends, as far as is known.
func (p *Poll) Release() answer.Release { return p.report.Release }

// clientPath is the path that the client asked for, whatever the route has made
// of it since: its cookies are for paths as it knows them.
func (p *Poll) clientPath() string {
	return p.r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request).URL.Path
}

// hold has the waiter tell when the deadline passes, and calls ended then.
func (p *Poll) hold(until time.Time, ended func()) {
	p.readyOutcomes()
	p.waiter.Hold(until, func(o lot.Outcome) {
		p.outcome(o)
		ended()
	})
}

// unhold ends a hold or a park, which may have ended already.
func (p *Poll) unhold() {
	if !p.waiter.Leave() {
		<-p.outcomes
	}
}

func (p *Poll) readyOutcomes() {
	if p.outcomes == nil {
		outcomes := make(chan lot.Outcome, 1)
		p.outcomes = outcomes
		p.outcome = func(o lot.Outcome) { outcomes <- o }
	}
}
