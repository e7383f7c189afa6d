package advise

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// logins adds pages that wait for a decision, each of a user: status 204 until there is one, and
// 403 once another login of the same user, in another browser, has ended theirs.
func (tr *traffic) logins(refused int, written string) {
	number := 0
	for _, user := range []string{"ada", "grace", "alan"} {
		for round := range 8 {
			begin := time.Duration(round)*2*minute + tr.jitter(minute)
			query := "user=" + user
			ended, decided := begin+20*second+tr.jitter(5*second), begin+40*second+tr.jitter(5*second)
			for page, span := range [][2]time.Duration{{begin, ended}, {ended, decided}} {
				number++
				last := []exchange{{path: "/decision", query: query, status: refused}, {path: "/decision", query: query, text: `"approved"`}}[page]
				tr.poll(fmt.Sprint("page ", number), span[0], span[1]+second, second, AfterAnswer, func(at time.Duration, _ int) exchange {
					if at >= span[1] { // once: the page ends then
						return last
					}
					return exchange{path: "/decision", query: query, status: 204}
				})
				tr.at(span[0], time.Millisecond, exchange{client: fmt.Sprint("page ", number), method: "POST", path: written, query: query, status: 201})
			}
			tr.at(decided, time.Millisecond, exchange{client: "phone of " + user, method: "POST", path: "/decision", query: query})
		}
	}
}

func TestWritesAfterWhichPollsAreRefusedPublish(t *testing.T) {
	for _, refused := range []int{401, 403, 404, 410} {
		tr := newTraffic(t)
		tr.logins(refused, "/login")
		tr.want(
			"parker_notify /decision decision/{query.user}",
			"parker_notify /login decision/{query.user}",
			"parker /decision decision/{query.user}",
		)
		p := tr.onePoll()
		if p.Unknown > 0 {
			t.Errorf("refused by %d: %d changes are unknown", refused, p.Unknown)
		}
		if advice := Caddyfile(tr.report(), Site{}); !strings.Contains(advice, "After POST /decision there was a change: 24 of 24 times") || !strings.Contains(advice, "After POST /login polls were refused: ") {
			t.Errorf("refused by %d:\n%s", refused, advice)
		}
	}
}

func TestAdviceWithNothingButRefusalsWatches(t *testing.T) {
	tr := newTraffic(t)
	tr.logins(403, "/login")
	tr.observations = slices.DeleteFunc(tr.observations, func(o Observation) bool {
		return o.Path == "/decision" && (o.Method == "POST" || o.Status == 200)
	})
	advice := Caddyfile(tr.report(), Site{})
	for _, want := range []string{"After POST /login polls were refused: ", "No news was seen, so it is not known who else publishes", "\tparker_notify /login decision/{query.user}\n", "\t\twatch 1s\n"} {
		if !strings.Contains(advice, want) {
			t.Errorf("%q is missing in\n%s", want, advice)
		}
	}
}

func TestFailuresOfTheBackendNeedNoPublisher(t *testing.T) {
	for _, failed := range []int{408, 429, 500, 503} {
		tr := newTraffic(t)
		tr.logins(failed, "/login")
		if p := tr.onePoll(); len(p.Publishers) != 1 || p.Unknown > 0 {
			t.Errorf("failed by %d: %+v", failed, p)
		}
	}
}

func TestRefusalsThatNoWriteExplainNeedNoPublisher(t *testing.T) {
	tr := newTraffic(t)
	writes := tr.writes(10*second, 20*minute, 40*second)
	for page := range 4 {
		expires := time.Duration(page+1) * 4 * minute // as a session does
		tr.poll(fmt.Sprint("page ", page), 0, expires+2*second, 2*second, AfterAnswer, func(at time.Duration, _ int) exchange {
			if at >= expires {
				return exchange{path: "/updates", status: 401}
			}
			return exchange{path: "/updates", text: listOf(writes, at)}
		})
	}
	for _, at := range writes {
		tr.at(at, time.Millisecond, exchange{client: "writer", method: "POST", path: "/reply", status: 302})
	}
	if p := tr.onePoll(); len(p.Publishers) != 1 || p.Publishers[0].Path != "/reply" || p.Unknown > 0 {
		t.Errorf("%+v", p)
	}
}
