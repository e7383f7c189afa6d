package lot

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/due"
)

// Cause says why a waiter was released.
type Cause uint8

const (
	// Published: an event came on one of the channels.
	Published Cause = iota + 1
	// TimedOut: the deadline passed.
	TimedOut
	// Woken: [Waiter.Wake] was called.
	Woken
	// Looked: [Waiter.Look] was called.
	Looked
	// Superseded: [Waiter.Supersede] was called.
	Superseded
	// Stopped: the lot was stopped.
	Stopped
	// Full: the limit of parked requests is reached.
	Full
)

// String implements [fmt.Stringer].
func (c Cause) String() string {
	return [...]string{
		Published: "published", TimedOut: "timeout", Woken: "woken", Looked: "look", Superseded: "superseded", Stopped: "stop", Full: "full",
	}[c]
}

// Outcome is how a hold ended.
type Outcome struct {
	Cause Cause

	// Event is set if the cause is Published. If events were lost, it is the event that
	// says so; a message that has come as well is the outcome of the next park. Otherwise
	// it is the first event with a message, otherwise the first. A subscriber calls
	// [Waiter.Take] instead.
	Event *Event
}

// state is what a waiter is doing.
type state uint8

const (
	idle    state = iota // its request is with the backend, or with the client
	parked               // any outcome can end it
	held                 // only its deadline ends it
	heeding              // its deadline or an event ends it
)

// Waiter is one request's place in the lot.
type Waiter struct {
	lot      *Lot
	interest Interest
	known    brokers.Position // messages up to here are not noted; zero: all are
	open     bool             // it is counted as a stream

	// links and their channels are set by Register. The other fields of links belong to
	// the shards.
	links []link
	one   [1]link

	mu         sync.Mutex // guards all below but the deadline
	about      any
	state      state
	moved      bool   // an event came since Note
	loss       *Event // says that others are lost, or nil; the next park ends with it
	event      *Event // the event that the next park ends with if there is no loss
	queue      *queue // instead of loss and event; nil: it is not a subscriber
	lost       uint64 // the last event that says that others are lost
	superseded bool
	release    func(Outcome)
	until      time.Duration // since the lot's start
	spread     time.Duration
	spreading  bool // it will be released by an event, at until
	ending     bool // it will be superseded, at until

	deadlines *deadlines
	deadline  due.Entry[*Waiter] // guarded by the lock of deadlines
}

// Parking says how a waiter is parked.
type Parking struct {
	// Until is when the waiter is released at the latest.
	Until time.Time

	// Spread delays a release by an event by up to this, at random, so that the waiters
	// of one channel are not all released at once.
	Spread time.Duration

	// Release is called once, with the outcome, unless the waiter leaves first. It runs
	// on the goroutine that ends the park and must not block.
	Release func(Outcome)
}

// Describe sets what [Lot.EachOn] returns for the waiter.
func (w *Waiter) Describe(about any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.about = about
}

// Note marks the moment from which events count, because a backend that is asked
// afterwards knows of the wake-ups before. A message that came is kept, because only a
// park can return it, and so is an event that says that others are lost.
func (w *Waiter) Note() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.moved = false
	if w.event != nil && w.event.isWakeUp() {
		w.event = nil
	}
}

// outweighs reports whether an event replaces one that was noted before, which may be
// nil. Neither says that others are lost.
func (e *Event) outweighs(noted *Event) bool {
	return noted == nil || noted.Message == nil && e.Message != nil
}

// Moved reports whether an event came since Note.
func (w *Waiter) Moved() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.moved
}

// Park parks the waiter until something happens to it. If something has happened already,
// Park returns the outcome and false, and Release is never called.
func (w *Waiter) Park(p Parking) (Outcome, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.superseded && w.loss == nil && (w.event == nil || w.event.isWakeUp()):
		return Outcome{Cause: Superseded}, false
	case w.loss != nil || w.event != nil || w.queue.waiting():
		return w.takeEvent(), false
	}
	if !w.open && !w.lot.addParked() {
		return Outcome{Cause: Full}, false
	}
	w.until, w.spread, w.release = w.lot.since(p.Until), p.Spread, p.Release
	if !w.deadlines.set(w, w.until, true) {
		if !w.open {
			w.lot.parked.Add(-1)
		}
		return Outcome{Cause: Stopped}, false
	}
	w.state = parked
	w.count(1)
	return Outcome{}, true
}

// Hold calls release with [TimedOut] when the deadline passes, unless the waiter leaves
// first. Events are noted meanwhile, but do not release the waiter.
func (w *Waiter) Hold(until time.Time, release func(Outcome)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.until, w.release = w.lot.since(until), release
	w.deadlines.set(w, w.until, false)
	w.state = held
}

// Heed is like Hold, but an event since [Waiter.Note] releases the waiter as well, with
// [Published]. The event stays noted. Heed returns false if one has come already: then
// release is never called.
func (w *Waiter) Heed(until time.Time, release func(Outcome)) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.moved {
		return false
	}
	w.until, w.release = w.lot.since(until), release
	w.deadlines.set(w, w.until, false)
	w.state = heeding
	return true
}

// TakeMessage takes the noted event if it has a message. Otherwise it returns nil, and also
// if events were lost and the client must learn that first. A subscriber calls
// [Waiter.Take] instead.
func (w *Waiter) TakeMessage() *Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.event == nil || w.event.Message == nil || w.loss != nil && w.hasPosition() {
		return nil
	}
	w.loss = nil
	return w.takeEvent().Event
}

// hasPosition reports whether the client has a position, or gets one if events are lost.
func (w *Waiter) hasPosition() bool { return w.known.Epoch != "" || w.interest == MessagesOnly }

// HasMessage reports whether a message has come that was not taken yet and that the next
// park ends with.
func (w *Waiter) HasMessage() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queue != nil {
		return slices.ContainsFunc(w.queue.events, func(e *Event) bool { return e.Message != nil })
	}
	return w.loss == nil && w.event != nil && w.event.Message != nil
}

// Leave ends a park or a hold without an outcome. It returns false if there is none to
// end: then the callback has been called with an outcome, or is about to be.
func (w *Waiter) Leave() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state == idle {
		return false
	}
	w.free()
	return true
}

// Wake ends a park with [Woken]. It reports whether there was one.
func (w *Waiter) Wake() bool { return w.end(Woken) }

// Look ends a park with [Looked]. It reports whether there was one.
func (w *Waiter) Look() bool { return w.end(Looked) }

// Supersede ends a park with [Superseded], and each that would begin from now on. An event
// that was noted and has not released the waiter goes to the newer waiter, if there is
// one and neither is a subscriber. A message that is noted later still releases this one.
func (w *Waiter) Supersede(newer *Waiter) {
	w.mu.Lock()
	w.superseded = true
	var loss, noted *Event
	if newer != nil && w.queue == nil && newer.queue == nil {
		loss, w.loss = w.loss, nil
		if newer.hears(w.event) {
			noted, w.event = w.event, nil
		}
	}
	w.mu.Unlock()
	if loss != nil || noted != nil {
		newer.inherit(loss, noted)
	}
	w.end(Superseded)
}

// hears reports whether the event, which may be nil, is on one of the waiter's channels. It
// reads only the channels of its links, because the rest belongs to the shards.
func (w *Waiter) hears(e *Event) bool {
	if e == nil {
		return false
	}
	for i := range w.links {
		if w.links[i].channel.name == e.Channel {
			return true
		}
	}
	return false
}

// EndBy makes a park end with [Superseded] at the given time, or now if that has passed,
// unless it ends before.
func (w *Waiter) EndBy(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	until := w.lot.since(t)
	if w.state != parked || w.spreading || until >= w.until {
		return
	}
	w.until, w.ending = until, true
	w.deadlines.set(w, until, true)
}

// Close removes the waiter from its channels. It must not be parked or held.
func (w *Waiter) Close() {
	w.shut()
	for i := range w.links {
		w.lot.leave(&w.links[i])
	}
}

// described returns what Describe has set, and whether the waiter waits for events.
func (w *Waiter) described() (about any, stream, waits bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.about, w.open, w.open || w.state == parked
}

// end ends a park, not a hold.
func (w *Waiter) end(cause Cause) bool {
	w.mu.Lock()
	if w.state != parked {
		w.mu.Unlock()
		return false
	}
	outcome := Outcome{Cause: cause}
	if w.spreading && w.loss == nil && w.event != nil && w.event.Message != nil {
		outcome = w.takeEvent() // what was noted first counts
	}
	release := w.free()
	w.mu.Unlock()
	release(outcome)
	return true
}

// noted notes an event. It returns the callback to call if the event ends a park now, and
// whether the waiter counts as released by the event: a subscriber always does, another
// one if the event ends its park, now or after the spread.
func (w *Waiter) noted(e *Event) (release func(Outcome), outcome Outcome, counted bool) {
	if w.knows(e) {
		return nil, Outcome{}, false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.Lost() {
		if w.lost == e.came {
			return nil, Outcome{}, false // it has come on another channel already
		}
		w.lost = e.came
	}
	w.moved = true
	switch {
	case w.queue != nil:
		w.queue.put(e)
	case e.Lost():
		w.loss = e
	case e.outweighs(w.event):
		w.event = e
	}
	if w.state == heeding {
		return w.free(), Outcome{Cause: Published}, w.queue != nil
	}
	if w.state != parked || w.spreading {
		return nil, Outcome{}, w.queue != nil
	}
	if w.spread > 0 {
		w.spreading = true
		delayed := w.lot.since(time.Now().Add(rand.N(w.spread)))
		w.until = min(w.until, delayed)
		w.deadlines.set(w, w.until, true)
		return nil, Outcome{}, true
	}
	return w.free(), w.takeEvent(), true
}

// knows reports whether the event is a message that the client has already.
func (w *Waiter) knows(e *Event) bool {
	return e.Message != nil && w.known.Epoch != "" && w.known.Covers(e.Event)
}

// expired is called when the waiter is due in the deadline queue. It may have left since,
// and may even be parked again.
func (w *Waiter) expired(now time.Duration) {
	w.mu.Lock()
	if w.state == idle || w.until > now {
		w.mu.Unlock()
		return
	}
	outcome := Outcome{Cause: TimedOut}
	switch {
	case w.spreading:
		outcome = w.takeEvent()
	case w.ending:
		outcome.Cause = Superseded
	}
	release := w.free()
	w.mu.Unlock()
	release(outcome)
}

// takeEvent returns the outcome of the noted events. If that is a loss, a message stays
// noted. The caller holds mu.
func (w *Waiter) takeEvent() Outcome {
	if w.loss != nil {
		o := Outcome{Cause: Published, Event: w.loss}
		w.loss = nil
		if w.event != nil && w.event.isWakeUp() {
			w.event = nil
		}
		return o
	}
	o := Outcome{Cause: Published, Event: w.event}
	w.event = nil
	return o
}

// count adds n to the parked requests of the waiter's channels. The caller holds mu.
func (w *Waiter) count(n int64) {
	if w.open {
		return
	}
	for i := range w.links {
		w.links[i].channel.parked.Add(n)
	}
}

// free makes the waiter idle again and returns the callback of its park or hold. The caller
// holds mu.
func (w *Waiter) free() func(Outcome) {
	if w.state == parked {
		w.count(-1)
		if !w.open {
			w.lot.parked.Add(-1)
		}
	}
	release := w.release
	w.state, w.spreading, w.ending, w.release = idle, false, false, nil
	w.deadlines.remove(w)
	return release
}
