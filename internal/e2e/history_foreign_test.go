package e2e

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// foreign are event IDs that do not come from parker: a backend numbers its own events,
// or the client used another stream before.
var foreign = []string{"41", "1-", `"nonsense"`, "a b"}

// askedWith are the ways in which a client sends such an ID.
var askedWith = map[string]func(id string) (query string, header []string){
	"in the field":            func(id string) (string, []string) { return "", []string{"Last-Event-ID: " + id} },
	"in the query":            func(id string) (string, []string) { return "?last_event_id=" + url.QueryEscape(id), nil },
	"in the polyfills' query": func(id string) (string, []string) { return "?lastEventId=" + url.QueryEscape(id), nil },
}

func TestHistoryPassesForeignEventIDsToBackend(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, newsSite(""))
	for name, with := range askedWith {
		t.Run(name, func(t *testing.T) {
			for _, id := range foreign {
				query, header := with(id)
				parked := caddytest.Get(t.Context(), "http://"+caddy.Site+"/news"+query, header...)
				ask := backend.Next(t)
				if told := ask.Request.Header.Get("Last-Event-Id") + ask.Request.URL.Query().Get("last_event_id") + ask.Request.URL.Query().Get("lastEventId"); told != id {
					t.Errorf("for %q the backend received %q", id, told)
				}
				ask.Answer(http.StatusOK, "[]")
				caddy.AwaitWaiting(t, "news", 1)
				caddy.Publish(t, "news", "", "")
				backend.Next(t).Answer(http.StatusOK, "news")
				if g := <-parked; g.Body != "news" || g.Release() != "replay" || g.Header["Last-Event-Id"] != nil || g.Header["Parker-Recovered"] != nil {
					t.Errorf("with %q, a poll was answered %+v", id, g)
				}

				go func() { backend.Next(t).Answer(http.StatusOK, "present") }()
				s := caddytest.Listen(t, "http://"+caddy.Site+"/news"+query, header...)
				if s.Header["Parker-Recovered"] != nil || s.Header["Last-Event-Id"] != nil {
					t.Errorf("with %q, a stream began with %v", id, s.Header)
				}
				hears(t, s, "present")
				caddy.Publish(t, "news", "", "message")
				hears(t, s, "message")
				s.Leave()
				awaitStreams(t, caddy, "news", 0)
			}
		})
	}
}

func TestHistoryReportsPositionOfAnotherEpochAsLost(t *testing.T) {
	t.Parallel()
	caddy, _ := startNews(t, newsSite(""))
	now := caddy.PublishWith(t, "news", "before").Position
	for name, with := range askedWith {
		query, header := with(caddytest.OtherEpoch(now))
		g := caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Site+"/news"+query, "", header...)
		if g.Body != "[]" || g.Release() != "none" || g.Header.Get("Last-Event-Id") != now || g.Header.Get("Parker-Recovered") != "false" {
			t.Errorf("%s: a poll was answered %+v", name, g)
		}
		s := caddytest.Listen(t, "http://"+caddy.Site+"/news"+query, header...)
		if e := s.Next(t); e.Type != "parker.reset" || e.ID != now {
			t.Errorf("%s: a stream heard %+v first", name, e)
		}
	}
}

func TestHistoryTakesPositionFromFirstPlaceFound(t *testing.T) {
	t.Parallel()
	caddy, _ := startNews(t, newsSite(""))
	before := caddy.PublishWith(t, "news", "before").Position
	first := caddy.PublishWith(t, "news", "first").Position
	second := caddy.PublishWith(t, "news", "second").Position
	caddy.Publish(t, "news", "", "third")
	for _, test := range []struct{ query, header, want string }{
		{"?lastEventId=" + before, "", "first"},
		{"?r=0.1&lastEventId=" + first, "", "second"},
		{"?lastEventId=" + before + "&last_event_id=" + first, "", "second"},
		{"?last_event_id=" + before + "&lastEventId=" + before, second, "third"},
		{"?last_event_id=41&lastEventId=" + first, "", "second"},
		{"?lastEventId=" + first, "41", "second"},
	} {
		url := "http://" + caddy.Site + "/news" + test.query
		expect(t, test.want, "history", caddytest.Get(t.Context(), url, "Last-Event-ID: "+test.header))
		hears(t, caddytest.Listen(t, url, "Last-Event-ID: "+test.header), test.want)
	}
}
