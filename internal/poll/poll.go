// Package poll takes the request of one client through its steps: ask the backend, park,
// ask again, and answer the client.
//
// A [Poll] composes what does the work: its [asker.Asker] asks the backend, its
// [parking.Space] is its place in the lot, and its [resume.State] knows what the client has
// missed. Streams take the same steps: package stream has what is different for them.
package poll

import (
	"math/rand/v2"
	"time"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/answer"
	"github.com/caddy-parker/parker/internal/asker"
	"github.com/caddy-parker/parker/internal/lot"
	"github.com/caddy-parker/parker/internal/memory"
	"github.com/caddy-parker/parker/internal/parking"
	"github.com/caddy-parker/parker/internal/resume"
)

// Poll is one client's request on its way. It belongs to the goroutine that serves the
// request.
type Poll struct {
	Asker  asker.Asker
	Space  parking.Space
	Resume resume.State
	Report answer.Report // how the request ends, as far as is known

	config    *Config
	id        string     // in debug logs
	unknown   bool       // the client cannot be told from others
	streaming *Streaming // nil unless the client wants an event stream
	moving
}

// Request is what a poll starts from.
type Request struct {
	Exchange asker.Exchange
	Client   parking.Client

	// ID is the request's name in debug logs: see [Config.IDOf].
	ID string

	// Stream is nil unless the client wants an event stream.
	Stream *Streaming

	// Resume says from where the client resumes.
	Resume resume.State

	// Wait is how long the client wants to be held, or negative if it does not say.
	Wait time.Duration

	// Timeout is how long the request is held at most. If the client does not ask for
	// less, it is shortened at random by up to a tenth.
	Timeout time.Duration

	// Memory, if it is not nil, says what is remembered of the client. Key, End and what
	// is about the handover are set here.
	Memory *memory.Request

	// Unknown is true if the request must not be held, because its client cannot be told
	// from others.
	Unknown bool

	// Handover, if it is not nil, is a poll of an older configuration that continues as
	// this one.
	Handover *Handover
}

// Streaming is what a stream needs from the start.
type Streaming struct {
	Room lot.Room  // for events that wait for the client
	End  time.Time // of the stream
	Only bool      // the client accepts nothing else
}

// Description is what operators may see of a waiting request.
type Description struct {
	Method, Path string
	Remote       string // the address of the direct peer
	Came         time.Time
}

// New starts a poll. From now on it hears of the events on its channels. [Poll.Close] must
// follow.
func (c *Config) New(q Request) *Poll {
	now := time.Now()
	q.Exchange.Streams, q.Exchange.ReplayTimeout = q.Stream != nil, q.Timeout
	p := &Poll{
		config:    c,
		id:        q.ID,
		unknown:   q.Unknown,
		streaming: q.Stream,

		Asker:  c.Asking.New(q.Exchange, now.Add(q.Timeout)),
		Space:  c.Parking.New(c.register(&q), q.Exchange.Channels, q.Client),
		Resume: q.Resume,
		Report: answer.Report{Release: answer.None, Wait: -1},
	}
	p.Asker.Connect(&p.Space, p)
	p.setDeadline(&q, now)
	r := q.Exchange.HTTP
	p.Space.Waiter.Describe(&Description{Method: r.Method, Path: p.Asker.Path(), Remote: r.RemoteAddr, Came: now})
	if q.Stream != nil || q.Resume.Given || p.Asker.MessagesOnly() {
		p.Resume.Start = c.Asking.Hub.Position()
	}
	if p.Asker.MessagesOnly() {
		p.Asker.Kept = asker.NoContent
		p.Report.Position = p.Resume.Position.Merge(p.Resume.Start)
	}
	if q.Handover == nil {
		p.Space.Supersede()
		p.Space.EndBeforeNext(now)
	} else {
		p.take(q.Handover)
	}
	p.remember(&q, now)
	p.Asker.Enter()
	return p
}

// remember notes the poll of a client that is remembered. If the client loads a page, its
// polls end.
func (p *Poll) remember(q *Request, now time.Time) {
	older := p.Asker.Memory
	if p.Asker.Memory = nil; q.Memory == nil {
		older.Close(false)
		return
	}
	waiter := p.Space.Waiter
	q.Memory.End = func() { waiter.Supersede(nil) }
	q.Memory.Moved, q.Memory.From = q.Handover != nil, older
	p.Asker.Remember(*q.Memory)
	settled := now.Add(memory.Settling)
	if q.Memory.Newest {
		settled = now // its page does not wait for the answer
	}
	if p.Asker.Memory.Settles() && settled.Before(p.Space.Deadline) {
		p.Space.Deadline = settled
	}
}

// register returns the waiter of a new request.
func (c *Config) register(q *Request) *lot.Waiter {
	channels, interest := q.Exchange.Channels, c.Asking.Interest
	if q.Stream != nil {
		return c.Parking.Lot.Subscribe(channels, interest, q.Stream.Room)
	}
	return c.Parking.Lot.RegisterAfter(q.Resume.Position, channels, interest)
}

func (p *Poll) setDeadline(q *Request, now time.Time) {
	switch {
	case q.Stream != nil:
		p.Space.Deadline = q.Stream.End
	case q.Wait >= 0 && q.Wait <= q.Timeout:
		p.Space.Deadline = now.Add(q.Wait)
		p.Report.Wait = q.Wait
	default:
		p.Space.Deadline = now.Add(Shortened(q.Timeout))
	}
}

// Shortened returns a duration less up to a tenth of it, so that requests which arrived
// together do not all end together.
func Shortened(d time.Duration) time.Duration { return d - rand.N(d/10+1) }

// Close ends the poll.
func (p *Poll) Close() {
	if !p.sentBack {
		p.leave()
	}
	p.Asker.Request.Finish()
	if !p.Space.WasHeld() && p.came == nil {
		p.Asker.Request.Discard() // nothing else has ever had it
		p.Asker.Request = nil
	}
}

// leave removes the poll from the lot and from its group.
func (p *Poll) leave() {
	if p.left {
		return
	}
	p.left = true
	p.Asker.Memory.Close(p.Asker.ClientLeft())
	p.Asker.Exit()
	p.Space.Close()
}

// First asks the backend for the first time. A poll that waits for messages only asks just
// if it must begin anew.
func (p *Poll) First() asker.Reply {
	if p.Asker.MessagesOnly() {
		if !p.IsLost() {
			return asker.Reply{Kind: asker.NothingNew}
		}
	} else if p.continues {
		return p.Asker.Again()
	}
	return p.Asker.First()
}

// Again asks the backend again after a release.
func (p *Poll) Again() asker.Reply {
	reply := p.Asker.Again()
	p.debugReplayed(reply)
	return reply
}

// Missed returns the events that the client has missed. ok is false if there are none.
func (p *Poll) Missed() (missed []brokers.Event, ok bool) {
	return p.Resume.Missed(p.context(), p.history())
}

// IsLost reports whether the events after the client's position are no longer all known.
func (p *Poll) IsLost() bool { return p.Resume.IsLost(p.context(), p.history()) }

// Read returns the events after a position: see [resume.State.Read].
func (p *Poll) Read(after brokers.Position, limit int) []brokers.Event {
	return p.Resume.Read(p.context(), p.history(), after, limit)
}

// Lose makes the poll begin anew after events were lost. A client that has a position is
// told of it, and of the position from which to go on.
func (p *Poll) Lose(at brokers.Position) {
	if p.Resume.Given || p.Asker.MessagesOnly() {
		p.Resume.Begin(at)
	}
}

func (p *Poll) history() resume.History {
	return resume.History{Broker: &p.config.Asking.Hub.Broker, Channels: p.Asker.Channels, Interest: p.config.Asking.Interest}
}

// Position returns the position of the newest event.
func (p *Poll) Position() brokers.Position { return p.config.Asking.Hub.Position() }

// Streaming returns what the poll was given for its stream, or nil if the client does not
// want one.
func (p *Poll) Streaming() *Streaming { return p.streaming }

// Config returns what all polls of the handler have in common.
func (p *Poll) Config() *Config { return p.config }
