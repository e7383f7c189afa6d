package poll

import (
	"cmp"
	"errors"
	"time"

	"github.com/caddy-parker/parker/internal/answer"
	"github.com/caddy-parker/parker/internal/ask"
	"github.com/caddy-parker/parker/internal/coalesce"
	"github.com/caddy-parker/parker/internal/delay"
	"github.com/caddy-parker/parker/internal/lot"
)

// Park has the poll wait until something happens: [Poll.Wait] must follow, if it tells
// so, else that has happened already. A poll whose last replay failed is let go when it
// is time to try again: [Poll.Retries] tells. Then [Poll.Outcome] says what happened.
func (p *Poll) Park() (parked bool) {
	begin := time.Now()
	p.ended, p.gone = lot.Outcome{}, false
	if !begin.Before(p.deadline) {
		p.ended.Cause = lot.TimedOut
		if message := p.waiter.TakeMessage(); message != nil {
			p.ended = lot.Outcome{Cause: lot.Published, Event: message}
		}
		return false
	}
	full := p.countClient()
	if full == nil {
		full = p.weigh()
	}
	if full != nil && (p.streams || !p.waiter.Moved()) {
		p.full = full
		p.ended.Cause = lot.Full
		return false
	}
	until := p.deadline
	switch {
	case p.Retries():
		until = p.retry
	case p.streams:
		until = earlier(until, begin.Add(shortened(quiet)))
	}
	p.readyOutcomes()
	why := p.why
	if p.Retries() {
		why = coalesce.Anew
	}
	p.listed = p.group.Parked(p.waiter, why, p.askedAt)
	p.ended, parked = p.waiter.Park(lot.Parking{Until: until, Spread: p.config.Spread, Release: p.outcome})
	if !parked {
		p.unlist()
		p.unweigh()
		return false
	}
	p.since = begin
	p.browse()
	p.limits.Lift()
	p.debugParked(until)
	if !p.streams {
		p.config.Metrics.Parks.Inc()
		p.config.Metrics.Parked.Inc()
	}
	return true
}

// Wait returns when a parked poll is released, or its client has left. It is where all
// that are parked stand, so nothing else is done by it: the less is on their stacks, the
// more of them Go's collector can shrink.
func (p *Poll) Wait() {
	select {
	case p.ended = <-p.outcomes:
	case <-p.r.Context().Done():
		p.gone = true
	}
}

// Outcome is what ended the park. It is not ok when the client has left.
func (p *Poll) Outcome() (o lot.Outcome, ok bool) {
	if p.since.IsZero() {
		return p.ended, true
	}
	cause := string(answer.Left)
	if p.gone {
		p.unhold()
		p.Released(answer.Left)
	} else {
		cause = p.ended.Cause.String()
	}
	p.unlist()
	p.unbrowse()
	p.unweigh()
	held := time.Since(p.since)
	p.since = time.Time{}
	p.report.Parked += held
	p.debugReleased(cause, p.ended, held)
	if !p.streams {
		m := p.config.Metrics
		m.Parked.Dec()
		m.Held.Observe(held.Seconds())
		m.Ended(cause)
	}
	return p.ended, !p.gone
}

func (p *Poll) unlist() {
	if p.listed {
		p.listed = false
		p.group.Unparked(p.waiter)
	}
}

// quiet is after how long without an event a stream lets its client know where
// events stand: what other channels have forgotten is not to look like a gap.
const quiet = time.Minute

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// Over reports whether the deadline has passed.
func (p *Poll) Over() bool { return !time.Now().Before(p.deadline) }

// Retries reports whether the last replay failed and there is time for another.
func (p *Poll) Retries() bool { return !p.retry.IsZero() && p.retry.Before(p.deadline) }

// Why a poll that could be held is not.
var (
	errMaxParked   = errors.New("max_parked is reached")
	errPerClient   = errors.New("per_client is reached")
	errMaxChannels = errors.New("max_channels_per_client is reached")
)

// Full is which limit keeps the poll from being held, where it was released for
// that.
func (p *Poll) Full() error { return cmp.Or(p.full, errMaxParked) }

// countClient counts the poll as one of its client's. The error is that those are as many
// as may be, or wait on as many channels.
func (p *Poll) countClient() error {
	if p.counted {
		return nil
	}
	if p.config.PerClient > 0 && !p.config.Clients.Enter(p.clientIP, p.config.PerClient) {
		return errPerClient
	}
	if !p.config.Channels.Enter(p.clientIP, p.channels, p.config.MaxChannels) {
		if p.config.PerClient > 0 {
			p.config.Clients.Exit(p.clientIP)
		}
		return errMaxChannels
	}
	p.counted = true
	return nil
}

func (p *Poll) uncountClient() {
	if !p.counted {
		return
	}
	p.counted = false
	p.config.Channels.Exit(p.clientIP, p.channels)
	if p.config.PerClient > 0 {
		p.config.Clients.Exit(p.clientIP)
	}
}

// replayUntil is when a replay that has not been answered is given up.
func (p *Poll) replayUntil() time.Time {
	if p.streams {
		return time.Now().Add(p.timeout)
	}
	return p.deadline
}

// Patience is for how long the answers of one handler are kept.
type Patience struct{ poll, stream *delay.Queue }

// NewPatience is what each handler has: the time given, but on a stream there is nothing
// else that could be done with an answer than to wait for its end.
func NewPatience(poll time.Duration) Patience {
	return Patience{poll: delay.New(poll), stream: delay.New(10 * time.Second)}
}

// patienceFor says which of the backend's answers can be kept.
func (p *Poll) patienceFor() ask.Patience {
	if p.streams {
		return ask.Patience{Bytes: p.config.MaxEvent, Time: p.config.Patience.stream}
	}
	return ask.Patience{Bytes: p.config.MaxBody, Time: p.config.Patience.poll}
}
