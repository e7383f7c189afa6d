package coalesce

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/ask"
	"github.com/caddy-parker/parker/internal/lot"
)

// lookers is a number of groups on one channel, with a member each. Each ask is in vain
// unless its group is one that has news.
type lookers struct {
	lot    *lot.Lot
	groups *Groups
	all    []*looker
	looked chan *looker
}

type looker struct {
	group  *Group
	waiter *lot.Waiter
	news   bool
	parked bool
}

func newLookers(count int) *lookers {
	l := lot.New()
	s := &lookers{lot: l, looked: make(chan *looker, 10*count)}
	s.groups = New(l, Options{LookAgain: []time.Duration{200 * time.Millisecond, time.Second, 3 * time.Second}, Interest: lot.Messages, Count: new(gauge)})
	for i := range count {
		s.all = append(s.all, &looker{group: s.groups.Enter(Key{byte(i), byte(i >> 8)}, channels), waiter: l.Register(channels, lot.Messages)})
	}
	return s
}

// park parks a member. When it looks, that is noted.
func (s *lookers) park(k *looker, why Parking) {
	k.parked = true
	k.group.Parked(k.waiter, why, time.Now())
	k.waiter.Park(lot.Parking{Until: time.Now().Add(time.Hour), Release: func(o lot.Outcome) {
		if o.Cause == lot.Looked {
			s.looked <- k
		}
	}})
}

// write has an event come, for which all have asked in vain, and returns how many look
// until no more do.
func (s *lookers) write() (looks int) {
	for _, k := range s.all {
		if k.parked {
			k.waiter.Leave()
			k.group.Unparked(k.waiter)
		}
	}
	s.lot.Release(brokers.Event{Channel: "a"})
	for _, k := range s.all {
		k.waiter.Note()
		s.park(k, InVain)
	}
	for begin := time.Now(); time.Since(begin) < 10*time.Second; time.Sleep(50 * time.Millisecond) {
		synctest.Wait()
		for len(s.looked) > 0 {
			k := <-s.looked
			looks++
			k.group.Unparked(k.waiter)
			if k.parked = !k.news; k.news {
				k.group.Found()
			} else {
				s.park(k, Anew)
			}
			synctest.Wait()
		}
	}
	return looks
}

func TestGroupsLookAgainThreeTimesAfterVainWakeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLookers(5)
		if looks := s.write(); looks != 15 {
			t.Errorf("5 groups looked %d times, want 3 each", looks)
		}
		s.all[2].news = true
		if looks := s.write(); looks != 4*3+1 {
			t.Errorf("5 groups, one of which finds news, looked %d times", looks)
		}
	})
}

func TestGroupFoundMakesMoreGroupsLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLookers(1000)
		for _, k := range s.all {
			k.news = true
		}
		if looks := s.write(); looks != len(s.all) {
			t.Errorf("of %d groups %d looked", len(s.all), looks)
		}
	})
}

func TestGroupsLooksAreBoundedAndFade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLookers(1000)
		for i := range fadeAfter {
			if looks := s.write(); looks != 3*lookSample {
				t.Fatalf("event %d: %d looks", i, looks)
			}
		}
		looked := 0
		for range 10 * fadeTo {
			if s.write() > 0 {
				looked++
			}
		}
		if looked == 0 || looked > 30 {
			t.Errorf("%d events of %d were looked at after all was in vain", looked, 10*fadeTo)
		}
		for _, k := range s.all {
			k.news = true
		}
		for s.write() == 0 {
		}
		for _, k := range s.all {
			k.news = false
		}
		if looks := s.write(); looks != 3*lookSample {
			t.Errorf("%d looks after one has brought news", looks)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(s.groups.looks) != 0 {
			t.Errorf("%d looks are left behind", len(s.groups.looks))
		}
	})
}

func TestGroupsLookEndsAtNextEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLookers(1)
		k := s.all[0]
		s.lot.Release(brokers.Event{Channel: "a"})
		k.waiter.Note()
		s.park(k, InVain)
		time.Sleep(time.Second)
		s.lot.Release(brokers.Event{Channel: "a"}) // lets it go
		k.group.Unparked(k.waiter)
		k.waiter.Note()
		begin := time.Now()
		s.park(k, InVain)
		synctest.Wait()
		for len(s.looked) > 0 {
			<-s.looked
		}
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if len(s.looked) != 0 {
			t.Errorf("it looked %s after the second event", time.Since(begin))
		}
		<-s.looked
		if took := time.Since(begin); took != 200*time.Millisecond {
			t.Errorf("it looked after %s", took)
		}
	})
}

func TestGroupParkedLooksAgainAfterFirstAskNearEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLookers(1)
		k := s.all[0]
		if k.group.Parked(k.waiter, First, time.Now()) {
			t.Error("it looks again without any event")
		}
		s.lot.Release(brokers.Event{Channel: "a"})
		time.Sleep(2 * time.Second)
		if !k.group.Parked(k.waiter, First, time.Now()) {
			t.Error("it does not look again 2 s after an event")
		}
		k.group.Unparked(k.waiter)
		time.Sleep(5 * time.Second)
		if k.group.Parked(k.waiter, First, time.Now()) {
			t.Error("it looks again 7 s after an event")
		}
		if !k.group.Parked(k.waiter, First, time.Now().Add(-6*time.Second)) {
			t.Error("it does not look again, though it began to ask 1 s after an event")
		}
	})
}

// Pages that poll by a timer do not always have a poll that is parked.
func TestGroupDoesNotReuseAnswerAfterTickOrLookWithoutParkedMember(t *testing.T) {
	for name, test := range map[string]struct {
		options Options
		why     Parking
		after   time.Duration
	}{
		"a tick": {Options{Watch: 5 * time.Second}, Anew, 5 * time.Second},
		"a look": {Options{LookAgain: []time.Duration{200 * time.Millisecond}}, InVain, 200 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := lot.New()
			test.options.Reuse, test.options.Interest, test.options.Count = time.Minute, lot.WakeUps, new(gauge)
			g := New(l, test.options).Enter(Key{}, channels)
			defer g.Exit()
			l.Release(brokers.Event{Channel: "a"})
			_, _, lead := g.JoinOrLead(false, time.Time{}, func() {})
			lead.Finish(&Result{Answer: new(ask.Answer), NothingNew: true})
			w := l.Register(channels, lot.WakeUps)
			defer w.Close()
			g.Parked(w, test.why, time.Now())
			g.Unparked(w)
			time.Sleep(test.after - time.Millisecond)
			if _, ready, _ := g.JoinOrLead(false, time.Time{}, func() {}); ready == nil {
				t.Errorf("before %s, the answer is not reused", name)
			}
			time.Sleep(2 * time.Millisecond)
			_, ready, lead := g.JoinOrLead(false, time.Time{}, func() {})
			if ready != nil {
				t.Fatalf("after %s, the answer is reused", name)
			}
			lead.Finish(Alone)
			time.Sleep(2 * time.Minute) // for what is held
		})
	}
}
