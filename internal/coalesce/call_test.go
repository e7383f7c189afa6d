package coalesce

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-parker/parker/internal/ask"
	"github.com/caddy-parker/parker/internal/lot"
)

// led is an ask that counts how often it is cancelled.
type led struct {
	*Leader
	cancelled *int
}

func meet(t *testing.T, g *Group) (f *Call, a led) {
	t.Helper()
	cancelled := 0
	join, ready, ask := g.JoinOrLead(false, time.Time{}, func() { cancelled++ })
	if ready != nil {
		t.Fatal("a result was ready")
	}
	return join, led{ask, &cancelled}
}

func TestCallLeadMakesJoinerLeadOverdueCall(t *testing.T) {
	g := New(lot.New(), Options{Count: new(gauge)}).Enter(Key{}, channels)
	_, first := meet(t, g)
	join, _ := meet(t, g)
	g.JoinOrLead(false, time.Time{}, func() {})
	if join.Lead(func() {}) != nil {
		t.Error("it leads, though the backend may still answer")
	}
	first.Overdue()
	<-join.More()
	cancelled := 0
	second := join.Lead(func() { cancelled++ })
	if second == nil || join.Lead(func() {}) != nil {
		t.Fatalf("not just one more leads")
	}
	if f, _ := meet(t, g); f != join {
		t.Error("the call is not joined any more")
	}

	// The second's answer serves all, the first's ask is cancelled.
	second.Finish(news())
	<-join.Done()
	if r := join.Result(); r.Answer == nil || *first.cancelled != 1 || cancelled != 0 || first.Served() != r {
		t.Errorf("the result is %+v, the first was cancelled %d times, the second %d", r, *first.cancelled, cancelled)
	}
	first.GiveUp(time.Now())
	if _, ready, _ := g.JoinOrLead(true, time.Time{}, func() {}); ready != join.Result() {
		t.Error("the result does not serve all that come later")
	}
}

func TestJoinOrLeadLeadsOverdueCall(t *testing.T) {
	g := New(lot.New(), Options{Count: new(gauge)}).Enter(Key{}, channels)
	_, first := meet(t, g)
	first.Overdue()
	_, second := meet(t, g)
	if second.Leader == nil {
		t.Fatal("the next to come does not lead")
	}
	if f, _ := meet(t, g); f == nil {
		t.Error("the one after leads, too")
	}
	first.Finish(Alone)
	if *second.cancelled != 0 {
		t.Error("an answer for the first alone has ended the second's ask")
	}
}

func TestLeaderGiveUpEndsCallOfLastLeader(t *testing.T) {
	g := New(lot.New(), Options{Count: new(gauge)}).Enter(Key{}, channels)
	_, first := meet(t, g)
	join, _ := meet(t, g)
	first.Overdue()
	second := join.Lead(func() {})
	join, _ = meet(t, g)
	first.GiveUp(time.Now())
	if join.Result() != nil {
		t.Error("the call ended though the second asks")
	}
	second.GiveUp(time.Now())
	<-join.Done()
	if r := join.Result(); r.Answer != nil || r.Retry.IsZero() {
		t.Errorf("the result is %+v", r)
	}
}

func TestLeaderLeftCancelsAskWithoutJoiners(t *testing.T) {
	g := New(lot.New(), Options{Count: new(gauge)}).Enter(Key{}, channels)
	_, first := meet(t, g)
	first.Overdue()
	_, second := meet(t, g)
	first.LeaderLeft()
	if *first.cancelled != 1 || *second.cancelled != 0 {
		t.Errorf("cancelled: the first %d times, the second %d", *first.cancelled, *second.cancelled)
	}
	if f, _ := meet(t, g); f != second.call {
		t.Error("the call is not joined any more, though the second leads it")
	}
}

func TestLeaderLeftCancelsAskThatStreams(t *testing.T) {
	g := New(lot.New(), Options{Count: new(gauge)}).Enter(Key{}, channels)
	_, ask := meet(t, g)
	ask.Finish(Alone)
	ask.LeaderLeft()
	if *ask.cancelled != 1 {
		t.Errorf("cancelled %d times", *ask.cancelled)
	}
}

func TestCallLeadOnEventMakesOneJoinerLeadSlowCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(lot.New(), Options{Count: new(gauge)}).Enter(Key{}, channels)
		meet(t, g)
		join, _ := meet(t, g)
		meet(t, g)
		time.Sleep(300 * time.Millisecond)
		heard := time.Now()
		ask, wait := join.LeadOnEvent(heard, func() {})
		if ask != nil || wait != slowAfter-300*time.Millisecond || join.Slow() {
			t.Errorf("at first: %v, %s", ask, wait)
		}
		time.Sleep(wait)
		if ask, _ := join.LeadOnEvent(heard, func() {}); ask == nil {
			t.Error("none leads")
		}
		if ask, wait := join.LeadOnEvent(heard, func() {}); ask != nil || wait != 0 {
			t.Error("another leads for the same event")
		}
		time.Sleep(time.Millisecond)
		if ask, _ := join.LeadOnEvent(time.Now(), func() {}); ask == nil {
			t.Error("none leads for the next event")
		}
	})
}

func TestLeaderFinishWithFailureKeepsCallOfOtherLeaders(t *testing.T) {
	g := New(lot.New(), Options{Count: new(gauge)}).Enter(Key{}, channels)
	_, first := meet(t, g)
	join, _ := meet(t, g)
	first.Overdue()
	_, second := meet(t, g)
	second.Finish(&Result{Answer: &ask.Answer{Status: 503}})
	if join.Result() != nil || *first.cancelled != 0 {
		t.Fatal("a failure has ended the call, though the first may still be answered")
	}
	first.Finish(news())
	<-join.Done()
	if join.Result().Answer.Status != 200 {
		t.Errorf("the result is %+v", join.Result())
	}
}

func TestCallBoundsAsksOfClientsThatLeft(t *testing.T) {
	g := New(lot.New(), Options{Count: new(gauge)}).Enter(Key{}, channels)
	_, ask := meet(t, g)
	meet(t, g) // joins, and waits on
	var asks []led
	for range 10 {
		asks = append(asks, ask)
		ask.LeaderLeft()
		ask.Overdue()
		_, ask = meet(t, g)
	}
	running := 0
	for _, ask := range asks {
		if *ask.cancelled == 0 {
			running++
		}
	}
	if running != maxLeft {
		t.Errorf("%d asks run whose clients are gone", running)
	}
}
