// Package lot is where requests are parked: all that wait in this process, and
// the channels they wait on.
//
// A [Waiter] is registered on its channels before the backend is asked and stays
// registered until its request has ended, so that no event can fall between the
// ask and the park: what is published in between is noted, and the waiter is
// released as soon as it parks. However many things happen to a parked waiter at
// once, it gets exactly one [Outcome].
//
// The lot knows nothing of HTTP. A waiter is released by a callback and owns no
// goroutine and no timer; publishing on a channel costs what its own waiters
// cost; a channel without waiters takes no memory.
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

// Lot holds the waiters of one process. Its locks are taken in this order: a
// channel shard's, a waiter's, a deadline queue's. None is held while a callback
// runs.
type Lot struct {
	seed      maphash.Seed
	start     time.Time // deadlines are counted from here
	shards    [shardCount]shard
	deadlines [deadlineCount]deadlines
	turn      atomic.Uint32 // hands waiters to the deadline queues in turn

	parked    atomic.Int64
	maxParked atomic.Int64
	events    atomic.Uint64 // how many came
	marks     marks
}

// shard holds a part of the channels, chosen by their names' hash.
type shard struct {
	mu       sync.Mutex // guards channels and the links of each
	channels map[string]*channel
}

// channel is a list of its waiters, in the order in which they registered.
type channel struct {
	name        string
	first, last *link
	parked      atomic.Int64 // but for streams
	streams     int
}

// link is one waiter's place on one channel.
type link struct {
	waiter         *Waiter
	channel        *channel
	previous, next *link
}

// New makes an empty lot without a limit.
func New() *Lot {
	l := &Lot{seed: maphash.MakeSeed(), start: time.Now()}
	l.maxParked.Store(math.MaxInt64)
	for i := range l.shards {
		l.shards[i].channels = make(map[string]*channel)
	}
	for i := range l.deadlines {
		l.deadlines[i].lot = l
	}
	return l
}

// SetMaxParked bounds how many waiters are parked at once; those that are
// already, stay.
func (l *Lot) SetMaxParked(n int) { l.maxParked.Store(int64(n)) }

// seat counts one more as parked, unless those are as many as may be.
func (l *Lot) seat() bool {
	if l.parked.Add(1) > l.maxParked.Load() {
		l.parked.Add(-1)
		return false
	}
	return true
}

// Parked counts the waiters that are parked now, and the streams.
func (l *Lot) Parked() int { return int(l.parked.Load()) }

// Waiting counts what waits on a channel: the requests that are parked now, and
// the streams that are open.
type Waiting struct{ Requests, Streams int }

func (ch *channel) waiting() Waiting {
	return Waiting{Requests: int(ch.parked.Load()), Streams: ch.streams}
}

// Waiting counts the requests that wait on the channel now.
func (l *Lot) Waiting(name string) Waiting {
	s := l.shardOf(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if ch := s.channels[name]; ch != nil {
		return ch.waiting()
	}
	return Waiting{}
}

// EachWaiting calls yield with each channel on which anyone waits, in no order.
// yield runs while a part of the lot is locked.
func (l *Lot) EachWaiting(yield func(name string, waiting Waiting)) {
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		for name, ch := range s.channels {
			if w := ch.waiting(); w != (Waiting{}) {
				yield(name, w)
			}
		}
		s.mu.Unlock()
	}
}

// Channels counts the channels that anyone waits on.
func (l *Lot) Channels() int {
	n := 0
	l.EachWaiting(func(string, Waiting) { n++ })
	return n
}

// EachOn calls yield with what describes each waiter that is parked on a channel, or
// streams, in the order in which they came, until yield returns false. It runs while
// a part of the lot is locked.
func (l *Lot) EachOn(name string, yield func(about any, stream bool) bool) {
	s := l.shardOf(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	ch := s.channels[name]
	if ch == nil {
		return
	}
	for k := ch.first; k != nil; k = k.next {
		if about, stream, waits := k.waiter.described(); waits && !yield(about, stream) {
			return
		}
	}
}

// End ends what is parked on a channel, as a newer request that takes its place does.
// It returns how many it ended.
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

// Interest is what a waiter wants to know of the events on its channels.
type Interest uint8

const (
	// WakeUps: every event is a mere wake-up, also one with a message.
	WakeUps Interest = iota
	// Messages: messages are kept, and events without one wake.
	Messages
	// MessagesOnly: events without a message are not noted.
	MessagesOnly
)

// Register puts a waiter on the channels. From now on it notes what is published
// on them. [Waiter.Close] must follow.
func (l *Lot) Register(channels []string, interest Interest) *Waiter {
	return l.register(&Waiter{interest: interest}, channels)
}

// RegisterAfter is Register for a waiter that knows the messages up to a position:
// those are not noted, whenever they come. A wake-up is, as knowing of it is not to
// know what the backend has to say since.
func (l *Lot) RegisterAfter(known brokers.Position, channels []string, interest Interest) *Waiter {
	return l.register(&Waiter{interest: interest, known: known}, channels)
}

// Subscribe is Register for a waiter that wants all events in order: what comes
// while it is not parked is queued for it, as much as there is room for.
func (l *Lot) Subscribe(channels []string, interest Interest, room Room) *Waiter {
	return l.register(&Waiter{interest: interest, queue: &queue{room: room}}, channels)
}

func (l *Lot) register(w *Waiter, channels []string) *Waiter {
	w.lot, w.place = l, -1
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

// Release gives the event to the waiters of its channel: those that are parked
// are released, the others note it. It returns how many it released. An event
// reaches all waiters of its channel at one moment: two that are registered on
// the same channels have always noted the same. By then it shows in [Lot.Mark]. One
// that says that others are lost goes to all waiters.
func (l *Lot) Release(e brokers.Event) int {
	released, rest := l.Receive(e)
	if rest != nil {
		rest()
	}
	return released
}

// burst is how many callbacks are called before [Lot.Receive] returns.
const burst = 256

// Receive is Release for events that come one after the other. Where it releases many,
// it leaves most of the work to rest, which must be called and else is nil: what
// releases each waiter is settled, and further events can be given to the lot
// meanwhile. So a channel with many waiters keeps others waiting for less.
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

// release is one event on its way to all that wait.
type release struct {
	full, bare *Event
	due        []freed
	released   int
}

// callBack calls the callbacks of those that are released.
func (r *release) callBack() {
	for _, f := range r.due {
		f.release(f.outcome)
	}
}

// freed is a callback that is to be called.
type freed struct {
	release func(Outcome)
	outcome Outcome
}

// give gives the event to those of the shard's waiters that it is for.
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

// give gives the event to the channel's waiters. There is no channel without any.
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

// Stop ends every park with [Stopped], and each that would begin from now on.
// Holds by [Waiter.Hold] run on.
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

func (l *Lot) since(t time.Time) int64 { return int64(t.Sub(l.start)) }
