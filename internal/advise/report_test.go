package advise

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestReportIsJSONWithSeconds(t *testing.T) {
	tr := newTraffic(t)
	tr.idleAndNews("/updates", "[]", "[NUMBER]")
	report := tr.report()
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Polls []map[string]any `json:"polls"`
	}
	if err := json.Unmarshal(text, &document); err != nil || len(document.Polls) != 1 {
		t.Fatalf("%s, %v", text, err)
	}
	if every, ok := document.Polls[0]["every_seconds"].(float64); !ok || every < 1.9 || every > 2.2 {
		t.Errorf("every %v", document.Polls[0]["every_seconds"])
	}
	var again Report
	if err := json.Unmarshal(text, &again); err != nil || again.Polls[0].Every.Duration().Round(time.Millisecond) != report.Polls[0].Every.Duration().Round(time.Millisecond) {
		t.Errorf("%+v, %v", again, err)
	}
	if Caddyfile(again, Site{}) != Caddyfile(report, Site{}) {
		t.Error("the Caddyfile of the JSON is another one")
	}
}

func TestReportOfNothingHasNoPolls(t *testing.T) {
	text, err := json.Marshal(New().Report())
	if err != nil || !strings.Contains(string(text), `"polls":[]`) {
		t.Errorf("%s, %v", text, err)
	}
}

// marker is in each place of traffic where a secret, or the name of a person, can be.
const marker = "hunterada"

func TestReportContainsNoSecret(t *testing.T) {
	secret := func(kind string) string { return marker + kind }
	for name, text := range map[string]struct{ idle, news string }{
		"member":      {`{"name":"` + marker + `","messages":[],"users":{"` + marker + `":{"seen":NUMBER}}}`, `{"name":"` + marker + `","messages":["` + marker + `"],"users":{"` + marker + `":{"seen":NUMBER}}}`},
		"word":        {marker, marker + " NUMBER"},
		"word member": {`{"state":"` + marker + `"}`, `{"state":"` + marker + `NUMBER"}`},
		"sentence":    {"<p>Hello " + marker + "</p>", "<p>Goodbye " + marker + " NUMBER</p>"},
		"greeting":    {"<p>Hello " + marker + ", nothing is new.</p>", "<p>" + marker + ", NUMBER</p>"},
		"list":        {"[]", `["` + marker + ` NUMBER"]`},
		"status":      {"", marker},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTraffic(t)
			tr.poll(secret(""), 0, 10*minute, 2*second, AfterAnswer, func(at time.Duration, number int) exchange {
				e := exchange{
					path: "/users/" + marker + "/inbox", query: "key=" + secret("") + fmt.Sprintf("&%s84721=1&_=%d", marker, number),
					body: fmt.Sprintf(`{"token":"%s","%s84721":1,"id":%d}`, marker, marker, number),
					request: http.Header{
						"Cookie": {"session=" + marker, marker, marker + "84721=1"}, "Authorization": {"Bearer " + marker}, "If-None-Match": {`"` + marker + `"`},
						"Last-Event-Id": {marker}, "Content-Type": {"application/json"},
					},
					answer: http.Header{"Set-Cookie": {"session=" + marker}, "Etag": {marker}, "Content-Type": {"application/json;x=" + marker}, "Cache-Control": {marker}},
					text:   text.idle,
				}
				if number%10 == 9 {
					// The same news again and again, as if it were about the client.
					e.text = text.news
				}
				e.text = strings.ReplaceAll(e.text, "NUMBER", fmt.Sprint(number/10))
				return e
			})
			for i := range 20 {
				tr.at(time.Duration(i)*30*second, time.Millisecond, exchange{client: "other", method: "POST", path: "/users/" + marker + "/send",
					query: "to=" + marker, body: `{"text":"` + marker + `"}`, answer: http.Header{"Location": {marker}}})
			}
			report := tr.report()
			if len(report.Polls) == 0 {
				t.Fatal("no polls")
			}
			text, err := json.Marshal(report)
			if err != nil {
				t.Fatal(err)
			}
			all := fmt.Sprintf("%+v", report) + string(text) + Caddyfile(report, Site{}) + strings.Join(Notes(report), "\n")
			for i := range report.Polls {
				all += report.Polls[i].ChangedAfter() + report.Polls[i].Title()
			}
			if i := strings.Index(all, marker); i >= 0 {
				t.Errorf("%s\n%s", all[max(i-100, 0):min(i+100, len(all))], Caddyfile(report, Site{}))
			}
		})
	}
}

func TestNameOfPersonInPathIsNotPrinted(t *testing.T) {
	for name, test := range map[string]struct {
		paths  []string
		shared bool // each is polled by two clients
		want   string
	}{
		"below users":          {[]string{"/users/ada/inbox"}, false, "/users/*/inbox"},
		"below users, two":     {[]string{"/users/ada/inbox", "/users/bob/inbox"}, true, "/users/*/inbox"},
		"word below users":     {[]string{"/users/online"}, false, "/users/online"},
		"home":                 {[]string{"/~ada/inbox"}, false, "/*/inbox"},
		"plural":               {[]string{"/desks/ada/inbox"}, false, "/desks/*/inbox"},
		"plural, two clients":  {[]string{"/desks/north/inbox"}, true, "/desks/north/inbox"},
		"three first segments": {[]string{"/ada/inbox", "/bob/inbox", "/carla/inbox"}, false, "/*/inbox"},
		"file":                 {[]string{"/scripts/helpdesk.php"}, false, "/scripts/helpdesk.php"},
		"application":          {[]string{"/helpdesk/updates"}, false, "/helpdesk/updates"},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTraffic(t)
			for i, path := range test.paths {
				for j := range 2 {
					if j == 0 || test.shared {
						tr.poll(fmt.Sprint(path, j), 0, 5*minute, 2*second, AfterAnswer, func(at time.Duration, _ int) exchange {
							return exchange{path: path, text: fmt.Sprintf(`{"of":%d,"n":%d}`, i, at/minute)}
						})
					}
				}
			}
			if p := tr.onePoll(); p.Path != test.want {
				t.Errorf("%s instead of %s", p.Path, test.want)
			}
			tr.site()
		})
	}
}

func TestWordsOfAnswersArePrintedOnlyWithWitnesses(t *testing.T) {
	for name, test := range map[string]struct {
		clients int
		news    string
		want    bool
	}{
		"one client, the same news": {1, "moved", false},
		"one client, other news":    {1, "moved NUMBER", true},
		"two clients":               {2, "moved", true},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTraffic(t)
			for i := range test.clients {
				tr.poll(fmt.Sprint("page ", i), 0, 10*minute, 2*second, AfterAnswer, func(_ time.Duration, number int) exchange {
					e := exchange{path: "/state", text: "waiting"}
					if number%10 == 9 {
						e.text = strings.ReplaceAll(test.news, "NUMBER", fmt.Sprint(number))
					}
					return e
				})
			}
			p := tr.onePoll()
			if got := strings.Contains(fmt.Sprint(p), "body waiting"); got != test.want {
				t.Errorf("%+v", p)
			}
		})
	}
}

func TestPollThatParkerHandlesIsLeftOut(t *testing.T) {
	tr := newTraffic(t)
	for i := range 30 {
		tr.at(time.Duration(i)*20*second, 19900*time.Millisecond, exchange{client: "page", path: "/messages", status: 204,
			answer: http.Header{"Parker-Status": {"parker; park=19900; release=timeout"}}})
		tr.at(time.Duration(i)*20*second, time.Millisecond, exchange{client: "writer", method: "POST", path: "/messages"})
	}
	report := tr.report()
	i := slices.IndexFunc(report.Polls, func(p Poll) bool { return p.Method == "GET" })
	if i < 0 {
		t.Fatalf("%+v", report.Polls)
	}
	if p := report.Polls[i]; !p.Already || p.Hold || p.Held || p.Unknown > 0 || len(p.Publishers) > 0 {
		t.Errorf("%+v", p)
	}
	if advice := Caddyfile(report, Site{}); advice != "" {
		t.Error(advice)
	}
}

func TestAnswersHeldThoughDifferentAreCounted(t *testing.T) {
	tr := newTraffic(t)
	tr.poll("page", 0, 10*minute, 2*second, AfterAnswer, func(_ time.Duration, number int) exchange {
		e := exchange{path: "/state", query: fmt.Sprint("since=", number/20), text: fmt.Sprintf(`{"tickets":[],"mood":"%c"}`, 'a'+number/7%3)}
		if number%20 == 19 {
			e.text = fmt.Sprintf(`{"tickets":[%d],"mood":"a"}`, number)
		}
		return e
	})
	report := tr.report()
	if report.HeldThoughDifferent < 10 || report.Polls[0].HeldThoughDifferent != report.HeldThoughDifferent {
		t.Errorf("%+v", report)
	}
	if advice := Caddyfile(report, Site{}); !strings.Contains(advice, "DANGER: ") {
		t.Error(advice)
	}
}

func TestCertaintyGrowsWithWhatWasSeen(t *testing.T) {
	for times, want := range map[int]Certainty{0: Never, 1: Seldom, 3: Seldom, 4: Seen, 19: Seen, 20: Often, 400: Often} {
		if got := certaintyOf(times); got != want {
			t.Errorf("%d times: %s", times, got)
		}
	}
}
