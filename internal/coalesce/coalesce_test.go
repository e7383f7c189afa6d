package coalesce

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/internal/ask"
	"github.com/caddy-parker/parker/internal/lot"
)

var channels = []string{"a"}

type gauge struct{ groups int }

func (g *gauge) Inc() { g.groups++ }
func (g *gauge) Dec() { g.groups-- }

func nothingNew() *Result { return &Result{Answer: &ask.Answer{Status: 204}, NothingNew: true} }

func news() *Result { return &Result{Answer: &ask.Answer{Status: 200}} }

// lead is a meeting that must end with leading.
func lead(t *testing.T, g *Group, again bool) *Leader {
	t.Helper()
	join, ready, f := g.JoinOrLead(again, time.Time{}, func() {})
	if join != nil || ready != nil || f == nil {
		t.Fatalf("Meet = %v, %v, %v; want to lead", join, ready, f)
	}
	return f
}

func TestJoinOrLeadJoinsCallUnlessEventCame(t *testing.T) {
	l := lot.New()
	s := New(l, Options{Count: new(gauge)})
	g, other := s.Enter(Key{1}, channels), s.Enter(Key{2}, channels)
	f := lead(t, g, false)
	if join, _, _ := g.JoinOrLead(false, time.Time{}, func() {}); join != f.call {
		t.Error("the call was not joined")
	}
	lead(t, other, false) // another key has nothing to do with it

	l.Release(brokers.Event{Channel: "a"})
	younger := lead(t, g, true)
	f.Finish(news())
	if join, _, _ := g.JoinOrLead(true, time.Time{}, func() {}); join != younger.call {
		t.Error("the younger call was not joined")
	}
	younger.Finish(news())
	if _, ready, _ := g.JoinOrLead(true, time.Time{}, func() {}); ready != younger.call.Result() {
		t.Error("the younger call's result does not serve")
	}
}

func TestJoinOrLeadServesReplaysUntilNextEvent(t *testing.T) {
	l := lot.New()
	g := New(l, Options{Count: new(gauge)}).Enter(Key{}, channels)
	f := lead(t, g, true)
	f.Finish(news())
	if _, ready, _ := g.JoinOrLead(true, time.Time{}, func() {}); ready != f.call.Result() {
		t.Error("a replay is not served by the one before")
	}
	lead(t, g, false).Finish(nothingNew()) // a first ask is not
	l.Release(brokers.Event{Channel: "a"})
	lead(t, g, true)
}

func TestLeaderFinishKeepsNoResultAfterEvent(t *testing.T) {
	l := lot.New()
	g := New(l, Options{Count: new(gauge)}).Enter(Key{}, channels)
	f := lead(t, g, true)
	l.Release(brokers.Event{Channel: "a"})
	f.Finish(news())
	lead(t, g, true)
}

func TestLeaderFinishKeepsNoResultWithoutAnswer(t *testing.T) {
	g := New(lot.New(), Options{Reuse: time.Hour, Count: new(gauge)}).Enter(Key{}, channels)
	lead(t, g, true).Finish(Alone)
	lead(t, g, true).Finish(&Result{Retry: time.Now()})
	lead(t, g, false)
}

func TestGroupReuseServesFirstAsksForItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := lot.New()
		s := New(l, Options{Reuse: time.Second, Count: new(gauge)})
		visit := func() (*Result, *Leader) {
			g := s.Enter(Key{}, channels)
			defer g.Exit()
			_, ready, f := g.JoinOrLead(false, time.Time{}, func() {})
			if f != nil {
				f.Finish(nothingNew())
			}
			return ready, f
		}
		if _, f := visit(); f == nil {
			t.Fatal("the first was served")
		}
		time.Sleep(900 * time.Millisecond)
		if ready, _ := visit(); ready == nil {
			t.Error("the answer was not reused")
		}
		l.Release(brokers.Event{Channel: "a"})
		if ready, _ := visit(); ready != nil {
			t.Error("the answer was reused after an event")
		}
		time.Sleep(900 * time.Millisecond)
		if ready, _ := visit(); ready == nil {
			t.Error("the newer answer was not reused in its own time")
		}
		time.Sleep(200 * time.Millisecond)
		if ready, _ := visit(); ready != nil {
			t.Error("the answer was reused after its time")
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(s.groups) != 0 {
			t.Errorf("%d groups are left", len(s.groups))
		}
	})
}

func TestGroupWithoutMembersKeepsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := lot.New()
		s := New(l, Options{Reuse: time.Second, Count: new(gauge)})
		old := s.Enter(Key{}, channels)
		f := lead(t, old, false)
		old.Exit()
		younger := s.Enter(Key{}, channels)
		f.Finish(nothingNew())
		time.Sleep(time.Hour)
		synctest.Wait()
		if s.groups[Key{}] != younger {
			t.Error("the group that was left took the younger one with it")
		}
		l.Release(brokers.Event{Channel: "a"})
		if !younger.moved() {
			t.Error("the younger group does not hear of events any more")
		}
	})
}

func TestGroupReuseIgnoresNews(t *testing.T) {
	g := New(lot.New(), Options{Reuse: time.Hour, Count: new(gauge)}).Enter(Key{}, channels)
	lead(t, g, false).Finish(news())
	lead(t, g, false)
}

func TestLeaderLeftKeepsAskWithJoiners(t *testing.T) {
	g := New(lot.New(), Options{Count: new(gauge)}).Enter(Key{}, channels)
	cancelled := 0
	_, _, f := g.JoinOrLead(false, time.Time{}, func() { cancelled++ })
	join, _, _ := g.JoinOrLead(false, time.Time{}, func() {})
	f.LeaderLeft()
	if cancelled != 0 {
		t.Error("cancelled though another waits")
	}
	join.JoinerLeft()
	if cancelled != 1 {
		t.Error("not cancelled though nobody waits")
	}
	lead(t, g, false) // nobody joins what is cancelled
}

func TestLeaderAloneClosesCall(t *testing.T) {
	g := New(lot.New(), Options{Count: new(gauge)}).Enter(Key{}, channels)
	f := lead(t, g, false)
	g.JoinOrLead(false, time.Time{}, func() {})
	if f.Alone() {
		t.Error("alone in spite of a joiner")
	}
	f.Finish(Alone)
	f = lead(t, g, false)
	if !f.Alone() {
		t.Error("not alone")
	}
	lead(t, g, false)
}

func TestResultMatchesByVary(t *testing.T) {
	of := func(header http.Header) func(string) []string {
		return func(name string) []string { return header[name] }
	}
	german := of(http.Header{"Accept-Language": {"de"}})
	varies, ok := Varied(http.Header{"Vary": {"accept-language, ", "X-Absent"}}, german)
	r := Result{Varies: varies}
	if !ok || !r.Matches(german, Target{}) || r.Matches(of(nil), Target{}) || r.Matches(of(http.Header{"Accept-Language": {"de"}, "X-Absent": {"there"}}), Target{}) {
		t.Errorf("Varied = %v, %v", varies, ok)
	}
	if _, ok := Varied(http.Header{"Vary": {"Accept, *"}}, german); ok {
		t.Error("Vary: * suits somebody")
	}
}

func TestResultMatchesByTarget(t *testing.T) {
	none := func(string) []string { return nil }
	target := Target{"/feed?_=1", "/feed?_=1", "_=1"}
	for name, x := range map[string]struct {
		result  Result
		request Target
		want    bool
	}{
		"any target":        {Result{}, target, true},
		"the same target":   {Result{Target: target}, target, true},
		"another target":    {Result{Target: target}, Target{"/feed?_=2", "/feed?_=2", "_=2"}, false},
		"another original":  {Result{Target: target}, Target{"/feed?_=2", "/feed?_=1", "_=1"}, false},
		"without parameter": {Result{Target: target}, Target{"/feed", "/feed", ""}, false},
	} {
		if got := x.result.Matches(none, x.request); got != x.want {
			t.Errorf("%s: Matches = %t", name, got)
		}
	}
}

func TestGroupTickWakesOneMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := lot.New()
		s := New(l, Options{Watch: time.Second, Count: new(gauge)})
		g := s.Enter(Key{}, channels)
		lead(t, g, false).Finish(nothingNew())
		woken := make(chan *lot.Waiter, 10)
		for range 3 {
			w := l.Register(channels, lot.Messages)
			g.Parked(w, First, time.Now())
			w.Park(lot.Parking{Until: time.Now().Add(time.Hour), Release: func(lot.Outcome) { woken <- w }})
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if len(woken) != 1 {
			t.Fatalf("%d were woken, want one", len(woken))
		}
		g.Unparked(<-woken)
		f := lead(t, g, true) // not served by what was there before
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if len(woken) != 0 {
			t.Error("another was woken while the first asks")
		}
		f.Finish(news())
		g.WakeAll()
		for range 2 {
			g.Unparked(<-woken)
			if _, ready, _ := g.JoinOrLead(true, time.Time{}, func() {}); ready != f.call.Result() {
				t.Error("the others are not served by what the first brought")
			}
		}
		time.Sleep(time.Hour)
		g.Exit()
		synctest.Wait()
		if len(s.groups) != 0 || l.Parked() != 0 {
			t.Errorf("left behind: %d groups, %d parked", len(s.groups), l.Parked())
		}
	})
}
