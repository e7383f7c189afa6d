package status

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
	"github.com/caddy-parker/parker/internal/lot"
	"github.com/caddy-parker/parker/internal/metrics"
)

// counting returns a sampler whose figures grow with each read, and the number of its
// calls of look.
func counting() (s *sampler, looks *atomic.Int64) {
	var reads float64
	looks = new(atomic.Int64)
	return newSampler(
		func() metrics.Figures {
			reads++
			return metrics.Figures{Requests: int(reads), Streams: 7, Released: reads * 5, Asks: reads, Saved: reads * 3}
		},
		func() View {
			looks.Add(1)
			return View{Channels: 2, Busiest: []lot.ChannelWaiting{}}
		},
	), looks
}

// told returns the content of events: the samples of past, and the newest.
func told(t *testing.T, events []byte) (past []Sample, now *Now) {
	t.Helper()
	parts := caddytest.NewEventReader(bytes.NewReader(events))
	for part, err := parts.Next(); err == nil; part, err = parts.Next() {
		if part.Event == nil {
			continue
		}
		var target any
		switch part.Event.Type {
		case "past":
			past = []Sample{}
			target = &past
		case "now":
			now = new(Now)
			target = now
		default:
			t.Fatalf("an event is %+v", part.Event)
		}
		if err := json.Unmarshal([]byte(part.Event.Data), target); err != nil {
			t.Fatal(err)
		}
	}
	return past, now
}

func TestSamplerComputesRatesPerSecond(t *testing.T) {
	from := metrics.Figures{Requests: 100, Released: 10, Asks: 5, Saved: 1}
	to := metrics.Figures{Requests: 3, Streams: 4, Released: 20, Asks: 6, Saved: 1, Unchanged: 3, Unknown: 6, PageLoads: 1.5, Memories: 7}
	got := sampleOf(from, to, 1500*time.Millisecond, time.UnixMilli(9))
	if want := (Sample{At: 9, Requests: 3, Streams: 4, Released: 6.67, Asks: .67, Unchanged: 2, Unknown: 4, PageLoads: 1, Memories: 7}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestSamplerSendsPastThenEachSample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, looks := counting()
		s.join(false)
		defer s.leave(false)
		time.Sleep(3*interval + interval/2)
		synctest.Wait()
		if looks.Load() != 0 {
			t.Error("no stream is open, but the channels were counted")
		}

		s.join(true)
		defer s.leave(true)
		events, seen, next := s.since(unseen)
		past, now := told(t, events)
		if len(past) != 3 || now != nil || past[2].Requests != 4 || past[2].Released != 5 || past[2].Saved != 3 {
			t.Errorf("the first events are %+v, %+v", past, now)
		}
		if events, _, _ := s.since(seen); events != nil {
			t.Errorf("without a new sample the events are %s", events)
		}
		<-next
		events, seen, next = s.since(seen)
		if past, now := told(t, events); past != nil || now.Requests != 5 || now.Channels != 2 {
			t.Errorf("the next events are %+v, %+v", past, now)
		}
		<-next
		time.Sleep(interval)
		synctest.Wait()
		events, _, _ = s.since(seen)
		if past, now := told(t, events); len(past) != 5 || now.Requests != 7 || past[4].Requests != 6 {
			t.Errorf("after a missed sample the events are %+v, %+v", past, now)
		}
		if looks.Load() != 3 {
			t.Errorf("the channels were counted %d times", looks.Load())
		}
	})
}

func TestSamplerRemembersFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := counting()
		s.join(false)
		defer s.leave(false)
		time.Sleep(7 * time.Minute)
		synctest.Wait()
		events, _, _ := s.since(unseen)
		if past, _ := told(t, events); len(past) != 300 || past[299].At-past[0].At != 299_000 {
			t.Errorf("%d samples are remembered", len(past))
		}
	})
}

func TestSamplerRestsWithoutViewers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := counting()
		s.join(false)
		s.join(true)
		time.Sleep(2 * interval)
		s.leave(false)
		time.Sleep(2 * interval)
		synctest.Wait()
		_, seen, _ := s.since(unseen)
		s.leave(true)
		time.Sleep(time.Hour) // the test would not end if a goroutine were left
		if events, _, _ := s.since(seen); seen != 4 || events != nil {
			t.Errorf("%d samples were taken, then %s", seen, events)
		}
		s.join(true)
		defer s.leave(true)
		time.Sleep(interval + interval/2)
		synctest.Wait()
		events, _, _ := s.since(unseen)
		if past, now := told(t, events); len(past) != 0 || now == nil || now.Released != 5 {
			t.Errorf("after a restart the events are %+v, %+v", past, now)
		}
	})
}

func TestBusiestOfReturnsBusiestFirst(t *testing.T) {
	l := lot.New()
	for i := range 40 {
		for range i%20 + 1 {
			w := l.Register([]string{fmt.Sprintf("c%02d", i)}, lot.Messages)
			w.Park(lot.Parking{Until: time.Now().Add(time.Hour), Release: func(lot.Outcome) {}})
		}
	}
	channels, busiest := busiestOf(l)
	names := ""
	for _, c := range busiest {
		names += fmt.Sprintf(" %s:%d", c.Channel, c.Requests)
	}
	if want := " c19:20 c39:20 c18:19 c38:19 c17:18 c37:18 c16:17 c36:17 c15:16 c35:16 c14:15 c34:15"; channels != 40 || names != want {
		t.Errorf("of %d:%s, want %s", channels, names, want)
	}
}
