package lot

import "strings"

// model says what must have happened after the steps of a schedule, in whatever
// order they came. It is as simple as the lot's promises are, and knows of no locks,
// lists and queues.
type model struct {
	requests []*expected
	seats    int // how many may be parked
	now      int // how often the bell has rung
	stopped  bool
}

// request is one waiter of a schedule.
type request struct {
	channels   string // each letter names one
	interest   Interest
	subscriber bool
	life       string // its steps, in their order; registered first, unless that is one of them
}

// expected is what the model knows of a request.
type expected struct {
	request
	joined, open, superseded, moved, overflowed bool

	state    state
	until    int
	kept     happening // what the next park ends with, or the zero happening
	queue    []happening
	outcomes []ending
}

// happening is an event: the how manyth, and whether with a message.
type happening struct {
	number  uint64
	message bool
}

// ending is an [Outcome].
type ending struct {
	cause Cause
	event happening
}

// roomOfModel is how many events are queued for a subscriber.
const roomOfModel = 2

func (m *model) publish(channel string, h happening) (released int) {
	for _, r := range m.requests {
		if !r.joined || !strings.Contains(r.channels, channel) || r.interest == MessagesOnly && !h.message {
			continue
		}
		seen := happening{h.number, h.message && r.interest != WakeUps}
		r.moved = true
		if r.subscriber {
			r.put(seen)
		} else if r.kept == (happening{}) || !r.kept.message && seen.message {
			r.kept = seen
		}
		if r.subscriber || r.state == parked {
			released++
		}
		if r.state == parked {
			r.end(Published)
		}
	}
	return released
}

func (r *expected) put(h happening) {
	last := len(r.queue) - 1
	switch {
	case r.overflowed:
	case last >= 0 && !h.message && !r.queue[last].message:
		r.queue[last] = h
	case len(r.queue) == roomOfModel:
		r.queue, r.overflowed = nil, true
	default:
		r.queue = append(r.queue, h)
	}
}

func (m *model) park(r *expected) {
	switch {
	case r.superseded:
		r.end(Superseded)
	case r.kept != (happening{}) || len(r.queue) > 0 || r.overflowed:
		r.end(Published)
	case !r.open && m.parked() >= m.seats:
		r.end(Full)
	case m.stopped:
		r.end(Stopped)
	default:
		m.hold(r, parked)
	}
}

func (m *model) hold(r *expected, how state) { r.state, r.until = how, m.now+1 }

func (r *expected) end(cause Cause) {
	outcome := ending{cause: cause}
	if cause == Published {
		outcome.event, r.kept = r.kept, happening{}
	}
	r.state, r.outcomes = idle, append(r.outcomes, outcome)
}

// endPark ends a park, if there is one.
func (r *expected) endPark(cause Cause) bool {
	if r.state != parked {
		return false
	}
	r.end(cause)
	return true
}

// stop leaves alone who is just being timed out.
func (m *model) stop() {
	m.stopped = true
	for _, r := range m.requests {
		if r.until > m.now {
			r.endPark(Stopped)
		}
	}
}

func (m *model) timeOut() {
	for _, r := range m.requests {
		if r.state != idle && r.until <= m.now {
			r.end(TimedOut)
		}
	}
}

func (r *expected) note() {
	r.moved = false
	if !r.kept.message {
		r.kept = happening{}
	}
}

func (r *expected) leave() (left bool) {
	left, r.state = r.state != idle, idle
	return left
}

func (m *model) parked() (n int) {
	for _, r := range m.requests {
		if r.open || r.state == parked {
			n++
		}
	}
	return n
}

func (m *model) waiting(channel string) (w Waiting) {
	for _, r := range m.requests {
		switch {
		case !strings.Contains(r.channels, channel):
		case r.open:
			w.Streams++
		case r.state == parked:
			w.Requests++
		}
	}
	return w
}
