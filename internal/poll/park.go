package poll

import (
	"context"
	"time"

	"github.com/caddy-parker/parker/internal/answer"
	"github.com/caddy-parker/parker/internal/lot"
)

// Hold parks the request until something happens, unless something has happened already.
// It returns what has released the request, or false if the client has left. A request
// whose last replay has failed is released when it is time to try again.
func (p *Poll) Hold() (o lot.Outcome, stayed bool) {
	if p.park() { // not on the stack while the goroutine waits
		p.Space.Wait(p.context())
	}
	return p.outcome()
}

// park parks the request. It returns false if something has happened already.
func (p *Poll) park() (parked bool) {
	p.Space.Reset()
	if p.Space.Over() {
		outcome := lot.Outcome{Cause: lot.TimedOut}
		if message := p.Space.Waiter.TakeMessage(); message != nil {
			outcome = lot.Outcome{Cause: lot.Published, Event: message}
		}
		p.Space.End(outcome)
		return false
	}
	if !p.Space.Admit(p.Asker.Request.Size(), p.Asker.Kept) && (p.Asker.Streams || !p.Space.Waiter.Moved()) {
		p.Space.End(lot.Outcome{Cause: lot.Full})
		return false
	}
	until := p.parkUntil()
	p.Asker.List()
	if parked = p.Space.Park(until); !parked {
		p.Asker.Unlist()
		return false
	}
	p.Asker.Limits.Lift()
	p.debugParked(until)
	if !p.Asker.Streams {
		p.config.Asking.Metrics.Parks.Inc()
		p.config.Asking.Metrics.Parked.Inc()
		p.Asker.CountHold()
	}
	return true
}

// quiet is after how long without an event a stream tells its client the position of the
// newest event, so that events which other channels forget do not look like a gap.
const quiet = time.Minute

// parkUntil returns when the request must be released at the latest.
func (p *Poll) parkUntil() time.Time {
	until := p.Space.Deadline
	switch {
	case p.Asker.Retries():
		return p.Asker.Retry
	case p.Asker.Streams:
		if tell := time.Now().Add(Shortened(quiet)); tell.Before(until) {
			return tell
		}
	}
	return until
}

// outcome returns what ended the park.
func (p *Poll) outcome() (o lot.Outcome, stayed bool) {
	parked := p.Space.Parked()
	o, held, stayed := p.Space.Outcome()
	if !parked {
		return o, true
	}
	p.Asker.Unlist()
	cause := o.Cause.String()
	if !stayed {
		cause = string(answer.Left)
		p.Released(answer.Left)
	}
	p.Report.Parked += held
	p.debugReleased(cause, o, held)
	if !p.Asker.Streams {
		m := p.config.Asking.Metrics
		m.Parked.Dec()
		m.Held.Observe(held.Seconds())
		m.Ended(cause)
	}
	return o, stayed
}

// Released says why the request was released, for its answer and for its next ask.
func (p *Poll) Released(why answer.Release) {
	p.Report.Release = why
	p.Asker.Released(p.Space.Cause())
}

func (p *Poll) context() context.Context { return p.Asker.HTTP.Context() }
