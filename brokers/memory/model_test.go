package memory

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/brokers/internal/history"
)

// model is a history in one list that only grows.
type model struct {
	limits  brokers.History
	events  []modelEvent // the offset of each is its place, counted from 1
	missing map[string]int
}

type modelEvent struct {
	brokers.Publication
	at        time.Time
	forgotten bool
}

// limit sets the limits.
func (m *model) limit(limits brokers.History) {
	m.limits = limits
	m.forgetDue()
	for channel := range channelsOfModel {
		m.trim(fmt.Sprint(channel))
	}
}

// publish returns the offset of the event, or of the earlier one with its ID.
func (m *model) publish(p brokers.Publication) (offset int, duplicate bool) {
	m.forgetDue()
	for i, e := range m.events {
		if p.ID != "" && e.ID == p.ID && e.Channel == p.Channel && !e.forgotten {
			return i + 1, true
		}
	}
	m.events = append(m.events, modelEvent{Publication: p, at: time.Now()})
	if p.Lifetime < 0 {
		m.forget(len(m.events))
	}
	m.trim(p.Channel)
	return len(m.events), false
}

func (m *model) forgetDue() {
	for i, e := range m.events {
		lifetime := e.Lifetime
		if lifetime == 0 {
			lifetime = m.limits.MaxAge
		}
		if !e.forgotten && time.Since(e.at) >= lifetime {
			m.forget(i + 1)
		}
	}
}

// forget records that the event is missing, unless it is a wake-up and a later one is
// remembered.
func (m *model) forget(offset int) {
	e := &m.events[offset-1]
	e.forgotten = true
	later := slices.ContainsFunc(m.events[offset:], func(later modelEvent) bool {
		return later.Channel == e.Channel && later.Message == nil && !later.forgotten
	})
	if e.Message != nil || !later {
		m.missing[e.Channel] = max(m.missing[e.Channel], offset)
	}
}

// trim applies the limits to a channel. It keeps the last wake-up and some with an ID.
func (m *model) trim(channel string) {
	messages, wakeups := 0, 0
	for offset := len(m.events); offset > 0; offset-- {
		e := m.events[offset-1]
		switch {
		case e.Channel != channel || e.forgotten:
		case e.Message != nil:
			if messages++; messages > m.limits.Events {
				m.forget(offset)
			}
		default:
			if wakeups++; wakeups > max(m.limits.Events, 1) || wakeups > 1 && e.ID == "" {
				m.forget(offset)
				wakeups--
			}
		}
	}
}

// after returns the events that a reader must get: all, or only the remembered ones.
func (m *model) after(channels []string, offset, limit int, all bool) (events []string) {
	woken := make(map[string]int) // the last wake-up of each channel
	for i, e := range m.events {
		if e.Message == nil && (all || !e.forgotten) {
			woken[e.Channel] = i + 1
		}
	}
	for offset++; offset <= len(m.events); offset++ {
		e := m.events[offset-1]
		switch {
		case !slices.Contains(channels, e.Channel) || e.forgotten && !all:
		case e.Message == nil && woken[e.Channel] == offset:
			events = append(events, fmt.Sprint(offset))
		case e.Message != nil:
			if limit--; limit < 0 {
				return events
			}
			events = append(events, fmt.Sprintf("%d %s", offset, e.Message.Body))
		}
	}
	return events
}

// newest returns the offset of the last event on any of the channels, or 0.
func (m *model) newest(channels []string) int {
	for offset := len(m.events); offset > 0; offset-- {
		if slices.Contains(channels, m.events[offset-1].Channel) {
			return offset
		}
	}
	return 0
}

const channelsOfModel = 4

// script turns bytes into steps. After the last byte it returns zeros.
type script []byte

func (s *script) number(below int) int {
	if len(*s) == 0 {
		return 0
	}
	b := (*s)[0]
	*s = (*s)[1:]
	return int(b) % below
}

func (s *script) limits() brokers.History {
	return brokers.History{Events: s.number(5), MaxAge: time.Duration(s.number(4)+1) * 5 * time.Second, MaxBytes: 1e6}
}

func (s *script) publication() brokers.Publication {
	p := brokers.Publication{Channel: fmt.Sprint(s.number(channelsOfModel))}
	if s.number(3) > 0 {
		p.Message = &brokers.Message{Body: []byte(fmt.Sprint("m", len(*s)))}
	}
	p.ID = []string{"", "", "x", "y", "z"}[s.number(5)]
	p.Lifetime = []time.Duration{0, 0, 0, -1, time.Second, 7 * time.Second, time.Minute}[s.number(7)]
	return p
}

func (s *script) channels() (names []string) {
	for set, i := s.number(1<<channelsOfModel-1)+1, 0; set > 0; set, i = set/2, i+1 {
		if set%2 == 1 {
			names = append(names, fmt.Sprint(i))
		}
	}
	return names
}

// FuzzHistory applies the same steps to a history and to its model, and compares them. The
// model has no MaxBytes. With it, only complete results are compared.
func FuzzHistory(f *testing.F) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		text := make([]byte, 1000)
		for i := range text {
			text[i] = byte(random.Uint32())
		}
		f.Add(text, seed%3 == 0)
	}
	f.Fuzz(func(t *testing.T, text []byte, ceiling bool) {
		if len(text) > 2000 {
			return // the model is slow
		}
		synctest.Test(t, func(t *testing.T) { play(t, script(text), ceiling) })
	})
}

func play(t *testing.T, s script, ceiling bool) {
	limits := s.limits()
	leastAge := limits.MaxAge
	m := &model{limits: limits, missing: make(map[string]int)}
	start := func() { // only the broker has MaxBytes
		m.limit(limits)
		leastAge = min(leastAge, limits.MaxAge)
		if ceiling {
			limits.MaxBytes = 6 * history.EntryBytes
		}
	}
	start()
	e := started(limits)
	for len(s) > 0 {
		switch s.number(8) {
		case 0:
			limits = s.limits()
			start()
			e.Start(limits, nil)
		case 1, 2:
			time.Sleep(time.Duration(s.number(40)) * 100 * time.Millisecond)
		default:
			p := s.publication()
			if ceiling {
				p.ID = "" // the model does not know when the ID is forgotten
			}
			got := publish(t, e, p)
			offset, duplicate := m.publish(p)
			if got.Duplicate != duplicate || got.Position != e.position(uint64(offset)) {
				t.Fatalf("%+v became %+v, want %d, duplicate %t", p, got, offset, duplicate)
			}
		}
		ask(t, e, m, &s, ceiling, leastAge)
	}
}

func ask(t *testing.T, e *events, m *model, s *script, ceiling bool, leastAge time.Duration) {
	channels, offset, limit := s.channels(), s.number(len(m.events)+1), s.number(12)
	events, complete, err := e.Events(t.Context(), channels, e.position(uint64(offset)), limit)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, event := range events {
		got = append(got, shown(event))
	}
	m.forgetDue()
	if want := m.after(channels, offset, limit, true); complete && !slices.Equal(got, want) {
		t.Fatalf("on %q after %d, said to be complete: %q, want %q", channels, offset, got, want)
	}
	newest := m.newest(channels)
	last := int(e.Newest(channels).Offset)
	if last < newest || last > newest && !ceiling && recent(m, newest, leastAge) {
		t.Fatalf("the newest on %q is %d, want %d", channels, last, newest)
	}
	if ceiling {
		return
	}
	if want := m.after(channels, offset, limit, false); !slices.Equal(got, want) {
		t.Fatalf("on %q after %d: %q, want %q", channels, offset, got, want)
	}
	missing := slices.ContainsFunc(channels, func(channel string) bool { return m.missing[channel] > offset })
	if !complete && !missing && recent(m, offset, leastAge) {
		t.Fatalf("on %q after %d: not complete, and nothing is missing", channels, offset)
	}
}

// recent reports whether the event at an offset is so new that no record of a channel has
// been dropped because of its age.
func recent(m *model, offset int, age time.Duration) bool {
	return offset > 0 && time.Since(m.events[offset-1].at) < age
}
