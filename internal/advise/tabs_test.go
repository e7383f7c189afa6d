package advise

import (
	"fmt"
	"testing"
	"time"
)

func TestTabsOfOneBrowserAreToldApart(t *testing.T) {
	for name, begins := range map[string][]time.Duration{
		"two":          {0, 700 * time.Millisecond},
		"opened later": {0, 8 * minute},
		"three":        {0, 300 * time.Millisecond, 3 * minute},
	} {
		for _, waiting := range []Waiting{ByTimer, AfterAnswer} {
			t.Run(fmt.Sprint(name, " ", waiting), func(t *testing.T) {
				tr := newTraffic(t)
				writes := tr.writes(10*second, 20*minute, 40*second)
				for _, begin := range begins {
					last := 0
					tr.poll("browser", begin, 20*minute, 2*second, waiting, func(at time.Duration, _ int) exchange {
						e := exchange{path: "/tickets/updates", query: fmt.Sprint("since=", last), text: "[]"}
						if n := before(writes, at); n > last {
							e.text = fmt.Sprintf(`[{"ticket":%d}]`, n)
							last = n
						}
						return e
					})
				}
				for _, at := range writes {
					tr.at(at, time.Millisecond, exchange{client: "writer", method: "POST", path: "/tickets/reply", status: 302})
				}
				p := tr.onePoll()
				if p.Clients != 1 || p.Every.Duration().Round(100*time.Millisecond) != 2*second || len(p.Publishers) != 1 || p.Unknown > 1 || p.Public {
					t.Errorf("%+v", p)
				}
				if len(p.Fields) != 1 || p.Fields[0].Role != CursorRole {
					t.Errorf("fields: %+v", p.Fields)
				}
			})
		}
	}
}

func TestRandomRequestsAreNoTabs(t *testing.T) {
	for seed := range 30 {
		tr := newTraffic(t)
		tr.random.Uint64()
		for range seed {
			tr.random.Uint64()
		}
		for at := time.Duration(0); at < 20*minute; at += tr.jitter(4 * second) {
			tr.at(at, tr.took(), exchange{client: "browser", path: "/state", text: fmt.Sprint("[", at/minute, "]")})
		}
		if polls := tr.report().Polls; len(polls) > 0 {
			t.Errorf("seed %d: %+v", seed, polls)
		}
	}
}
