package replica

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/brokers/brokertest"
)

func TestReplicaStartsWithoutServer(t *testing.T) {
	for name, is := range map[string]condition{"cut": cut, "silent": silent} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newServer()
				other := join(t, s)
				began := time.Now()
				p := join(t, s, func(l *link) { l.condition = is })
				if took := time.Since(began); took > 2*time.Second {
					t.Errorf("it took %v", took)
				}
				own := p.Position()
				published := p.publish(t, say("a", "1"))
				if !published.Unreachable || published.Released != 1 || time.Since(began) > 2*time.Second {
					t.Errorf("publishing returned %+v after %v", published, time.Since(began))
				}
				if published.Position != (brokers.Position{}) {
					t.Errorf("it has the position %v", published.Position)
				}
				p.checkEvents(t, own, []string{"a"}, "wake-up")
				other.publish(t, say("a", "2"))

				p.set(func() { p.latency = 30 * time.Millisecond }) // it takes some time to send 1
				p.turn(open)
				for range 5000 {
					if len(p.member.Received()) == 1 {
						time.Sleep(time.Millisecond)
					}
				}
				received := p.member.Received()
				known := received[len(received)-1]
				if !known.Lost() || known.Position.Epoch != "epoch1" {
					t.Fatalf("when the log was known %+v was received", known)
				}
				if waiting := p.Broker.Health().Waiting; waiting != 1 {
					t.Errorf("%d wait already", waiting)
				}
				p.checkEvents(t, known.Position, []string{"a"}, "wake-up")
				settle()
				p.checkEvents(t, known.Position, []string{"a"}, "1")
				p.checkLost(t, own, "a")
				if got := p.texts(); !slices.Equal(got, []string{"wake-up", "lost", "1"}) {
					t.Errorf("received %q", got)
				}
				other.checkReceived(t, "2", "1")
			})
		})
	}
}

func TestPublishWakesRequestsAtOnceAndBecomesEventLater(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		p, other := join(t, s), join(t, s)
		p.publish(t, say("a", "1"))
		p.turn(cut)
		synctest.Wait()
		began := time.Now()
		for _, text := range []string{"2", "3"} {
			if published := p.publish(t, say("a", text)); published != (brokers.Published{Unreachable: true, Released: len(p.texts())}) {
				t.Errorf("publishing returned %+v", published)
			}
		}
		other.publish(t, say("a", "4"))
		if took := time.Since(began); took != 0 {
			t.Errorf("publishing took %v", took)
		}
		time.Sleep(time.Minute)
		if h := p.Broker.Health(); h.Reachable || h.Waiting != 2 || h.Lag < time.Minute || h.Lag > time.Minute+2*time.Second {
			t.Errorf("while it is away: %+v", h)
		}
		p.checkReceived(t, "1", "wake-up", "wake-up")
		other.checkReceived(t, "1", "4")

		p.turn(open)
		settle()
		p.checkReceived(t, "1", "wake-up", "wake-up", "4", "2", "3")
		other.checkReceived(t, "1", "4", "2", "3")
		if h := p.Broker.Health(); !h.Reachable || h.Waiting != 0 || h.Lag > time.Second {
			t.Errorf("when it is back: %+v", h)
		}
		if published := p.publish(t, say("a", "5")); published.Unreachable {
			t.Errorf("publishing returned %+v", published)
		}
		settle()
		other.checkReceived(t, "1", "4", "2", "3", "5")
	})
}

func TestPublishTreatsSilentServerAsUnreachable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		p, other := join(t, s), join(t, s)
		p.turn(silent)
		began := time.Now()
		var publishing sync.WaitGroup
		for i := range 3 {
			publishing.Go(func() {
				published := p.publish(t, say("a", fmt.Sprint(i)))
				if !published.Unreachable || published.Released != i+2 {
					t.Errorf("publishing returned %+v", published)
				}
			})
			synctest.Wait()
		}
		publishing.Wait()
		if took := time.Since(began); took != time.Second {
			t.Errorf("publishing took %v", took)
		}
		if p.publish(t, say("a", "3")); time.Since(began) != time.Second {
			t.Errorf("publishing once more took %v", time.Since(began))
		}
		p.turn(open)
		settle()
		p.checkReceived(t, "wake-up", "wake-up", "wake-up", "wake-up", "0", "1", "2", "3")
		other.checkReceived(t, "0", "1", "2", "3")
	})
}

func TestReplicaNoticesSilentServerWithoutPublish(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		p := join(t, s)
		p.turn(silent)
		time.Sleep(8 * time.Second)
		if h := p.Broker.Health(); h.Reachable {
			t.Errorf("%+v", h)
		}
		p.turn(open)
		settle()
		if h := p.Broker.Health(); !h.Reachable {
			t.Errorf("%+v", h)
		}
	})
}

// A server that is full, or a read-only copy of another, can be read but refuses entries.
func TestReplicaTreatsReadOnlyServerAsUnreachable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		p, other := join(t, s), join(t, s)
		p.set(func() { p.adding = func([]Entry) verdict { return verdict{err: errCut} } })
		p.publish(t, say("a", "0"))
		for i := 1; i <= 600; i++ {
			time.Sleep(100 * time.Millisecond)
			if published := p.publish(t, say("a", fmt.Sprint(i))); !published.Unreachable {
				t.Fatalf("publishing returned %+v", published)
			}
			if h := p.Broker.Health(); h.Reachable || h.Waiting != i+1 {
				t.Fatalf("%+v", h)
			}
		}
		if p.set(func() {}); p.appended > 60 {
			t.Errorf("in a minute the server was asked %d times", p.appended)
		}
		if logged := p.logged.Len(); logged != 1 {
			t.Errorf("in a minute %d lines were logged: %v", logged, p.logged.All()[:min(logged, 9)])
		}
		other.publish(t, say("a", "other"))
		settle()
		if texts := p.texts(); texts[len(texts)-1] != "other" {
			t.Errorf("what others publish does not come: %q", texts)
		}

		p.set(func() { p.adding = nil })
		settle()
		other.checkReceived(t, append([]string{"other"}, numbersTo(601)...)...)
		if h := p.Broker.Health(); !h.Reachable || h.Waiting != 0 || p.logged.Len() != 2 {
			t.Errorf("%+v, %v", h, p.logged.All())
		}
	})
}

func TestReplicaLosesNothingWhereverReadingFails(t *testing.T) {
	const entries = 12
	for fails := range entries + 1 {
		t.Run(fmt.Sprint(fails), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newServer()
				p, other := join(t, s), join(t, s)
				left := fails
				p.set(func() {
					p.reading = func(read []Entry) (int, error) {
						if left -= len(read); left < 0 {
							given := len(read) + left
							left = entries
							return given, errCut
						}
						return len(read), nil
					}
				})
				c := brokertest.Listen(p.member, "a")
				other.publishAtOnce(t, entries)
				settle()
				p.checkReceived(t, numbersTo(entries)...)
				c.Finish(t.Context(), p.member)
				if !slices.Equal(c.Heard(), numbersTo(entries)) || c.Misled() > 0 {
					t.Errorf("a client heard %q, and %d times that something may be lost", c.Heard(), c.Misled())
				}
			})
		})
	}
}
