package trial

import (
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/advise"
	"github.com/caddy-parker/parker/internal/answer"
)

// TestComparedCountsNewsAndLateness gives what the page would have seen at each second, what
// the client got and when, and what must be counted. 0 is nothing new.
func TestComparedCountsNewsAndLateness(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		saw     []uint64
		got     uint64
		release answer.Release
		after   time.Duration

		news, later int
		sooner      time.Duration
		latest      time.Duration
	}{
		"nothing new":                        {[]uint64{0, 0, 0}, 0, answer.Timeout, 2500 * time.Millisecond, 0, 0, 0, 0},
		"news sooner":                        {[]uint64{0, 0, 0}, 7, answer.Replay, 2200 * time.Millisecond, 1, 0, 800 * time.Millisecond, 0},
		"news at the same time":              {[]uint64{0, 0, 7}, 7, answer.Replay, 2100 * time.Millisecond, 1, 0, 0, 0},
		"news later":                         {[]uint64{0, 7, 7, 7}, 7, answer.Watch, 3900 * time.Millisecond, 1, 1, 0, 2900 * time.Millisecond},
		"news that was never given":          {[]uint64{0, 7, 7}, 0, answer.Timeout, 2500 * time.Millisecond, 0, 1, 0, 1500 * time.Millisecond},
		"state that stays":                   {[]uint64{5, 5, 5}, 5, answer.Timeout, 2500 * time.Millisecond, 0, 0, 0, 0},
		"state that changes, sooner":         {[]uint64{5, 5, 5}, 6, answer.Replay, 2200 * time.Millisecond, 1, 0, 800 * time.Millisecond, 0},
		"state that changed from the start":  {[]uint64{6, 6, 6}, 6, answer.Replay, 2900 * time.Millisecond, 1, 1, 0, 2900 * time.Millisecond},
		"state that changed and was held":    {[]uint64{5, 6, 6}, 5, answer.Timeout, 2500 * time.Millisecond, 0, 1, 0, 1500 * time.Millisecond},
		"polls that parker did not hold":     {[]uint64{7}, 0, answer.None, 10 * time.Millisecond, 0, 0, 0, 0},
		"polls without an answer to compare": {nil, 7, answer.Replay, time.Second, 0, 0, 0, 0},
	} {
		p := &poll{Poll: advise.Poll{Every: advise.Seconds(time.Second)}, comparing: new(comparison)}
		var saw []seen
		for i, digest := range c.saw {
			saw = append(saw, seen{epoch.Add(time.Duration(i) * time.Second), digest})
		}
		p.compared(saw, epoch.Add(c.after), c.got, c.release, true)
		if p.news != c.news || p.later != c.later || p.sooner != c.sooner || p.latest != c.latest || p.comparing != nil {
			t.Errorf("%s: news %d, later %d, sooner %v, latest %v", name, p.news, p.later, p.sooner, p.latest)
		}
	}
}

func TestFiguresCountPollsThatThePageWouldHaveSent(t *testing.T) {
	t.Parallel()
	p := &poll{Poll: advise.Poll{Every: advise.Seconds(2 * time.Second)}}
	for range 3 {
		p.came(epoch)
	}
	p.asked()
	p.ended(epoch, epoch.Add(10*time.Second))
	if f := p.figures(epoch.Add(20 * time.Second)); f.Parked != 2 || f.Asks != 1 || f.Expected != 6+2*11 {
		t.Errorf("%+v", f)
	}
	p = &poll{Poll: advise.Poll{Every: advise.Seconds(2 * time.Second), Waiting: advise.ByTimer}}
	p.came(epoch)
	p.ended(epoch, epoch.Add(10*time.Second))
	if f := p.figures(epoch.Add(20 * time.Second)); f.Expected != 1 {
		t.Errorf("a page with a timer sends the others anyway: %+v", f)
	}
}
