package e2e

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// batchAfter returns all messages after a position, as one batch.
func batchAfter(t *testing.T, caddy *caddytest.Caddy, position string) (b batch, g caddytest.Answer) {
	t.Helper()
	g = caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Site+"/news?batch=true", "", "Prefer: wait=0", "Accept: application/json", "Last-Event-ID: "+position)
	if err := json.Unmarshal([]byte(g.Body), &b); err != nil {
		t.Fatalf("%v: %+v", err, g)
	}
	return b, g
}

func TestHookPublishWithoutHistoryReachesWaitingOnly(t *testing.T) {
	t.Parallel()
	caddy, _ := startNews(t, newsSite(""))
	before := caddy.PublishWith(t, "news", "before").Position
	target := "http://" + caddy.Site + "/news"
	s := caddytest.Listen(t, target)
	s.NextID(t, "")
	parked := caddytest.Get(t.Context(), target)
	caddy.AwaitWaiting(t, "news", 1)
	at := caddy.PublishWith(t, "news", "fleeting", "Parker-Expires: 0").Position
	if g := <-parked; g.Body != "fleeting" || g.Header.Get("Last-Event-ID") != at {
		t.Errorf("the parked poll was answered %+v", g)
	}
	hearsAt(t, s, "fleeting", at)
	if g := resumed(t, caddy, at); g.Header.Get("Parker-Recovered") != "" || g.Body != "[]" {
		t.Errorf("a client that heard the message was answered %+v", g)
	}
	if g := resumed(t, caddy, before); g.Header.Get("Parker-Recovered") != "false" || g.Body != "[]" {
		t.Errorf("a client that missed the message was answered %+v", g)
	}
}

func TestHookPublishSetsRetention(t *testing.T) {
	t.Parallel()
	pages := caddytest.NewPages(t)
	pages.Put("/news", emptyList)
	pages.Put("/other", emptyList)
	caddy := caddytest.Start(t, lostSite, pages.Address, "HISTORY=100 1s")
	before := caddy.PublishWith(t, "news", "before", "Parker-Expires: 3600").Position
	middle := caddy.PublishWith(t, "news", "long", "Parker-Expires: 3600").Position
	end := caddy.PublishWith(t, "news", "short", "Parker-Expires: 1").Position
	caddy.Publish(t, "news", "", "as configured")
	caddytest.Await(t, "the short ones are forgotten", func() bool {
		return resumed(t, caddy, middle).Header.Get("Parker-Recovered") == "false" &&
			resumed(t, caddy, end).Header.Get("Parker-Recovered") == "false"
	})
	if g := resumed(t, caddy, before); g.Header.Get("Parker-Recovered") != "false" {
		t.Errorf("a client with a gap was answered %+v", g)
	}
	last := caddy.PublishWith(t, "news", "kept", "Parker-Expires: 3600").Position
	again := caddy.PublishWith(t, "news", "kept too", "Parker-Expires: 99999999999").Position
	forgotten := caddy.PublishWith(t, "other", "short").Position
	caddytest.Await(t, "a second has passed", func() bool {
		return caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Site+"/other", "", "Prefer: wait=0", "Last-Event-ID: "+last).Header.Get("Parker-Recovered") == "false"
	})
	if g := resumed(t, caddy, last); g.Body != "kept too" || g.Header.Get("Last-Event-ID") != again {
		t.Errorf("the long-lived message: %+v, after %s", g, forgotten)
	}
}

func TestHookDeliversRepeatedIDOnce(t *testing.T) {
	t.Parallel()
	caddy, _ := startNews(t, newsSite(""))
	before := caddy.PublishWith(t, "news", "before").Position
	s := caddytest.Listen(t, "http://"+caddy.Site+"/news")
	s.NextID(t, "")
	first := caddy.PublishWith(t, "news", "one", "Parker-Id: 1")
	if first.Duplicate || first.Released != 1 {
		t.Errorf("the first publish returned %+v", first)
	}
	parked := caddytest.Get(t.Context(), "http://"+caddy.Site+"/news")
	caddy.AwaitWaiting(t, "news", 1)
	for _, body := range []string{"one", "another body", ""} {
		if again := caddy.PublishWith(t, "news", body, "Parker-Id: 1"); !again.Duplicate || again.Position != first.Position || again.Released != 0 {
			t.Errorf("the repeated publish returned %+v", again)
		}
	}
	if p := caddy.PublishWith(t, "other", "one", "Parker-Id: 1"); p.Duplicate {
		t.Errorf("the publish on another channel returned %+v", p)
	}
	second := caddy.PublishWith(t, "news", "two", "Parker-Id: 2")
	if g := <-parked; g.Body != "two" || second.Duplicate || second.Released != 2 {
		t.Errorf("with another ID: %+v: %+v", second, g)
	}
	if a, b := s.Next(t), s.Next(t); a.Data != "one" || b.Data != "two" {
		t.Errorf("the stream heard %+v and %+v", a, b)
	}
	if b, _ := batchAfter(t, caddy, before); len(b) != 2 || b[0].Data != "one" || b[1].Data != "two" {
		t.Errorf("the history has %+v", b)
	}
}

func TestAnswerReplayWakesWithoutMessageBody(t *testing.T) {
	t.Parallel()
	caddy, pages := startNews(t, newsSite("answer replay"))
	target := "http://" + caddy.Site + "/news"
	before := caddy.PublishWith(t, "news", "before").Position
	parked := caddytest.Get(t.Context(), target, "Last-Event-ID: "+before)
	s := caddytest.Listen(t, target)
	id := s.NextID(t, "")
	caddy.AwaitWaiting(t, "news", 1)
	caddy.Publish(t, "news", "", "not to be heard")
	s.NextID(t, id)
	caddy.AwaitWaiting(t, "news", 1)
	pages.Put("/news", caddytest.Page{Body: "news"})
	at := caddy.PublishWith(t, "news", "not to be heard either").Position
	expect(t, "news", "replay", parked)
	hearsAt(t, s, "news", at)
	pages.Put("/news", emptyList)
	if g := resumed(t, caddy, before); g.Body != "[]" || g.Release() != "none" || g.Header.Get("Parker-Recovered") != "" {
		t.Errorf("the resumed poll was answered %+v", g)
	}
	late := caddytest.Listen(t, target, "Last-Event-ID: "+before)
	if id := late.NextID(t, ""); id != at {
		t.Errorf("a resumed stream stands at %s, want %s", id, at)
	}
}
