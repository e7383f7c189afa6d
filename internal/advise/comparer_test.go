package advise

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// inbox adds polls that get the next news once, and then nothing.
func (tr *traffic) inbox(e exchange, cursor bool) {
	last := 0
	writes := tr.writes(10*second, 20*minute, 40*second)
	tr.poll("page", 0, 20*minute, 2*second, AfterAnswer, func(at time.Duration, _ int) exchange {
		e := e
		e.path, e.text = "/inbox", "[]"
		if cursor {
			e.query = fmt.Sprint("since=", last)
		}
		if n := before(writes, at); n > last {
			e.text, last = fmt.Sprintf("[%d]", n), n
		}
		return e
	})
	for _, at := range writes {
		tr.at(at, time.Millisecond, exchange{client: "writer", method: "POST", path: "/send", status: 302})
	}
}

func TestPollIsRepeatableOnlyIfASecondRequestChangesNothing(t *testing.T) {
	for name, test := range map[string]struct {
		request exchange
		cursor  bool
		want    bool
	}{
		"the request says what the client has": {exchange{}, true, true},
		"the application remembers it":         {exchange{}, false, false},
		"each answer sets a cookie":            {exchange{answer: http.Header{"Set-Cookie": {"session=x"}}}, true, false},
		"it is a POST":                         {exchange{method: "POST"}, true, false},
	} {
		tr := newTraffic(t)
		tr.inbox(test.request, test.cursor)
		polls := tr.report().Polls
		if len(polls) == 0 || polls[0].Repeatable() != test.want {
			t.Errorf("%s: %+v", name, polls)
		}
	}
}

func TestComparerDigestIsThatOfTheAdvisedRule(t *testing.T) {
	tr := newTraffic(t)
	tr.inbox(exchange{}, true)
	p := tr.onePoll()
	answers := p.Comparer()
	if answers.Digest(200, []byte("[]\n")) != 0 || answers.Digest(200, []byte("[1]")) == answers.Digest(200, []byte("[2]")) || answers.Digest(200, []byte("[1]")) != answers.Digest(200, []byte(" [1]")) {
		t.Error("answers are not told apart as by the rule")
	}
	if p := new(Poll); p.Comparer() != nil || p.Repeatable() {
		t.Error("a poll that was read from JSON is compared")
	}
}

func TestPollMatchesItsRequests(t *testing.T) {
	t.Parallel()
	p := &Poll{Method: "POST", Path: "/rooms/*/rpc", Call: &Call{In: "json", Name: "/method", Value: "poll"}}
	for request, want := range map[string]bool{
		"POST /rooms/7/rpc poll":   true,
		"POST /rooms/7/rpc say":    false,
		"POST /rooms/7/8/rpc poll": false,
		"GET /rooms/7/rpc poll":    false,
	} {
		part := strings.Fields(request)
		if got := p.Matches(&Observation{Method: part[0], Path: part[1], Body: []byte(`{"method":"` + part[2] + `"}`)}); got != want {
			t.Errorf("%s: %v", request, got)
		}
	}
}

func TestWatchIsAdvisedIfMoreThanAHundredthIsUnexplained(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		changes, unknown int
		want             bool
	}{
		{0, 0, true}, {10, 0, false}, {10, 1, true}, {20, 1, false}, {100, 1, false}, {100, 2, true}, {300, 3, false}, {300, 4, true},
	} {
		p := &Poll{Hold: true, Every: Seconds(2 * time.Second), Changes: c.changes, Unknown: c.unknown, Method: "GET", Path: "/news"}
		if got := p.watch() > 0; got != c.want {
			t.Errorf("%d of %d: %v", c.unknown, c.changes, got)
		}
		report := Report{Polls: []Poll{*p}}
		if hook := strings.Contains(Caddyfile(report, Site{}), "parker_publish"); hook != c.want {
			t.Errorf("%d of %d: a hook is %v", c.unknown, c.changes, hook)
		}
		if strings.Contains(Caddyfile(report, Site{WithoutHook: true}), "parker_publish") {
			t.Error("there is a hook although none is wanted")
		}
	}
}
