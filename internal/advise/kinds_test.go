package advise

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-parker/parker/internal/nothingnew"
)

// idleAndNews adds a client whose polls get idle, and each tenth time news.
func (tr *traffic) idleAndNews(path, idle string, news ...string) {
	tr.poll("page", 0, 10*minute, 2*second, AfterAnswer, func(_ time.Duration, number int) exchange {
		e := exchange{path: path, text: idle}
		if number%10 == 9 {
			e.text = strings.ReplaceAll(news[number/10%len(news)], "NUMBER", fmt.Sprint(number))
		}
		return e
	})
}

func TestNothingNewIsTheNarrowestRule(t *testing.T) {
	for _, test := range []struct {
		idle string
		news []string
		want []string
	}{
		{"null", []string{"[NUMBER]"}, nil},
		{"0", []string{"NUMBER"}, []string{"body 0"}},
		{"OK", []string{"new: NUMBER"}, []string{"body OK"}},
		{`{"tickets":[],"unread":0}`, []string{`{"tickets":[NUMBER],"unread":0}`}, []string{"json /tickets"}},
		{`{"tickets":[],"closed":[]}`, []string{`{"tickets":[NUMBER],"closed":[]}`, `{"tickets":[],"closed":[NUMBER]}`},
			[]string{"all {", "\tjson /closed", "\tjson /tickets", "}"}},
		{`{"state":"waiting"}`, []string{`{"state":"NUMBER"}`}, []string{"json /state waiting"}},
		{`{"version":3}`, []string{`{"version":3,"ticket":{"id":NUMBER}}`}, []string{"json /ticket absent"}},
		{`{"data":{"list":[],"size":5}}`, []string{`{"data":{"list":[NUMBER],"size":5}}`}, []string{"json /data/list"}},
		{"<title>No new entries</title><p>Hello Ada</p>", []string{"<title>NUMBER</title><p>Hello Ada</p>"}, []string{`match "<title>No new entries</title>"`}},
	} {
		t.Run(test.idle, func(t *testing.T) {
			tr := newTraffic(t)
			tr.idleAndNews("/updates", test.idle, test.news...)
			polls := tr.report().Polls
			if len(polls) != 1 || !polls[0].Hold || !slices.Equal(polls[0].NothingNew, test.want) {
				t.Errorf("got %+v, want the rule %q", polls, test.want)
			}
			tr.site()
			rules := parkersRules(t, test.want)
			if !holds(rules, test.idle) {
				t.Error("parker would not hold the answer with nothing new")
			}
			for _, news := range test.news {
				if news = strings.ReplaceAll(news, "NUMBER", "9"); holds(rules, news) {
					t.Errorf("parker would hold %s", news)
				}
			}
		})
	}
}

// parkersRules reads the lines of a block nothing_new as parker does.
func parkersRules(t *testing.T, lines []string) *nothingnew.Rules {
	t.Helper()
	rules := nothingnew.Default()
	if len(lines) > 0 {
		rules = new(nothingnew.Rules)
		d := caddyfile.NewTestDispenser("nothing_new {\n" + strings.Join(lines, "\n") + "\n}")
		d.Next()
		if err := rules.Read(d); err != nil {
			t.Fatal(err)
		}
	}
	if err := rules.Provision(64 << 10); err != nil {
		t.Fatal(err)
	}
	return rules
}

func holds(rules *nothingnew.Rules, text string) bool {
	return rules.Met(nil, http.StatusOK, http.Header{}, []byte(text))
}

func TestWritesAtRandomPublishNothing(t *testing.T) {
	for seed := range uint64(20) {
		tr := newTraffic(t)
		for range seed {
			tr.random.Uint64()
		}
		news := tr.writes(0, 30*minute, minute)
		tr.poll("page", 0, 30*minute, 2*second, AfterAnswer, func(at time.Duration, _ int) exchange {
			return exchange{path: "/updates", text: fmt.Sprintf(`{"n":%d}`, before(news, at))}
		})
		for _, at := range tr.writes(0, 30*minute, 20*second) {
			tr.at(at, tr.took(), exchange{client: "other", method: "POST", path: "/save", status: 302})
		}
		if polls := tr.report().Polls; len(polls) != 1 || len(polls[0].Publishers) > 0 {
			t.Errorf("seed %d: %+v", seed, polls)
		}
	}
}

func TestSharingNeedsTheSameNews(t *testing.T) {
	tr := newTraffic(t)
	for i := range 3 {
		tr.poll(fmt.Sprint("user ", i), 0, 10*minute, 2*second, AfterAnswer, func(at time.Duration, number int) exchange {
			e := exchange{path: "/inbox", text: "[]"}
			if number%10 == 9 {
				e.text = fmt.Sprintf(`["%d for %d"]`, number, i)
			}
			return e
		})
	}
	if polls := tr.report().Polls; len(polls) != 1 || polls[0].Public {
		t.Errorf("polls: %+v", polls)
	}
}

func TestRegularWritesPublish(t *testing.T) {
	tr := newTraffic(t)
	last := 0
	tr.poll("page", 0, 10*minute, 2*second, AfterAnswer, func(at time.Duration, _ int) exchange {
		e := exchange{path: "/news", query: fmt.Sprint("after=", last), text: "[]"}
		if n := int(at / (7 * second)); n > last {
			e.text = fmt.Sprintf("[%d]", n)
			last = n
		}
		return e
	})
	for i := range 85 { // as a machine does
		tr.at(time.Duration(i+1)*7*second-10*time.Millisecond, time.Millisecond, exchange{client: "machine", method: "POST", path: "/news", status: 201, text: fmt.Sprintf(`{"id":%d}`, i)})
	}
	tr.want("parker_notify /news", "parker /news")
}

func TestTimeOfTheLastChangeIsNoClock(t *testing.T) {
	tr := newTraffic(t)
	writes := tr.writes(10*second, 20*minute, 20*second)
	tr.poll("page", 0, 20*minute, 2*second, AfterAnswer, func(at time.Duration, _ int) exchange {
		last := tr.start
		if n := before(writes, at); n > 0 {
			last = tr.start.Add(writes[n-1])
		}
		return exchange{path: "/desk", text: fmt.Sprintf(`{"ok":true,"updated_at":%d}`, last.Unix())}
	})
	if p := tr.onePoll(); fmt.Sprint(p.NothingNew) != "[unchanged remember]" || p.Changes < len(writes)*9/10 {
		t.Errorf("poll: %+v", p)
	}
}

func TestCursorThatIsATimeIsNotIgnored(t *testing.T) {
	tr := newTraffic(t)
	writes := tr.writes(10*second, 20*minute, 40*second)
	tr.poll("page", 0, 20*minute, 2*second, AfterAnswer, func(at time.Duration, _ int) exchange {
		return exchange{path: "/news", query: fmt.Sprint("ts=", tr.start.Add(at).Unix()-2), text: fmt.Sprintf("[%d]", before(writes, at))}
	})
	if site := tr.site(); strings.Contains(site, "ignore_query") {
		t.Error(site)
	}
}

func TestWriteThatOthersOfARoomSeeIsNotForOneUserOnly(t *testing.T) {
	tr := newTraffic(t)
	writes := tr.writes(10*second, 20*minute, 40*second)
	for user := range 3 {
		last := 0
		tr.poll(fmt.Sprint("user ", user), 0, 20*minute, 2*second, AfterAnswer, func(at time.Duration, _ int) exchange {
			e := exchange{path: fmt.Sprintf("/room/5/%d/messages", 77+user), text: "[]"}
			if n := before(writes, at); n > last {
				e.text, last = fmt.Sprintf("[%d]", n), n
			}
			return e
		})
	}
	for i, at := range writes {
		tr.at(at, time.Millisecond, exchange{client: fmt.Sprint("user ", i%3), method: "POST", path: fmt.Sprintf("/room/5/%d/messages", 77+i%3), status: 201})
	}
	site := tr.site()
	if strings.Contains(site, "parker @poll1\n") || strings.Contains(site, "{path.2}") && !strings.Contains(site, "watch ") {
		t.Error(site)
	}
}

func TestWritesByGetPublish(t *testing.T) {
	tr := newTraffic(t)
	writes := tr.writes(10*second, 20*minute, 40*second)
	for page := range 3 {
		last := 0
		tr.poll(fmt.Sprint("page ", page), 0, 20*minute, 2*second, AfterAnswer, func(at time.Duration, _ int) exchange {
			e := exchange{path: "/chat/new.php", query: fmt.Sprint("after=", last), text: "[]"}
			if n := before(writes, at); n > last {
				e.text = fmt.Sprintf("[%d]", n)
				last = n
			}
			return e
		})
		for i := range 40 { // other requests with a query
			at := time.Duration(i)*30*second + tr.jitter(20*second)
			tr.at(at, tr.took(), exchange{client: fmt.Sprint("page ", page), path: "/chat/profile.php", query: fmt.Sprint("of=", i%5), text: "somebody"})
		}
	}
	for i, at := range writes {
		tr.at(at, time.Millisecond, exchange{client: "page 1", path: "/chat/say.php", query: fmt.Sprint("text=hello", i), text: "ok"})
	}
	tr.want("parker_notify /chat/say.php chat {", "	methods GET", "}", "parker /chat/new.php chat {", "	share public", "}")
}

func TestPostWithAnotherBodyEachTimeIsNotHeld(t *testing.T) {
	tr := newTraffic(t)
	writes := tr.writes(10*second, 20*minute, 40*second)
	tr.poll("phone", 0, 20*minute, 5*second, ByTimer, func(at time.Duration, number int) exchange {
		return exchange{method: "POST", path: "/where", body: fmt.Sprintf(`{"x":%d.5,"y":%d.25}`, number*7%50, number*3%40), text: fmt.Sprintf(`{"orders":%d}`, before(writes, at))}
	})
	if p := tr.onePoll(); p.Hold || !strings.Contains(p.Reason, "could be a write") {
		t.Errorf("poll: %+v", p)
	}
}

func TestCursorOfPagesThatAreLoadedAgainStaysACursor(t *testing.T) {
	tr := newTraffic(t)
	writes := tr.writes(10*second, 20*minute, 20*second)
	for page := range 3 {
		last, loaded := 0, time.Duration(0)
		tr.poll(fmt.Sprint("page ", page), 0, 20*minute, 2*second, AfterAnswer, func(at time.Duration, _ int) exchange {
			if at-loaded > 2*minute { // the person presses F5
				last, loaded = 0, at
			}
			e := exchange{path: "/tickets/updates", query: fmt.Sprint("since=", last), text: "[]"}
			if n := before(writes, at); n > last {
				e.text = fmt.Sprintf("[%d]", n)
				last = n
			}
			return e
		})
	}
	for _, at := range writes {
		tr.at(at, time.Millisecond, exchange{client: "writer", method: "POST", path: "/tickets/reply", status: 302})
	}
	tr.want("parker_notify /tickets/reply tickets", "parker /tickets/updates tickets {", "	share public", "}")
	if p := tr.onePoll(); fmt.Sprint(p.Fields) != "[{query since cursor}]" {
		t.Errorf("fields: %v", p.Fields)
	}
}

func TestPollWithAClockAndACacheBusterIsNoCrawl(t *testing.T) {
	tr := newTraffic(t)
	tr.poll("page", 0, 10*minute, 2*second, AfterAnswer, func(at time.Duration, number int) exchange {
		now := tr.start.Add(at)
		return exchange{path: "/inbox", query: fmt.Sprint("_=", now.UnixMilli()), text: fmt.Sprintf(`{"unread":%d,"server_time":%d}`, at/minute, now.Unix())}
	})
	if p := tr.onePoll(); !p.Hold || fmt.Sprint(p.NothingNew) != "[unchanged except /server_time remember]" {
		t.Errorf("poll: %+v", p)
	}
}

func TestPollOfWhatChangesInEachAnswerIsNotHeld(t *testing.T) {
	tr := newTraffic(t)
	tr.poll("page", 0, 10*minute, 2*second, AfterAnswer, func(at time.Duration, number int) exchange {
		return exchange{path: "/position", text: fmt.Sprintf(`{"latitude":%d.5,"longitude":%d.25,"time":%d}`, number, number*2, tr.start.Add(at).Unix())}
	})
	if p := tr.onePoll(); p.Hold || !strings.Contains(p.Reason, "there is little to hold") {
		t.Errorf("poll: %+v", p)
	}
}

func TestPollWithAMemberThatChangesInEachAnswerIsNotHeldUnlessItIsATime(t *testing.T) {
	for member, news := range map[string]bool{"load": true, "cpu_usage": true, "message": true, "uptime": false, "server_time": false} {
		tr := newTraffic(t)
		tr.poll("page", 0, 10*minute, 2*second, AfterAnswer, func(at time.Duration, number int) exchange {
			return exchange{path: "/desk", text: fmt.Sprintf(`{"tickets":[%d],%q:%d}`, at/(2*minute), member, number*7)}
		})
		p := tr.onePoll()
		if p.Hold == news || strings.Contains(p.Reason, "Its answers differ each time, in /"+member) != news {
			t.Errorf("with %s: poll %+v", member, p)
		}
	}
}

func TestPollThatBackendHoldsIsNotHeld(t *testing.T) {
	tr := newTraffic(t)
	for i := range 20 {
		tr.at(time.Duration(i)*20*second, 19900*time.Millisecond, exchange{client: "page", path: "/wait", status: 204})
	}
	if polls := tr.report().Polls; len(polls) != 1 || polls[0].Hold || !polls[0].Held {
		t.Errorf("polls: %+v", polls)
	}
}

func TestStreamsAreReported(t *testing.T) {
	tr := newTraffic(t)
	tr.at(0, minute, exchange{client: "page", path: "/events", answer: http.Header{"Content-Type": {"text/event-stream"}}, unknown: true})
	if polls := tr.report().Polls; len(polls) != 1 || polls[0].Hold || !polls[0].Streams {
		t.Errorf("polls: %+v", polls)
	}
}

func TestWriteByTimerIsNotHeld(t *testing.T) {
	tr := newTraffic(t)
	tr.poll("page", 0, 10*minute, 5*second, ByTimer, func(at time.Duration, number int) exchange {
		return exchange{method: "POST", path: "/position", body: fmt.Sprintf(`{"x":%d}`, number%7), status: 204}
	})
	for _, p := range tr.report().Polls {
		if p.Hold {
			t.Errorf("held: %+v", p)
		}
	}
}

func TestRefusalsAreNotHeld(t *testing.T) {
	tr := newTraffic(t)
	tr.poll("page", 0, 10*minute, 5*second, ByTimer, func(time.Duration, int) exchange {
		return exchange{path: "/updates", status: 401}
	})
	for _, p := range tr.report().Polls {
		if p.Hold {
			t.Errorf("held: %+v", p)
		}
	}
}

func TestChannelIsNoTokenOfAClient(t *testing.T) {
	tr := newTraffic(t)
	for i := range 3 {
		tr.poll(fmt.Sprint("user ", i), 0, 10*minute, 2*second, AfterAnswer, func(at time.Duration, _ int) exchange {
			return exchange{path: "/inbox", query: fmt.Sprintf("session=secret%d&lang=en", i), text: fmt.Sprintf(`{"n":%d}`, at/minute)}
		})
	}
	if site := tr.site(); strings.Contains(site, "session") || strings.Contains(site, "secret") {
		t.Error(site)
	}
}

func TestChannelIsTheFieldThatWritesName(t *testing.T) {
	tr := newTraffic(t)
	tr.rooms([]string{"hall", "garden", "attic", "cellar"},
		func(room string) exchange {
			return exchange{path: "/updates", query: fmt.Sprintf("area=%d&room=%s", len(room), room)}
		},
		func(room string) exchange { return exchange{method: "POST", path: "/messages", query: "room=" + room} })
	tr.want(
		"parker_notify /messages updates/{query.room}",
		"parker /updates updates/{query.room} {",
		"	share public",
		"}",
	)
}

func TestChannelOfParameterWithADotIsAPlaceholder(t *testing.T) {
	tr := newTraffic(t)
	tr.rooms([]string{"hall", "garden", "attic", "cellar"},
		func(room string) exchange { return exchange{path: "/updates", query: "room.name=" + room} },
		func(room string) exchange {
			return exchange{method: "POST", path: "/messages", query: "to.room=" + room}
		})
	tr.want(
		"parker_notify /messages updates/{http.request.uri.query.to.room}",
		"parker /updates updates/{http.request.uri.query.room.name} {",
		"	share public",
		"}",
	)
}
