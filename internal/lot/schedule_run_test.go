package lot

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing/synctest"
	"time"

	"github.com/caddy-parker/parker/brokers"
)

// schedule is one run: the lot's and the model's.
type schedule struct {
	choices  *choices
	model    model
	lot      *Lot
	waiters  []*Waiter
	outcomes [][]ending
	programs [][]string // the steps that are left
	rings    int        // those that are left
	events   uint64

	bell    *Waiter
	ringing bool
	turn    chan struct{} // passes all of this to the bell's callback, and back

	done    []string
	failure string // the first
}

func start(of scenario, c *choices) *schedule {
	s := &schedule{choices: c, lot: New(), rings: of.rings, turn: make(chan struct{})}
	s.model.seats = 1 << 30
	if of.seats > 0 {
		s.model.seats = of.seats
		s.lot.SetMaxParked(of.seats)
	}
	for i, r := range of.requests {
		s.model.requests = append(s.model.requests, &expected{request: r})
		program := strings.Split(r.life, ", ")
		for at := range program {
			program[at] += " " + strconv.Itoa(i)
		}
		s.programs = append(s.programs, program)
	}
	for _, program := range of.others {
		s.programs = append(s.programs, strings.Split(program, ", "))
	}
	s.waiters, s.outcomes = make([]*Waiter, len(of.requests)), make([][]ending, len(of.requests))
	s.bell = s.lot.Register(nil, Messages)
	s.bell.Hold(time.Now().Add(patience), s.onBell)
	for i, r := range of.requests {
		if !strings.HasPrefix(r.life, "register") {
			s.doRequest("register", i)
		}
	}
	return s
}

// steps runs to the end, or within a ring until it goes on.
func (s *schedule) steps() {
	for s.failure == "" {
		var ready []int
		left := 0
		for i, program := range s.programs {
			left += len(program)
			if len(program) > 0 && s.ready(program[0]) {
				ready = append(ready, i)
			}
		}
		ways := len(ready)
		mayRing := !s.ringing && left > 0 && (len(ready) == 0 || s.rings > 0 && s.model.parked() > 0)
		if s.ringing || mayRing {
			ways++
		}
		if ways == 0 {
			return
		}
		switch way := s.choices.of(ways); {
		case way < len(ready):
			program := &s.programs[ready[way]]
			step := (*program)[0]
			*program = (*program)[1:]
			s.done = append(s.done, step)
			s.do(step)
		case s.ringing:
			return
		default:
			s.rings--
			s.ring()
		}
		s.compare()
	}
}

// ready reports whether a step can be taken now: a request that is held does nothing
// of its own except leave, and one that is not registered is not known.
func (s *schedule) ready(step string) bool {
	verb, object, _ := strings.Cut(step, " ")
	switch verb {
	case "publish", "message", "stop", "leave":
		return true
	case "wake", "supersede":
		i, _ := strconv.Atoi(object)
		return s.waiters[i] != nil
	}
	i, _ := strconv.Atoi(object)
	return s.model.requests[i].state == idle
}

// ring lets time pass until the bell rings, and all are ended that were due then.
func (s *schedule) ring() {
	s.done = append(s.done, "ring")
	s.model.now++
	s.turn <- struct{}{}
	<-s.turn
	synctest.Wait()
	s.model.timeOut()
	s.done = append(s.done, "rung")
}

func (s *schedule) onBell(Outcome) {
	<-s.turn
	s.bell.Hold(time.Now().Add(patience), s.onBell)
	s.ringing = true
	s.compare()
	s.steps()
	s.ringing = false
	s.turn <- struct{}{}
}

func (s *schedule) do(step string) {
	verb, object, _ := strings.Cut(step, " ")
	switch verb {
	case "publish", "message":
		s.events++
		e := brokers.Event{Channel: object, Position: brokers.Position{Offset: s.events}}
		if verb == "message" {
			e.Message = &brokers.Message{Body: []byte(object)}
		}
		got, want := s.lot.Release(e), s.model.publish(object, happening{s.events, verb == "message"})
		s.same("how many it released", got, want)
	case "stop":
		s.lot.Stop()
		s.model.stop()
	default:
		i, _ := strconv.Atoi(object)
		s.doRequest(verb, i)
	}
}

func (s *schedule) doRequest(verb string, i int) {
	w, r := s.waiters[i], s.model.requests[i]
	switch verb {
	case "register":
		s.waiters[i], r.joined = s.register(r), true
	case "note":
		w.Note()
		r.note()
	case "park":
		release := func(o Outcome) { s.ended(i, o) }
		if o, parked := w.Park(Parking{Until: time.Now().Add(patience), Release: release}); !parked {
			s.ended(i, o)
		}
		s.model.park(r)
	case "hold":
		w.Hold(time.Now().Add(patience), func(o Outcome) { s.ended(i, o) })
		s.model.hold(r, held)
	case "leave":
		s.same("that it left", w.Leave(), r.leave())
	case "wake":
		s.same("that it was woken", w.Wake(), r.endPark(Woken))
	case "supersede":
		w.Supersede(nil)
		r.superseded = true
		r.endPark(Superseded)
	case "take":
		events, overflowed := w.Take()
		s.same("what was taken", fmt.Sprint(happenings(events)), fmt.Sprint(r.queue))
		s.same("that it overflowed", overflowed, r.overflowed)
		r.queue, r.overflowed = nil, false
	case "open":
		r.open = s.model.parked() < s.model.seats
		s.same("that it is open", w.Open(), r.open)
	case "close":
		w.Close()
		r.joined, r.open = false, false
	default:
		panic("no such step: " + verb)
	}
}

func (s *schedule) register(r *expected) *Waiter {
	channels := strings.Split(r.channels, "")
	var w *Waiter
	if r.subscriber {
		w = s.lot.Subscribe(channels, r.interest, Room{Events: roomOfModel, Bytes: 1 << 20})
	} else {
		w = s.lot.Register(channels, r.interest)
	}
	w.deadlines = s.bell.deadlines // so that they are due in one ring
	return w
}

func (s *schedule) ended(i int, o Outcome) {
	outcome := ending{cause: o.Cause}
	if o.Event != nil {
		outcome.event = happenings([]*Event{o.Event})[0]
	}
	s.outcomes[i] = append(s.outcomes[i], outcome)
}

func happenings(events []*Event) []happening {
	var all []happening
	for _, e := range events {
		all = append(all, happening{e.Position.Offset, e.Message != nil})
	}
	return all
}

// compare holds the lot against the model.
func (s *schedule) compare() {
	s.same("how many are parked", s.lot.Parked(), s.model.parked())
	for _, channel := range []string{"a", "b", "c"} {
		s.same("what waits on "+channel, s.lot.Waiting(channel), s.model.waiting(channel))
	}
	for i, r := range s.model.requests {
		if !slices.Equal(s.outcomes[i], r.outcomes) {
			s.same("the outcomes of "+strconv.Itoa(i), fmt.Sprint(s.outcomes[i]), fmt.Sprint(r.outcomes))
		}
		if s.waiters[i] != nil {
			s.same("that an event came since its note", s.waiters[i].Moved(), r.moved)
		}
	}
}

// end checks that nothing is left in the lot.
func (s *schedule) end() {
	if s.failure != "" {
		return
	}
	s.bell.Leave()
	s.same("how many are parked at the end", s.lot.Parked(), 0)
	s.failure += leftIn(s.lot)
}

// leftIn tells what a lot holds that nobody is registered at.
func leftIn(l *Lot) string {
	for i := range l.shards {
		if n := len(l.shards[i].channels); n != 0 {
			return fmt.Sprintf("%d channels are left", n)
		}
	}
	for i := range l.deadlines {
		d := &l.deadlines[i]
		d.mu.Lock()
		n := len(slices.Collect(d.queue.All))
		d.mu.Unlock()
		if n != 0 {
			return fmt.Sprintf("%d waiters are queued for a deadline", n)
		}
	}
	return ""
}

func (s *schedule) same(what string, got, want any) {
	if got != want && s.failure == "" {
		s.failure = fmt.Sprintf("%s: %v, want %v", what, got, want)
	}
}
