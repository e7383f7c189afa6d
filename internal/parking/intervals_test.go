package parking

import (
	"testing"
	"testing/synctest"
	"time"
)

// poll polls, is parked for as long as it may, and returns how long that was.
func (s *Intervals) poll(page, url Key) time.Duration {
	next := s.Next(page, url)
	time.Sleep(next)
	s.Answered(page, url)
	return next
}

func TestIntervalsNextIsBeforeTheNextPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Intervals
		page, cursor := KeyOf("page"), KeyOf("after=1")
		for _, interval := range []time.Duration{3 * time.Second, 300 * time.Millisecond, 3 * time.Second} {
			var next time.Duration
			for range 30 {
				next = s.poll(page, cursor)
				time.Sleep(interval - next)
			}
			if next >= interval || next < interval/2 {
				t.Errorf("a poll of a page that polls every %v may be parked for %v", interval, next)
			}
		}
		if next := s.poll(page, KeyOf("after=2")); next < time.Second {
			t.Errorf("with another cursor, a poll may be parked for %v only", next)
		}
		time.Sleep(time.Minute) // hidden
		if next := s.poll(page, cursor); next > 4*time.Second {
			t.Errorf("after a pause, a poll may be parked for %v", next)
		}
		if next := s.poll(KeyOf("another page"), cursor); next >= time.Second {
			t.Errorf("the first poll of a page may be parked for %v", next)
		}
	})
}

// The polls that wait in a browser come one after another, as soon as the one before is
// answered.
func TestIntervalsNextLetsPollsThatWaitedInTheBrowserCatchUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Intervals
		begun := time.Now()
		const interval = 250 * time.Millisecond
		for sent := 0; sent < 100; sent++ {
			time.Sleep(time.Until(begun.Add(time.Duration(sent) * interval))) // 0 if it is late
			if late := time.Since(begun) - time.Duration(sent)*interval; sent > 50 && late > 0 {
				t.Errorf("poll %d was %v late", sent, late)
			}
			s.poll(KeyOf("page"), KeyOf("url"))
		}
	})
}

// Several tabs of a browser poll for one URL.
func TestIntervalsNextLetsPollsOfSeveralTabsCatchUp(t *testing.T) {
	const interval, way = 500 * time.Millisecond, 5 * time.Millisecond
	for _, tabs := range []int{2, 3, 5, 10} {
		for _, apart := range []time.Duration{time.Millisecond, interval / time.Duration(tabs)} {
			synctest.Test(t, func(t *testing.T) {
				var s Intervals
				begun := time.Now()
				for sent := range 200 * tabs {
					due := begun.Add(time.Duration(sent/tabs)*interval + time.Duration(sent%tabs)*apart)
					time.Sleep(time.Until(due)) // 0 if it is late
					if late := time.Since(due); sent > 100 && late > interval {
						t.Fatalf("with %d tabs that poll %v after each other, poll %d was %v late", tabs, apart, sent, late)
					}
					s.poll(KeyOf("page"), KeyOf("url"))
					time.Sleep(way)
				}
			})
		}
	}
}

// An answer and the next poll take a while, and the browser sends the next one only after that.
func TestIntervalsNextLeavesTimeForTheWay(t *testing.T) {
	for _, interval := range []time.Duration{250 * time.Millisecond, time.Second, 5 * time.Second} {
		for _, way := range []time.Duration{interval / 8, interval / 4, interval * 2 / 5} {
			synctest.Test(t, func(t *testing.T) {
				var s Intervals
				begun := time.Now()
				for sent := range 300 {
					due := begun.Add(time.Duration(sent) * interval)
					time.Sleep(time.Until(due)) // 0 if it is late
					if late := time.Since(due); sent > 100 && late > 0 {
						t.Fatalf("with an interval of %v and %v for the way, poll %d was %v late", interval, way, sent, late)
					}
					s.poll(KeyOf("page"), KeyOf("url"))
					time.Sleep(way)
				}
			})
		}
	}
}

func TestIntervalsNextGivesPagesThatWaitARest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Intervals
		begun := time.Now()
		for range 300 {
			s.poll(KeyOf("page"), KeyOf("url"))
			time.Sleep(time.Millisecond)
		}
		if held := time.Since(begun); held < 5*time.Minute {
			t.Errorf("three hundred polls in a row were held for %v together", held)
		}
	})
}

func TestIntervalsForgetsPagesThatPolledLongAgo(t *testing.T) {
	var s Intervals
	for i := range maxPages + 10 {
		s.Next(KeyOf("page", string(rune(i))), Key{})
	}
	if len(s.pages) != maxPages || s.recent.Len() != maxPages {
		t.Errorf("%d and %d pages are known, want %d", len(s.pages), s.recent.Len(), maxPages)
	}
}
