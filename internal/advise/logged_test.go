package advise

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// logged makes all traffic what an access log tells of it. Caddy's has header fields.
func (tr *traffic) logged(header bool) {
	for i := range tr.observations {
		o := &tr.observations[i]
		o.Sent, o.Logged = o.Length, true
		o.Text, o.Sum, o.Length, o.Body = nil, "", -1, nil
		if o.Status == http.StatusNotModified {
			o.Sent = 0
		}
		o.Request = http.Header{"Cookie": {"REDACTED"}}
		if !header {
			o.Request, o.Answer, o.Step = nil, nil, time.Second
			o.Begun = o.Begun.Truncate(time.Second)
		}
	}
}

// desk adds polls with a cursor, whose usual answer is the given one, and the writes that they
// show.
func (tr *traffic) desk(idle exchange) {
	writes := tr.writes(10*second, 20*minute, 40*second)
	for i := range 3 {
		last := 0
		tr.poll(fmt.Sprint("agent ", i), 0, 20*minute, 4*second, AfterAnswer, func(at time.Duration, _ int) exchange {
			e := idle
			e.path, e.query = "/tickets/updates", fmt.Sprint("since=", last)
			if n := before(writes, at); n > last {
				e.status, e.text = 200, fmt.Sprintf(`[{"ticket":%d,"text":%q}]`, n, strings.Repeat("x", n%7))
				last = n
			}
			return e
		})
	}
	for i, at := range writes {
		tr.at(at, time.Millisecond, exchange{client: fmt.Sprint("agent ", i%3), method: "POST", path: "/tickets/reply", status: 302})
	}
}

func TestLogShowsPollsWhoseUsualAnswerIsShort(t *testing.T) {
	for name, idle := range map[string]exchange{
		"no content":   {status: 204},
		"empty":        {text: ""},
		"not modified": {status: 304},
		"[]":           {text: "[]"},
		"{} and line":  {text: "{}\n"},
	} {
		for _, header := range []bool{true, false} {
			t.Run(fmt.Sprint(name, " ", header), func(t *testing.T) {
				tr := newTraffic(t)
				tr.desk(idle)
				tr.logged(header)
				p := tr.onePoll()
				if !p.Hold || len(p.NothingNew) > 0 || p.Clients != 3 || len(p.Publishers) != 1 || p.Publishers[0].Path != "/tickets/reply" || p.Unknown*10 > p.Changes || p.Same*10 < p.Asks*8 {
					t.Errorf("%+v", p)
				}
				if assumed := strings.Contains(Caddyfile(tr.report(), Site{}), "is an assumption"); assumed != (idle.text != "") {
					t.Errorf("it is %t that something is assumed", assumed)
				}
				if want := map[bool]Waiting{true: AfterAnswer, false: WaitingUnknown}[header]; p.Waiting != want {
					t.Errorf("waiting is %q, want %q", p.Waiting, want)
				}
				tr.want("parker_notify /tickets/reply tickets", "parker /tickets/updates tickets")
			})
		}
	}
}

func TestLogShowsWhatIsKnownOfOtherPolls(t *testing.T) {
	tr := newTraffic(t)
	tr.desk(exchange{text: `{"tickets":[]}`})
	tr.logged(true)
	report := tr.report()
	notes := Notes(report)
	if len(notes) != 1 || Caddyfile(report, Site{}) != "" {
		t.Fatalf("%q, %+v", notes, report.Polls)
	}
	for _, want := range []string{
		"GET /tickets/updates: The bodies of its answers are not known.", "had the status 200 and 14 bytes, which came again after others.",
		"3 clients asked, each every 4.0s.", "It changed after POST /tickets/reply", "curl -si '<address of the application>/tickets/updates'",
	} {
		if !strings.Contains(notes[0], want) {
			t.Errorf("no %q in %q", want, notes[0])
		}
	}
}

func TestLogShowsChangesOfWholeState(t *testing.T) {
	tr := newTraffic(t)
	writes := tr.writes(10*second, 20*minute, 40*second)
	tr.poll("page", 0, 20*minute, 2*second, AfterAnswer, func(at time.Duration, _ int) exchange {
		return exchange{path: "/state", text: fmt.Sprintf(`{"state":%q}`, strings.Repeat("x", before(writes, at)%9))}
	})
	for _, at := range writes {
		tr.at(at, time.Millisecond, exchange{client: "writer", method: "POST", path: "/change"})
	}
	tr.logged(true)
	p := tr.onePoll()
	if p.Hold || len(p.Publishers) != 1 || p.Unknown > 1 || p.Same*10 < p.Asks*8 {
		t.Errorf("%+v", p)
	}
}

func TestLogGivesNoCommandThatCouldWriteAgain(t *testing.T) {
	tr := newTraffic(t)
	tr.poll("page", 0, 10*minute, 2*second, AfterAnswer, func(_ time.Duration, number int) exchange {
		return exchange{method: "POST", path: "/rpc", text: `{"result":"` + strings.Repeat("x", number/20) + `"}`}
	})
	tr.poll("page", 0, 10*minute, 2*second, AfterAnswer, func(time.Duration, int) exchange {
		return exchange{method: "POST", path: "/beat", text: `{"result":"ok"}`}
	})
	tr.logged(true)
	notes := strings.Join(Notes(tr.report()), "\n")
	if strings.Contains(notes, "curl") || !strings.Contains(notes, "network tab") || !strings.Contains(notes, "probably a write") {
		t.Error(notes)
	}
}

func TestLogTellsAnswersOfOneLengthApartByTheirValidator(t *testing.T) {
	tr := newTraffic(t)
	writes := tr.writes(10*second, 20*minute, 40*second)
	tr.poll("page", 0, 20*minute, 2*second, AfterAnswer, func(at time.Duration, _ int) exchange {
		n := before(writes, at)
		return exchange{path: "/state", text: fmt.Sprintf(`{"state":%03d}`, n), answer: http.Header{"Etag": {fmt.Sprintf(`"%d"`, n)}}}
	})
	tr.logged(true)
	if p := tr.onePoll(); p.Changes < len(writes)*9/10 {
		t.Errorf("%d changes were seen, %+v", p.Changes, p)
	}
}

func TestNothingIsSharedBecauseOfLengths(t *testing.T) {
	tr := newTraffic(t)
	tr.desk(exchange{text: "[]"})
	tr.logged(false)
	for i := range tr.observations {
		tr.observations[i].Request = http.Header{"Cookie": {"id=" + tr.observations[i].Client}}
	}
	if p := tr.onePoll(); !p.Hold || p.Public || len(p.ShareBy) > 0 || p.Sharing.Same > 0 {
		t.Errorf("%+v", p)
	}
}

func TestLengthOfAnswerThatIsNotLoggedSaysNothing(t *testing.T) {
	tr := newTraffic(t)
	tr.desk(exchange{text: "[]"})
	tr.logged(true)
	for i := range tr.observations {
		tr.observations[i].Logged = false // a live answer that was cut off
	}
	polls := tr.report().Polls
	if slices.ContainsFunc(polls, func(p Poll) bool { return p.Hold }) {
		t.Errorf("%+v", polls)
	}
}

func TestClockInSecondsShowsAnyInterval(t *testing.T) {
	for _, every := range []time.Duration{time.Second, 1500 * time.Millisecond, 2500 * time.Millisecond, 3300 * time.Millisecond, 7 * second} {
		tr := newTraffic(t)
		tr.poll("page", 0, 20*minute, every, AfterAnswer, func(_ time.Duration, number int) exchange {
			return exchange{path: "/updates", text: []string{"[]", "[1]"}[min(number%20, 1)^1]}
		})
		tr.logged(false)
		polls := tr.report().Polls
		if len(polls) != 1 || abs(float64(polls[0].Every.Duration()-every)) > float64(every)/10 {
			t.Errorf("every %s: %+v", every, polls)
		}
	}
}

func TestRequestsAtRandomByClockInSecondsAreNoPoll(t *testing.T) {
	for seed := range 40 {
		tr := newTraffic(t)
		tr.random = rand.New(rand.NewPCG(uint64(seed), 3))
		for at := time.Duration(0); at < 20*minute; {
			tr.at(at, tr.took(), exchange{client: "browser", path: "/state", text: fmt.Sprint("[", at/minute, "]")})
			if seed%2 == 0 {
				at += tr.jitter(5 * second)
			} else {
				at += time.Duration(tr.random.ExpFloat64() * float64(2*second))
			}
		}
		tr.logged(false)
		if polls := tr.report().Polls; len(polls) > 0 {
			t.Errorf("seed %d: every %s, %d asks", seed, polls[0].Every, polls[0].Asks)
		}
	}
}
