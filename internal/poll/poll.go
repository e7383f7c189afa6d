// Package poll takes one client's poll through its steps: ask the backend, alone
// or with others; park; ask again; give the client its answer.
package poll

import (
	"crypto/sha256"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"golang.org/x/sync/semaphore"

	"github.com/caddy-parker/parker/internal/answer"
	"github.com/caddy-parker/parker/internal/backend"
	"github.com/caddy-parker/parker/internal/keyed"
	"github.com/caddy-parker/parker/internal/lot"
	"github.com/caddy-parker/parker/internal/nothingnew"
	"github.com/caddy-parker/parker/internal/share"
)

// Line is what the polls of one handler have in common.
type Line struct {
	Lot    *lot.Lot
	Groups *share.Groups
	Rules  *nothingnew.Rules

	// Asks bounds how many polls are at the backend at once.
	Asks *semaphore.Weighted

	// MaxBody is how many bytes of an answer are looked at.
	MaxBody int64

	// Share holds the placeholders on which requests must agree to share an
	// answer. With SharePublic there are none, and Set-Cookie is not shared.
	Share       []string
	SharePublic bool

	// Spread is over how long the requests of a channel are released.
	Spread time.Duration

	// TimeoutStatus is the status of an answer at the timeout, or 0 for the
	// backend's own.
	TimeoutStatus int

	// Messages tells whether a published message is an answer.
	Messages bool

	// PerClient bounds how many polls of one client are parked, counted in
	// Clients. 0: no limit.
	PerClient int
	Clients   *keyed.Counter

	// Newest holds the newest poll of each supersede key.
	Newest *Newest

	// Announce publishes on the channels that an answer named in its
	// Parker-Publish field.
	Announce func(channels []string)
}

// Newest holds the newest poll of each supersede key.
type Newest = keyed.Newest[Key, *Poll]

// Key is a digest of what makes a newer poll take an older one's place.
type Key [sha256.Size]byte

// Poll is one client's request on its way. It belongs to the goroutine that
// serves the request.
type Poll struct {
	line     *Line
	client   http.ResponseWriter
	next     caddyhttp.Handler
	r        *http.Request
	request  *backend.Request
	channels []string
	waiter   *lot.Waiter
	group    *share.Group
	varies   []string // fields by which answers varied that did not suit, sorted
	limits   answer.Limits

	// deadline is when the client wants its answer, patience when a first ask
	// that still queues is given up.
	deadline, patience time.Time

	clientIP  string
	seated    bool // it counts as one of the client's that are parked
	supersede Key  // zero: none

	outcomes chan lot.Outcome // the waiter's; at most one is under way

	kept     *backend.Answer // the last nothing-new answer
	cookies  answer.Cookies
	failures int       // replays that failed, in a row
	retry    time.Time // when to replay again after one, else zero

	stamp  answer.Stamp // how it ends, as far as is known
	passes int
}

// Request is what a poll starts from.
type Request struct {
	Client   http.ResponseWriter
	Next     caddyhttp.Handler
	Kept     *backend.Request
	HTTP     *http.Request
	Channels []string

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
}

// New starts a poll: from now on it hears of events on its channels.
// [Poll.Close] must follow.
func (l *Line) New(q Request) *Poll {
	now := time.Now()
	p := &Poll{
		line:      l,
		client:    q.Client,
		next:      q.Next,
		r:         q.HTTP,
		request:   q.Kept,
		channels:  q.Channels,
		waiter:    l.Lot.Register(q.Channels, l.Messages),
		limits:    answer.LimitsOf(q.Client, q.HTTP),
		deadline:  now.Add(q.Timeout - rand.N(q.Timeout/10+1)),
		patience:  now.Add(q.Timeout),
		clientIP:  q.ClientIP,
		supersede: q.Supersede,
		stamp:     answer.Stamp{Release: answer.None, Wait: -1},
	}
	if q.Wait >= 0 && q.Wait <= q.Timeout {
		p.deadline = now.Add(q.Wait)
		p.stamp.Wait = q.Wait
	}
	p.group = l.Groups.Enter(p.key(), p.channels)
	if p.supersede != (Key{}) {
		if older, ok := l.Newest.Put(p.supersede, p); ok {
			older.waiter.Supersede()
		}
	}
	return p
}

// Close ends the poll.
func (p *Poll) Close() {
	if p.supersede != (Key{}) {
		p.line.Newest.Drop(p.supersede, p)
	}
	if p.seated {
		p.line.Clients.Exit(p.clientIP)
	}
	p.group.Exit()
	p.waiter.Close()
	p.request.Finish()
}

// Channels are those that it waits on.
func (p *Poll) Channels() []string { return p.channels }

// Parked is for how long the poll has been parked so far.
func (p *Poll) Parked() time.Duration { return p.stamp.Parked }

// Passes counts how often the poll itself has asked the backend.
func (p *Poll) Passes() int { return p.passes }

// Release is how it ends, as far as is known.
func (p *Poll) Release() answer.Release { return p.stamp.Release }

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

func (p *Poll) outcome(o lot.Outcome) { p.outcomes <- o }

// unhold ends a hold or a park early. False means that it had ended already, and
// how.
func (p *Poll) unhold() (lot.Outcome, bool) {
	if p.waiter.Leave() {
		return lot.Outcome{}, true
	}
	return <-p.outcomes, false
}

func (p *Poll) readyOutcomes() {
	if p.outcomes == nil {
		p.outcomes = make(chan lot.Outcome, 1)
	}
}
