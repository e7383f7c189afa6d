package memory

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/brokers/internal/history"
)

// roomy are limits that no test exceeds unless it is about limits.
var roomy = brokers.History{Events: 100, MaxAge: 10 * time.Minute, MaxBytes: 100_000_000}

func started(limits brokers.History) *events {
	e := newEvents()
	e.Start(limits, nil)
	return e
}

func publish(t testing.TB, e *events, publication brokers.Publication) brokers.Published {
	t.Helper()
	published, err := e.Publish(t.Context(), publication)
	if err != nil {
		t.Fatal(err)
	}
	return published
}

func say(channel, body string) brokers.Publication {
	return brokers.Publication{Channel: channel, Message: &brokers.Message{Body: []byte(body)}}
}

func wake(channel string) brokers.Publication { return brokers.Publication{Channel: channel} }

// shown formats an event as its offset and the body of its message, if it has one.
func shown(event brokers.Event) string {
	if event.Message == nil {
		return fmt.Sprint(event.Position.Offset)
	}
	return fmt.Sprintf("%d %s", event.Position.Offset, event.Message.Body)
}

// checkEvents fails the test unless these are the events after a position.
func checkEvents(t testing.TB, e *events, channels []string, after brokers.Position, limit int, complete bool, want ...string) {
	t.Helper()
	events, gotComplete, err := e.Events(t.Context(), channels, after, limit)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, event := range events {
		if !slices.Contains(channels, event.Channel) || event.Position.Epoch != e.epoch {
			t.Errorf("asked for %q, got %+v", channels, event)
		}
		got = append(got, shown(event))
	}
	if !slices.Equal(got, want) || gotComplete != complete {
		t.Errorf("on %q after %v: %q, complete %t; want %q, %t", channels, after, got, gotComplete, want, complete)
	}
}

func TestEventsReturnsOldestFirst(t *testing.T) {
	e := started(roomy)
	for i := range 5 {
		publish(t, e, say([]string{"a", "b", "c"}[i%3], fmt.Sprint("m", i+1)))
	}
	checkEvents(t, e, []string{"a"}, e.position(0), 9, true, "1 m1", "4 m4")
	checkEvents(t, e, []string{"b", "a"}, e.position(0), 9, true, "1 m1", "2 m2", "4 m4", "5 m5")
	checkEvents(t, e, []string{"b", "a", "b"}, e.position(1), 9, true, "2 m2", "4 m4", "5 m5")
	checkEvents(t, e, []string{"b", "a"}, e.position(1), 2, true, "2 m2", "4 m4")
	checkEvents(t, e, []string{"a", "b", "c", "nobody's"}, e.position(3), 9, true, "4 m4", "5 m5")
	checkEvents(t, e, []string{"a", "b", "c"}, e.position(5), 9, true)
}

func TestEventsIsIncompleteForPositionOfOtherBroker(t *testing.T) {
	e := started(roomy)
	publish(t, e, say("a", "hello"))
	checkEvents(t, e, []string{"a"}, brokers.Position{Epoch: "another", Offset: 0}, 9, false)
	checkEvents(t, e, []string{"a"}, brokers.Position{Epoch: "another", Offset: 1}, 9, false)
	checkEvents(t, e, []string{"a"}, e.position(2), 9, false)
	checkEvents(t, e, []string{"a"}, e.position(math.MaxUint64), 9, false)
}

func TestHistoryLimitsMessagesOfChannel(t *testing.T) {
	e := started(brokers.History{Events: 2, MaxAge: time.Hour, MaxBytes: 1e6})
	for i := range 4 {
		publish(t, e, say("a", fmt.Sprint("m", i+1)))
	}
	publish(t, e, say("b", "m5"))
	checkEvents(t, e, []string{"a"}, e.position(1), 9, false, "3 m3", "4 m4")
	checkEvents(t, e, []string{"a"}, e.position(2), 9, true, "3 m3", "4 m4")
	checkEvents(t, e, []string{"a", "b"}, e.position(1), 9, false, "3 m3", "4 m4", "5 m5")
	checkEvents(t, e, []string{"b"}, e.position(0), 9, true, "5 m5")
}

func TestHistoryKeepsMessagesDespiteManyWakeUps(t *testing.T) {
	e := started(brokers.History{Events: 2, MaxAge: time.Hour, MaxBytes: 1e6})
	publish(t, e, say("a", "m1"))
	publish(t, e, say("b", "m2"))
	for i := range 10_000 {
		publication := wake("a")
		if i%2 == 0 {
			publication.ID = fmt.Sprint(i)
		}
		publish(t, e, publication)
	}
	publish(t, e, say("a", "after"))
	checkEvents(t, e, []string{"a"}, e.position(0), 9, true, "1 m1", "10002", "10003 after")
	checkEvents(t, e, []string{"a"}, e.position(500), 9, true, "10002", "10003 after")
	checkEvents(t, e, []string{"b"}, e.position(0), 9, true, "2 m2")
	if bytes := e.history.Bytes(); bytes > 5*(history.EntryBytes+history.RecordBytes) {
		t.Errorf("what is remembered takes %d bytes", bytes)
	}
}

func TestEventsStopsAtLimit(t *testing.T) {
	e := started(roomy)
	for _, publication := range []brokers.Publication{wake("a"), say("a", "m2"), wake("b"), say("a", "m4"), wake("a")} {
		publish(t, e, publication)
	}
	checkEvents(t, e, []string{"a", "b"}, e.position(0), 0, true)
	checkEvents(t, e, []string{"a", "b"}, e.position(0), 1, true, "2 m2", "3")
	checkEvents(t, e, []string{"a", "b"}, e.position(0), 2, true, "2 m2", "3", "4 m4", "5")
	checkEvents(t, e, []string{"a", "b"}, e.position(2), 0, true, "3")
}

func TestHistoryForgetsExpiredEventAndIsIncompleteThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := started(brokers.History{Events: 9, MaxAge: time.Minute, MaxBytes: 1e6})
		lasting := func(body string, lifetime time.Duration) {
			publication := say("a", body)
			publication.Lifetime = lifetime
			publish(t, e, publication)
		}
		time.Sleep(time.Second)
		lasting("usual", 0)
		lasting("short", 10*time.Second)
		lasting("long", time.Hour)
		lasting("endless", math.MaxInt64)
		lasting("none", -1)
		publish(t, e, wake("b"))

		checkEvents(t, e, []string{"a"}, e.position(4), 9, false)
		checkEvents(t, e, []string{"a"}, e.position(5), 9, true)
		checkEvents(t, e, []string{"a"}, e.position(0), 9, false, "1 usual", "2 short", "3 long", "4 endless")
		time.Sleep(10*time.Second - time.Nanosecond)
		checkEvents(t, e, []string{"a"}, e.position(1), 9, false, "2 short", "3 long", "4 endless")
		time.Sleep(time.Nanosecond)
		checkEvents(t, e, []string{"a"}, e.position(0), 9, false, "1 usual", "3 long", "4 endless")
		checkEvents(t, e, []string{"b"}, e.position(0), 9, true, "6")
		time.Sleep(50 * time.Second)
		checkEvents(t, e, []string{"a"}, e.position(0), 9, false, "3 long", "4 endless")
		checkEvents(t, e, []string{"b"}, e.position(5), 9, false)
		checkEvents(t, e, []string{"b"}, e.position(6), 9, true)
		time.Sleep(time.Hour)
		checkEvents(t, e, []string{"a"}, e.position(0), 9, false, "4 endless")
	})
}

// Events that are not kept on one channel, such as coordinates, must not send the readers
// of other channels to the backend.
func TestHistoryOfOtherChannelsStaysComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := started(brokers.History{Events: 9, MaxAge: time.Minute, MaxBytes: 1e6})
		for i := range 300 {
			passing := say("gps", "here")
			passing.Lifetime = []time.Duration{-1, time.Millisecond}[i%2]
			publish(t, e, passing)
			time.Sleep(500 * time.Millisecond)
		}
		checkEvents(t, e, []string{"quiet"}, e.position(0), 9, true)
		checkEvents(t, e, []string{"gps"}, e.position(299), 9, false)
		checkEvents(t, e, []string{"gps"}, e.position(300), 9, true)
		time.Sleep(time.Minute)
		checkEvents(t, e, []string{"quiet"}, e.position(299), 9, false)
		checkEvents(t, e, []string{"gps"}, e.position(299), 9, false)
		checkEvents(t, e, []string{"gps", "quiet"}, e.position(300), 9, true)
		publish(t, e, say("quiet", "hello"))
		checkEvents(t, e, []string{"quiet"}, e.position(299), 9, false, "301 hello")
		checkEvents(t, e, []string{"quiet"}, e.position(300), 9, true, "301 hello")
	})
}

func TestHistoryOfChannelStaysCompleteIfNothingIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := started(brokers.History{Events: 9, MaxAge: time.Minute, MaxBytes: 1e6})
		publish(t, e, wake("b"))
		long := say("a", "long")
		long.Lifetime = time.Hour
		publish(t, e, long)
		time.Sleep(30 * time.Minute)
		checkEvents(t, e, []string{"a"}, e.position(0), 9, true, "2 long")
		checkEvents(t, e, []string{"a", "b"}, e.position(0), 9, false, "2 long")
	})
}

func TestHistoryFreesMemoryOfForgottenEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := started(brokers.History{Events: 9, MaxAge: time.Minute, MaxBytes: 1e6})
		for i := range 300 {
			publication := brokers.Publication{Channel: fmt.Sprint(i), ID: "id"}
			if i%3 > 0 {
				publication.Message = &brokers.Message{Body: []byte("hello")}
				publication.Lifetime = time.Duration(i%3-2) * time.Second
			}
			publish(t, e, publication)
		}
		long := say("long", "hello")
		long.Lifetime = time.Hour
		publish(t, e, long)
		time.Sleep(time.Hour + 2*time.Second)
		synctest.Wait()
		if bytes := e.history.Bytes(); bytes != 0 {
			t.Errorf("%d bytes are left", bytes)
		}
	})
}

func TestHistoryForgetsOldestOfAllChannelsAtMaxBytes(t *testing.T) {
	const events, body = 10, 1000
	e := started(brokers.History{Events: 99, MaxAge: time.Hour, MaxBytes: events * (body + history.EntryBytes + history.RecordBytes + 1)})
	for i := range 2 * events {
		publish(t, e, say(string(rune('a'+i)), strings.Repeat("x", body)))
		if i >= events {
			checkEvents(t, e, []string{string(rune('a' + i - events))}, e.position(uint64(i-events)), 9, false)
		}
	}
	for i := events; i < 2*events; i++ {
		if events, complete, _ := e.Events(t.Context(), []string{string(rune('a' + i))}, e.position(10), 9); !complete || len(events) != 1 {
			t.Errorf("of channel %d %d events are there, complete %t", i, len(events), complete)
		}
	}
}

func TestHistoryDoesNotKeepMessageAboveMaxBytes(t *testing.T) {
	const ceiling = 3000
	e := started(brokers.History{Events: 9, MaxAge: time.Hour, MaxBytes: ceiling})
	publish(t, e, say("a", "small"))
	publish(t, e, say("a", strings.Repeat("x", ceiling)))
	publish(t, e, say("a", strings.Repeat("x", ceiling-history.EntryBytes-history.RecordBytes)))
	checkEvents(t, e, []string{"a"}, e.position(0), 9, false, "1 small")
	checkEvents(t, e, []string{"a"}, e.position(3), 9, true)
}

func TestHistoryCountsMemoryOfSmallEvents(t *testing.T) {
	const ceiling = 20_000_000
	heap := func() int64 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return int64(stats.HeapAlloc)
	}
	before := heap()
	e := started(brokers.History{Events: 5, MaxAge: time.Hour, MaxBytes: ceiling})
	for i := range 200_000 {
		publication := brokers.Publication{Channel: fmt.Sprint("channel/", i/2), ID: fmt.Sprint(i)}
		if i%2 == 0 {
			publication.Message = &brokers.Message{Body: []byte("x"), ContentType: "text/plain"}
		}
		publish(t, e, publication)
	}
	if took := heap() - before; took > ceiling*3/2 || e.history.Bytes() > ceiling {
		t.Errorf("the history took %d bytes and says %d", took, e.history.Bytes())
	}
}

func TestPublishRefusesRepeatedIDWhileRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEvents()
		delivered := 0
		e.Start(brokers.History{Events: 2, MaxAge: time.Minute, MaxBytes: 1e6}, func(brokers.Event) (int, func()) { delivered++; return 1, nil })
		once := func(channel, id, body string, offset uint64, duplicate bool) {
			t.Helper()
			publication := brokers.Publication{Channel: channel, ID: id}
			if body != "" {
				publication.Message = &brokers.Message{Body: []byte(body)}
			}
			want := brokers.Published{Position: e.position(offset), Released: 1}
			if duplicate {
				want.Released, want.Duplicate = 0, true
			}
			if got := publish(t, e, publication); got != want {
				t.Errorf("%q on %q: %+v, want %+v", id, channel, got, want)
			}
		}
		once("a", "x", "hello", 1, false)
		once("a", "x", "hello", 1, true)
		once("a", "x", "other", 1, true)
		once("a", "x", "", 1, true)
		once("b", "x", "hello", 2, false)
		once("a", "w", "", 3, false)
		once("a", "", "", 4, false)
		once("a", "", "", 5, false)
		once("a", "w", "", 3, true)
		once("a", "y", "y", 6, false)
		once("a", "z", "z", 7, false)
		once("a", "x", "out of the history", 8, false)
		time.Sleep(time.Minute)
		once("a", "x", "past its time", 9, false)
		once("a", "w", "", 10, false)
		if delivered != 10 {
			t.Errorf("%d events were delivered", delivered)
		}
	})
}

func TestStartAppliesLimitsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := started(roomy)
		for i := range 6 {
			publish(t, e, say("a", fmt.Sprint("m", i+1)))
			time.Sleep(time.Minute)
		}
		long := say("b", "long")
		long.Lifetime = 30 * time.Minute
		publish(t, e, long)

		e.Start(brokers.History{Events: 4, MaxAge: time.Hour, MaxBytes: 1e6}, nil)
		checkEvents(t, e, []string{"a"}, e.position(0), 9, false, "3 m3", "4 m4", "5 m5", "6 m6")
		time.Sleep(15 * time.Minute)
		checkEvents(t, e, []string{"a"}, e.position(2), 9, true, "3 m3", "4 m4", "5 m5", "6 m6")

		e.Start(brokers.History{Events: 4, MaxAge: 17*time.Minute + 30*time.Second, MaxBytes: 1e6}, nil)
		checkEvents(t, e, []string{"a"}, e.position(2), 9, false, "5 m5", "6 m6")
		checkEvents(t, e, []string{"b"}, e.position(6), 9, true, "7 long")

		e.Start(brokers.History{Events: 4, MaxAge: time.Hour, MaxBytes: history.RecordBytes + history.EntryBytes + 9}, nil)
		checkEvents(t, e, []string{"a"}, e.position(5), 9, false)
		checkEvents(t, e, []string{"b"}, e.position(6), 9, true, "7 long")
	})
}

func TestNewestReturnsPositionOfChannelsLastEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := started(brokers.History{Events: 1, MaxAge: time.Minute, MaxBytes: 1e6})
		check := func(want uint64, channels ...string) {
			t.Helper()
			if got := e.Newest(channels); got != e.position(want) {
				t.Errorf("Newest(%q) = %v, want %d", channels, got, want)
			}
		}
		check(0, "a")
		publish(t, e, say("a", "m1"))
		publish(t, e, wake("b"))
		passing := say("c", "passing")
		passing.Lifetime = -1
		publish(t, e, passing)
		check(1, "a")
		check(2, "a", "b")
		check(3, "c", "b")
		check(0, "quiet")
		time.Sleep(time.Minute)
		publish(t, e, say("d", "m4"))
		check(3, "a")
		check(3, "quiet")
		check(4, "d", "quiet")
	})
}
