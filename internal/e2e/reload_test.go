package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestReloadReplaysParkedPollThroughNewRoute(t *testing.T) {
	t.Parallel()
	old, young := caddytest.NewScripted(t), caddytest.NewScripted(t)
	caddy := caddytest.Start(t, configuration("", "header X-Generation old\nparker /messages", old.Address), "")
	poll := caddytest.Get(t.Context(), "http://"+caddy.Site+"/messages?since=7", "Cookie: session=1")
	old.Next(t).Answer(204, "", "Set-Cookie: held=yes")
	caddy.AwaitWaiting(t, "messages", 1)

	caddy.Reload(t, configuration("", "header X-Generation new\nrequest_header X-New yes\nrewrite /messages /rewritten?{query}\nlog {\n output stderr\n}\nparker messages {\n timeout 40s\n}", young.Address))
	caddy.AwaitWaiting(t, "messages", 1)
	caddy.Publish(t, "messages", "", "")
	ask := young.Next(t)
	if r := ask.Request; r.RequestURI != "/rewritten?since=7" || r.Header.Get("X-New") != "yes" || r.Header.Get("Cookie") != "session=1; held=yes" {
		t.Errorf("the new backend was asked %s with %v", r.RequestURI, r.Header)
	}
	ask.Answer(204, "") // the poll is parked again, in the new configuration
	caddy.AwaitWaiting(t, "messages", 1)
	caddy.Publish(t, "messages", "", "")
	young.Next(t).Answer(200, "news")
	g := <-poll
	if g.Status != 200 || g.Body != "news" || g.Release() != "replay" || g.Header.Get("Set-Cookie") != "held=yes" {
		t.Errorf("the poll was answered %+v", g)
	}
	if generation := g.Header.Values("X-Generation"); fmt.Sprint(generation) != "[new]" {
		t.Errorf("X-Generation is %v", generation)
	}
	old.Unasked(t)
	caddytest.Await(t, "the new configuration logs the request, once", func() bool {
		return strings.Count(caddy.Stderr.String(), `"uri":"/messages?since=7"`) == 1
	})
	caddy.AwaitWaiting(t, "messages", 0)
}

func TestReloadMovesStreamToNewConfiguration(t *testing.T) {
	t.Parallel()
	old, young := caddytest.NewScripted(t), caddytest.NewScripted(t)
	caddy := caddytest.Start(t, configuration("", "parker /messages", old.Address), "")
	go func() { (<-old.Asks()).Answer(200, "first") }()
	s := caddytest.Listen(t, "http://"+caddy.Site+"/messages")
	hears(t, s, "first")
	for generation := range 3 {
		caddy.Reload(t, configuration("", fmt.Sprintf("parker /messages {\n timeout %ds\n}", 30+generation), young.Address))
		caddy.Publish(t, "messages", "", "")
		data := fmt.Sprint("of the new backend ", generation)
		young.Next(t).Answer(200, data)
		hears(t, s, data)
		caddy.Publish(t, "messages", "", "a message")
		hears(t, s, "a message")
	}
	awaitStreams(t, caddy, "messages", 1)
	old.Unasked(t)
	// The new configuration decides who may listen.
	caddy.Reload(t, configuration("", "respond 403", young.Address))
	caddy.Publish(t, "messages", "", "a secret")
	ends(t, s, `{"status":403}`)
}
