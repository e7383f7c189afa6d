// Package lot is where the requests of this process are parked, each on its channels.
//
// A [Waiter] is registered on its channels before the backend is asked, and stays
// registered until its request has ended. So no event can be lost between the ask and the
// park: an event in between is noted, and the waiter is released as soon as it parks.
// However many things happen to a parked waiter at once, it gets exactly one [Outcome].
//
// The lot knows nothing about HTTP. A waiter is released by a callback, and has no
// goroutine and no timer of its own. The cost of a publish depends only on the waiters of
// its channel. A channel without waiters takes no memory.
package lot

import (
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-parker/parker/brokers"
)

const (
	shardCount    = 64
	deadlineCount = 16
)

// Lot holds the waiters of one process. Its locks are taken in this order: a shard's, a
// waiter's, a deadline queue's. None is held while a callback runs.
type Lot struct {
	seed      maphash.Seed
	start     time.Time // deadlines are counted from here
	shards    [shardCount]shard
	deadlines [deadlineCount]deadlines
	turn      atomic.Uint32 // chooses the deadline queue of the next waiter

	parked    atomic.Int64
	maxParked atomic.Int64
	events    atomic.Uint64 // how many have come
	marks     marks
}

// shard holds a part of the channels, chosen by the hash of their names.
type shard struct {
	mu       sync.Mutex // guards channels and the links of each
	channels map[string]*channel
}

// channel is a list of its waiters, in the order in which they registered.
type channel struct {
	name        string
	first, last *link
	parked      atomic.Int64 // without streams
	streams     int
}

// link is one waiter's place on one channel.
type link struct {
	waiter         *Waiter
	channel        *channel
	previous, next *link
}

// New returns an empty lot without a limit.
func New() *Lot {
	l := &Lot{seed: maphash.MakeSeed(), start: time.Now()}
	l.maxParked.Store(math.MaxInt64)
	for i := range l.shards {
		l.shards[i].channels = make(map[string]*channel)
	}
	for i := range l.deadlines {
		l.deadlines[i].init(l.start)
	}
	return l
}

// SetMaxParked limits how many waiters are parked at once. Those that are parked already
// stay parked.
func (l *Lot) SetMaxParked(n int) { l.maxParked.Store(int64(n)) }

// addParked counts one more waiter as parked. It returns false if the limit is reached.
func (l *Lot) addParked() bool {
	if l.parked.Add(1) > l.maxParked.Load() {
		l.parked.Add(-1)
		return false
	}
	return true
}

// Parked counts the parked waiters and the open streams.
func (l *Lot) Parked() int { return int(l.parked.Load()) }

// End ends the parks on a channel with [Superseded]. It returns how many there were.
func (l *Lot) End(name string) int {
	var waiters []*Waiter
	s := l.shardOf(name)
	s.mu.Lock()
	if ch := s.channels[name]; ch != nil {
		for k := ch.first; k != nil; k = k.next {
			waiters = append(waiters, k.waiter)
		}
	}
	s.mu.Unlock()
	ended := 0
	for _, w := range waiters {
		if w.end(Superseded) {
			ended++
		}
	}
	return ended
}

// Interest says what the events on its channels are to a waiter.
type Interest uint8

const (
	// WakeUps: every event is a wake-up, even one with a message.
	WakeUps Interest = iota
	// Messages: a message is kept, and an event without one is a wake-up.
	Messages
	// MessagesOnly: events without a message are not noted.
	MessagesOnly
)

// Register returns a waiter on the channels. From now on it notes what is published on
// them. [Waiter.Close] must follow.
func (l *Lot) Register(channels []string, interest Interest) *Waiter {
	return l.register(&Waiter{interest: interest}, channels)
}

// RegisterAfter is Register for a client that has the messages up to a position: these are
// not noted, whenever they come. A wake-up is noted, because the client may not have the
// backend's answer after it.
func (l *Lot) RegisterAfter(known brokers.Position, channels []string, interest Interest) *Waiter {
	return l.register(&Waiter{interest: interest, known: known}, channels)
}

// Subscribe is Register for a waiter that wants all events in order: those that come while
// it is not parked are queued, as long as there is room.
func (l *Lot) Subscribe(channels []string, interest Interest, room Room) *Waiter {
	return l.register(&Waiter{interest: interest, queue: &queue{room: room}}, channels)
}

func (l *Lot) register(w *Waiter, channels []string) *Waiter {
	w.lot, w.deadline.Value = l, w
	w.deadlines = &l.deadlines[l.turn.Add(1)%deadlineCount]
	w.links = w.one[:0]
	if len(channels) > 1 {
		w.links = make([]link, 0, len(channels))
	}
	for _, name := range channels {
		w.links = append(w.links, link{waiter: w})
		l.join(name, &w.links[len(w.links)-1])
	}
	return w
}

func (l *Lot) join(name string, k *link) {
	s := l.shardOf(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	ch := s.channels[name]
	if ch == nil {
		ch = &channel{name: name}
		s.channels[name] = ch
	}
	k.channel, k.previous = ch, ch.last
	if ch.last == nil {
		ch.first = k
	} else {
		ch.last.next = k
	}
	ch.last = k
}

func (l *Lot) leave(k *link) {
	ch := k.channel
	s := l.shardOf(ch.name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if k.previous == nil {
		ch.first = k.next
	} else {
		k.previous.next = k.next
	}
	if k.next == nil {
		ch.last = k.previous
	} else {
		k.next.previous = k.previous
	}
	if ch.first == nil {
		delete(s.channels, ch.name)
	}
}

// Release gives an event to the waiters of its channel: those that are parked are
// released, the others note it. It returns how many it has released. An event reaches all
// waiters of its channel at the same moment: two that are registered on the same channels
// have always noted the same events, and by then [Lot.Mark] has changed. An event that
// says that others are lost goes to all waiters.
func (l *Lot) Release(e brokers.Event) int {
	released, rest := l.Receive(e)
	if rest != nil {
		rest()
	}
	return released
}

// burst is how many callbacks are called before [Lot.Receive] returns.
const burst = 256

// Receive is Release for events that come one after the other. If there are many waiters
// to release, it leaves the callbacks to rest, which the caller must then call. Otherwise
// rest is nil. By then the outcome of each waiter is decided, and the lot can receive
// further events, so that a channel with many waiters does not delay other channels.
func (l *Lot) Receive(e brokers.Event) (released int, rest func()) {
	r := release{full: &Event{Event: e, came: l.events.Add(1)}}
	r.bare = r.full.bare()
	l.marks.note(l.seed, &e, Moment(l.since(time.Now())+1))
	if e.Lost() {
		for i := range l.shards {
			l.shards[i].give(&r)
		}
	} else {
		l.shardOf(e.Channel).give(&r)
	}
	if len(r.due) > burst {
		return r.released, r.callBack
	}
	r.callBack()
	return r.released, nil
}

// release is one event on its way to the waiters.
type release struct {
	full, bare *Event
	due        []freed
	released   int
}

// callBack calls the callbacks of the released waiters.
func (r *release) callBack() {
	for _, f := range r.due {
		f.release(f.outcome)
	}
}

// freed is a callback that must be called.
type freed struct {
	release func(Outcome)
	outcome Outcome
}

// give gives the event to the shard's waiters that it is for.
func (s *shard) give(r *release) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !r.full.Lost() {
		s.channels[r.full.Channel].give(r)
		return
	}
	for _, ch := range s.channels {
		ch.give(r)
	}
}

// give gives the event to the channel's waiters. A channel without waiters is nil.
func (ch *channel) give(r *release) {
	if ch == nil {
		return
	}
	if r.due == nil {
		r.due = make([]freed, 0, max(ch.parked.Load(), 0))
	}
	for k := ch.first; k != nil; k = k.next {
		event := r.full
		switch {
		case k.waiter.interest == WakeUps:
			event = r.bare
		case k.waiter.interest == MessagesOnly && event.isWakeUp():
			continue
		}
		release, outcome, counted := k.waiter.noted(event)
		if release != nil {
			r.due = append(r.due, freed{release, outcome})
		}
		if counted {
			r.released++
		}
	}
}

// Stop ends every park with [Stopped], and each that would begin from now on. It does not
// end holds.
func (l *Lot) Stop() {
	for i := range l.deadlines {
		for _, w := range l.deadlines[i].stop() {
			w.end(Stopped)
		}
	}
}

func (l *Lot) shardOf(name string) *shard {
	return &l.shards[maphash.String(l.seed, name)%shardCount]
}

func (l *Lot) since(t time.Time) time.Duration { return t.Sub(l.start) }
