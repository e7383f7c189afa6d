package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// resumed polls from a position without waiting.
func resumed(t *testing.T, caddy *caddytest.Caddy, position string, header ...string) caddytest.Answer {
	t.Helper()
	return caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Site+"/news", "", append(header, "Prefer: wait=0", "Last-Event-ID: "+position)...)
}

// batch is the list of missed messages that a client gets in one answer.
type batch []struct{ ID, Event, Data string }

func TestHistoryGivesOneMessagePerAnswerOldestFirst(t *testing.T) {
	t.Parallel()
	caddy, pages := startNews(t, newsSite(""))
	at := caddy.PublishWith(t, "news", "before").Position
	published := []struct{ body, contentType string }{
		{"plain", "text/plain; charset=utf-8"},
		{`{"n": 2}`, "application/json"},
		{"<p>three</p>", "text/html"},
		{"line\r\n", "text/plain;charset=ISO-8859-1"},
	}
	var positions []string
	for i, p := range published {
		header := []string{}
		if i > 1 {
			header = append(header, "Content-Type: "+p.contentType)
		}
		caddy.PublishWith(t, "other", "of no interest")
		positions = append(positions, caddy.PublishWith(t, "news", p.body, header...).Position)
		caddy.Publish(t, "news", "", "")
	}
	for form, ask := range map[string]func(position string) caddytest.Answer{
		"header": func(position string) caddytest.Answer {
			return caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Site+"/news", "", "Last-Event-ID: "+position)
		},
		"query": func(position string) caddytest.Answer {
			return caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Site+"/news?x=1&last_event_id="+url.QueryEscape(position), "")
		},
	} {
		at := at
		for i, p := range published {
			asks := pages.Asks("/news")
			g := ask(at)
			if g.Status != http.StatusOK || g.Body != p.body || g.Header.Get("Content-Type") != p.contentType || g.Release() != "history" ||
				g.Header.Get("Last-Event-ID") != positions[i] || g.Header.Get("Cache-Control") != "no-store" ||
				g.Header.Get("X-Content-Type-Options") != "nosniff" || g.Header.Get("Parker-Recovered") != "" {
				t.Errorf("by %s after %s: got %+v, want %+v at %s", form, at, g, p, positions[i])
			}
			if pages.Asks("/news") != asks+1 {
				t.Errorf("by %s after %s the backend was not asked first", form, at)
			}
			at = positions[i]
		}
		if g := resumed(t, caddy, at); g.Body != "[]" || g.Release() != "none" || g.Header.Get("Parker-Recovered") != "" {
			t.Errorf("with nothing missed, the poll was answered %+v", g)
		}
	}
}

func TestHistoryParksUpToDateClientUntilNextMessage(t *testing.T) {
	t.Parallel()
	caddy, _ := startNews(t, newsSite(""))
	at := caddy.PublishWith(t, "news", "before").Position
	for i := range 3 {
		parked := caddytest.Get(t.Context(), "http://"+caddy.Site+"/news", "Last-Event-ID: "+at)
		caddy.AwaitWaiting(t, "news", 1)
		text := fmt.Sprint("message ", i)
		at = caddy.PublishWith(t, "news", text).Position
		if g := <-parked; g.Body != text || g.Header.Get("Last-Event-ID") != at || g.Release() != "message" {
			t.Errorf("a poll parked with a position was answered %+v", g)
		}
	}
}

func TestPollWithoutPositionHearsOnlyNewEvents(t *testing.T) {
	t.Parallel()
	caddy, _ := startNews(t, newsSite(""))
	caddy.Publish(t, "news", "", "before")
	g := caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Site+"/news", "", "Prefer: wait=0")
	if g.Body != "[]" || g.Release() != "none" {
		t.Errorf("a poll without a position was answered %+v", g)
	}
	parked := caddytest.Get(t.Context(), "http://"+caddy.Site+"/news")
	caddy.AwaitWaiting(t, "news", 1)
	caddy.Publish(t, "news", "", "after")
	expect(t, "after", "", parked)
}

func TestHistoryBatchHoldsAllMissedMessages(t *testing.T) {
	t.Parallel()
	caddy, _ := startNews(t, newsSite(""))
	at := caddy.PublishWith(t, "news", "before").Position
	want := batch{}
	publish := func(body, event string, header ...string) {
		id := caddy.PublishWith(t, "news", body, header...).Position
		want = append(want, struct{ ID, Event, Data string }{id, event, body})
	}
	publish("text", "message")
	publish(`{"n": 2}`, "message")
	publish("a\r\nb\rc\n\x00\"\\\u2028", "chat", "Parker-Event: chat")
	caddy.Publish(t, "news", "", "")
	publish("[]", "grüße", "Parker-Event: grüße", "Content-Type: application/json")
	target := "http://" + caddy.Site + "/news?batch=true&last_event_id="
	g := caddytest.Do(t.Context(), http.MethodGet, target+at, "", "Accept: application/json")
	var got batch
	if err := json.Unmarshal([]byte(g.Body), &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v: got %q, want %q", err, got, want)
	}
	last := want[len(want)-1].ID
	if g.Header.Get("Content-Type") != "application/json" || g.Header.Get("Last-Event-ID") != last || g.Release() != "history" {
		t.Errorf("a batch came with %v", g.Header)
	}
	expect(t, "text", "", caddytest.Get(t.Context(), target+at, "Accept: text/html, */*"))
	parked := caddytest.Get(t.Context(), target+last, "Accept: application/json")
	caddy.AwaitWaiting(t, "news", 1)
	want = nil
	publish("one more", "message")
	if err := json.Unmarshal([]byte((<-parked).Body), &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v: a parked client got %q, want %q", err, got, want)
	}
}

func TestHistoryOrdersEventsOfSeveralChannels(t *testing.T) {
	t.Parallel()
	caddy, _ := startNews(t, withHook(`
	parker one two {http.request.uri.query.more}
	reverse_proxy {$BACKEND}
`))
	at := caddy.PublishWith(t, "one", "before").Position
	var want []string
	for i, channel := range []string{"two", "one", "four", "three", "one", "two", "four", "three"} {
		text := fmt.Sprint(i, channel)
		caddy.Publish(t, channel, "", text)
		if channel != "four" {
			want = append(want, text)
		}
	}
	stream := caddytest.Listen(t, "http://"+caddy.Site+"/news?more=three", "Last-Event-ID: "+at)
	for _, text := range want {
		g := caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Site+"/news?more=three", "", "Last-Event-ID: "+at)
		if g.Body != text {
			t.Errorf("after %s: got %+v, want %s", at, g, text)
		}
		at = g.Header.Get("Last-Event-ID")
		hearsAt(t, stream, text, at)
	}
}

func TestBackendNewsComesBeforeHistory(t *testing.T) {
	t.Parallel()
	caddy, pages := startNews(t, newsSite(""))
	at := caddy.PublishWith(t, "news", "before").Position
	caddy.Publish(t, "news", "", "missed")
	pages.Put("/news", caddytest.Page{Body: "news"})
	if g := resumed(t, caddy, at); g.Body != "news" || g.Release() != "none" || g.Header.Get("Last-Event-ID") != "" || g.Header.Get("Parker-Recovered") != "" {
		t.Errorf("with news, the poll was answered %+v", g)
	}
	pages.Put("/news", emptyList)
	if g := resumed(t, caddy, at); g.Body != "missed" || g.Release() != "history" {
		t.Errorf("with nothing new, the poll was answered %+v", g)
	}
}
