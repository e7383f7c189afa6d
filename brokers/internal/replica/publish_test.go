package replica

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/brokers/brokertest"
)

func TestReplicasReceiveAllEventsInOneOrder(t *testing.T) {
	bubble(t, inOneOrder)
}

func inOneOrder(t *testing.T) {
	const publishers, each = 4, 60
	s := newServer()
	processes := []*process{join(t, s), join(t, s), join(t, s)}
	var publishing sync.WaitGroup
	for i, p := range processes {
		p.set(func() { p.latency = time.Duration(i) * 7 * time.Millisecond })
		for j := range publishers {
			publishing.Go(func() {
				for k := range each {
					p.publish(t, say([]string{"a", "b", "c"}[k%3], fmt.Sprintf("%d.%d.%d", i, j, k)))
				}
			})
		}
	}
	publishing.Wait()
	settle()
	for _, channel := range []string{"a", "b", "c"} {
		want := onChannel(processes[0], channel)
		if len(want) != len(processes)*publishers*each/3 {
			t.Errorf("on %s %d events were received", channel, len(want))
		}
		for _, p := range processes[1:] {
			if got := onChannel(p, channel); !slices.Equal(got, want) {
				t.Errorf("on %s one process received\n%q, another\n%q", channel, got, want)
			}
		}
	}
}

func onChannel(p *process, channel string) (texts []string) {
	for _, e := range p.member.Received() {
		if e.Channel == channel {
			texts = append(texts, brokertest.Text(e))
		}
	}
	return texts
}

func TestPublishReturnsAfterItsEventHasReleasedRequests(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		p, other := join(t, s, func(l *link) { l.latency = 20 * time.Millisecond }), join(t, s)
		for n := range uint64(3) {
			published := p.publish(t, say("a", fmt.Sprint(n)))
			// The first event reports that the log is known.
			want := brokers.Published{Position: brokers.Position{Epoch: "epoch1", Offset: n + 1}, Released: int(n) + 2}
			if published != want {
				t.Errorf("publishing returned %+v, want %+v", published, want)
			}
			if got := p.Position(); got != want.Position {
				t.Errorf("events stand at %v", got)
			}
		}
		settle()
		other.checkReceived(t, "0", "1", "2")
	})
}

// Whether or not an unconfirmed entry was added, all processes receive it once, and the
// entries of one process in order.
func TestPublishDeliversEventOnceAlthoughAppendFails(t *testing.T) {
	for name, fail := range map[string]func(entries []Entry) verdict{
		"though it was added":    func(e []Entry) verdict { return verdict{add: e, err: errCut} },
		"and was not added":      func([]Entry) verdict { return verdict{err: errCut} },
		"and half of it was":     func(e []Entry) verdict { return verdict{add: e[:len(e)/2], err: errCut} },
		"and all but one of it":  func(e []Entry) verdict { return verdict{add: e[:len(e)-1], err: errCut} },
		"and comes late":         func(e []Entry) verdict { return verdict{add: e, late: 7 * time.Second} },
		"and half comes late":    func(e []Entry) verdict { return verdict{add: e[:len(e)/2], late: 7 * time.Second, err: errCut} },
		"and is added twice":     func(e []Entry) verdict { return verdict{add: slices.Concat(e, e)} },
		"and half of it twice":   func(e []Entry) verdict { return verdict{add: slices.Concat(e[:len(e)/2], e), err: errCut} },
		"and the server says so": func([]Entry) verdict { return verdict{err: fmt.Errorf("%w: later", ErrRefused)} },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newServer()
				p, other := join(t, s), join(t, s)
				failures := 2
				p.set(func() {
					p.adding = func(entries []Entry) verdict {
						if failures--; failures < 0 || len(entries) == 1 {
							return verdict{add: entries}
						}
						return fail(entries)
					}
				})
				p.publishAtOnce(t, 20)
				settle()
				want := numbersTo(20)
				if got := p.member.Texts(); !slices.Equal(got, want) {
					t.Errorf("received %q", got)
				}
				other.checkReceived(t, want...)
				join(t, s).checkEvents(t, brokers.Position{Epoch: "epoch1"}, []string{"a"}, want...)
				if failures >= 1 {
					t.Error("nothing failed")
				}
			})
		})
	}
}

// publishAtOnce publishes n messages, numbered from 0. They wait in the outbox together,
// in this order.
func (p *process) publishAtOnce(t *testing.T, n int) {
	var publishing sync.WaitGroup
	p.set(func() { p.latency = 10 * time.Millisecond })
	for _, text := range numbersTo(n) {
		publishing.Go(func() { p.publish(t, say("a", text)) })
		synctest.Wait()
	}
	publishing.Wait()
}

func numbersTo(n int) (texts []string) {
	for i := range n {
		texts = append(texts, fmt.Sprint(i))
	}
	return texts
}

func TestPublishFailsOnlyForRefusedEntry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		p, other := join(t, s), join(t, s)
		p.set(func() {
			p.latency = 10 * time.Millisecond
			p.adding = func(entries []Entry) verdict {
				if slices.ContainsFunc(entries, func(e Entry) bool { return textOf(e.Message) == "bad" }) {
					return verdict{err: fmt.Errorf("%w: it is bad", ErrRefused)}
				}
				return verdict{add: entries}
			}
		})
		var publishing sync.WaitGroup
		for _, text := range []string{"1", "2", "bad", "3", "bad", "4"} {
			publishing.Go(func() {
				_, err := p.Publish(t.Context(), say("a", text))
				if errors.Is(err, ErrRefused) != (text == "bad") {
					t.Errorf("publishing %s: %v", text, err)
				}
			})
			synctest.Wait()
		}
		publishing.Wait()
		settle()
		p.checkReceived(t, "1", "2", "3", "4")
		other.checkReceived(t, "1", "2", "3", "4")
		if h := p.Broker.Health(); !h.Reachable || h.Waiting != 0 {
			t.Errorf("%+v", h)
		}
	})
}

func TestPublishCreatesOneEventForOneID(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		processes := []*process{join(t, s), join(t, s), join(t, s)}
		var publishing sync.WaitGroup
		var mu sync.Mutex
		var positions []brokers.Position
		first := 0
		for i, p := range processes {
			p.set(func() { p.latency = time.Duration(i+1) * 20 * time.Millisecond })
			for j := range 3 {
				publishing.Go(func() {
					published := p.publish(t, named("x", say("a", fmt.Sprint(i, j))))
					mu.Lock()
					defer mu.Unlock()
					positions = append(positions, published.Position)
					if !published.Duplicate {
						first++
					} else if published.Released != 0 {
						t.Errorf("a duplicate is said to have released %d", published.Released)
					}
				})
			}
		}
		publishing.Wait()
		settle()
		if positions = slices.Compact(positions); first != 1 || len(positions) != 1 {
			t.Errorf("%d publishers were told that theirs was the first, at %v", first, positions)
		}
		for _, p := range processes {
			if texts := onChannel(p, "a"); len(texts) != 1 {
				t.Errorf("a process received %q", texts)
			}
			if again := p.publish(t, named("x", say("a", "again"))); !again.Duplicate || again.Position != positions[0] {
				t.Errorf("publishing it again: %+v", again)
			}
			if other := p.publish(t, named("x", say("b"+p.node, "other"))); other.Duplicate {
				t.Errorf("on another channel: %+v", other)
			}
		}
	})
}

func TestPublishCreatesOneEventForOneIDWhileServerIsAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		p, other := join(t, s), join(t, s)
		p.turn(cut)
		settle()
		first := p.publish(t, named("x", say("a", "1")))
		again := p.publish(t, named("x", say("a", "2")))
		if first.Duplicate || !first.Unreachable || again != (brokers.Published{Duplicate: true, Unreachable: true}) {
			t.Errorf("%+v, then %+v", first, again)
		}
		other.publish(t, named("x", say("a", "3")))
		p.turn(open)
		settle()
		p.checkReceived(t, "wake-up", "3")
		other.checkReceived(t, "3")
		if got := p.publish(t, named("x", say("a", "4"))); !got.Duplicate {
			t.Errorf("%+v", got)
		}
	})
}

func TestOutboxKeepsOneWakeUpOfEachChannel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		p, other := join(t, s), join(t, s)
		p.turn(cut)
		settle()
		p.publish(t, say("a", "first"))
		for range 20_000 {
			p.publish(t, wake("a"))
			p.publish(t, wake("b"))
		}
		p.publish(t, say("a", "last"))
		if n := p.Broker.Health().Waiting; n != 4 {
			t.Errorf("%d wait", n)
		}
		p.turn(open)
		settle()
		other.checkReceived(t, "first", "wake-up", "wake-up", "last")
		if n := len(p.member.Received()); n != 40_007 {
			t.Errorf("the process itself received %d", n)
		}
		p.publish(t, say("a", "after"))
		settle()
		other.checkReceived(t, "first", "wake-up", "wake-up", "last", "after")

		// No numbers are missing, which readers would have to remember.
		failed := false
		p.set(func() {
			p.adding = func(entries []Entry) verdict {
				if failed || len(entries) < 2 {
					return verdict{add: entries}
				}
				failed = true
				return verdict{add: entries[1:], err: errCut}
			}
		})
		p.publishAtOnce(t, 3)
		settle()
		if got := other.member.Texts()[3:]; !failed || !slices.Equal(got, []string{"0", "2", "1"}) {
			t.Errorf("then came %q", got)
		}
	})
}

// Other processes may have received the wake-up that is being sent before the later write.
func TestOutboxKeepsWakeUpAfterOneThatIsBeingSent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := join(t, newServer())
		p.turn(cut)
		settle()
		p.publish(t, wake("a"))
		p.set(func() {
			p.adding = func(entries []Entry) verdict { return verdict{add: entries, late: 4500 * time.Millisecond} }
		})
		p.turn(open)
		time.Sleep(3 * time.Second) // it has been sent by then
		p.publish(t, wake("a"))
		settle()
		p.checkReceived(t, "wake-up", "wake-up", "wake-up", "wake-up")
	})
}

// Other processes may have received the earlier wake-up, and asked before the later write.
func TestOutboxKeepsWakeUpAfterOneThatMayBeInLog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		p, other := join(t, s), join(t, s)
		p.set(func() {
			p.reading = func([]Entry) (int, error) { return 0, errCut }
			p.adding = func(entries []Entry) verdict { return verdict{add: entries, err: errCut} }
		})
		p.publish(t, wake("a"))
		settle()
		other.checkReceived(t, "wake-up")
		p.publish(t, wake("a"))
		p.set(func() { p.reading, p.adding = nil, nil })
		settle()
		other.checkReceived(t, "wake-up", "wake-up")
	})
}

// The server did not confirm the entry. The next session reads it before it sends.
func TestReplicaDoesNotSendEntryInLogAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		p := join(t, s)
		p.set(func() {
			p.latency = 10 * time.Millisecond
			p.adding = func(entries []Entry) verdict {
				p.condition = cut
				return verdict{add: entries, err: errCut}
			}
		})
		for _, text := range numbersTo(3) {
			p.publish(t, say("a", text))
			settle()
			p.turn(open)
			settle()
		}
		if got := s.texts(); !slices.Equal(got, numbersTo(3)) {
			t.Errorf("the log has %q", got)
		}
	})
}

func TestOutboxIsLimited(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		p := join(t, s, func(l *link) { l.condition = cut })
		for range maxWaiting {
			p.publish(t, say("a", "m"))
		}
		if _, err := p.Publish(t.Context(), say("a", "one more")); !errors.Is(err, errFull) {
			t.Errorf("one more message: %v", err)
		}
		p.publish(t, wake("a"))

		q := join(t, s, func(l *link) { l.condition = cut })
		large := strings.Repeat("x", maxWaitingBytes/4)
		for range 4 {
			q.publish(t, say("a", large))
		}
		if _, err := q.Publish(t.Context(), say("a", "one more")); !errors.Is(err, errFull) {
			t.Errorf("one byte more: %v", err)
		}

		p.turn(open)
		settle()
		if n, health := len(s.texts()), p.Broker.Health(); n != maxWaiting+1 || health.Waiting != 0 {
			t.Errorf("%d came to the server, %+v", n, health)
		}
		p.publish(t, say("a", "one more"))
	})
}
