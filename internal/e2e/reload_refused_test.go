package e2e

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestReloadRefusedChangesNothing(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	good := configuration("", "parker /messages", backend.Address)
	caddy := caddytest.Start(t, good, "")
	url := "http://" + caddy.Site + "/messages"
	first := caddy.PublishWith(t, "messages", "before all").Position
	for i := range 5 {
		caddy.Publish(t, "messages", "", fmt.Sprint("message ", i))
	}
	go func() { (<-backend.Asks()).Answer(204, "") }()
	stream := caddytest.Listen(t, url)
	poll := caddytest.Get(t.Context(), url)
	backend.Next(t).Answer(204, "")
	caddy.AwaitWaiting(t, "messages", 1)

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	limits := "parker {\n history 1 1s 1KB\n max_parked 1\n max_message 1B\n max_channels_per_client 1\n}\n"
	other := configuration(limits, "parker /other", "127.0.0.1:1")
	for name, bad := range map[string]string{
		"an invalid Caddyfile": other + "http://{$HOOK} {\n nonsense\n}\n",
		"no parker option":     strings.Replace(other, "max_parked 1", "max_parked none", 1),
		"no such broker":       strings.Replace(other, "max_parked 1", "broker none", 1),
		"a missing file":       other + "https://a.example:{$HTTP_PORT} {\n tls /no/cert /no/key\n}\n",
		"no token":             strings.Replace(other, "parker_publish", "parker_publish {\n token {env.NOT_SET}\n}", 1),
		"an address in use":    other + "http://" + taken.Addr().String() + " {\n respond hello\n}\n",
	} {
		for range 20 { // Caddy starts apps in no fixed order
			if err := caddy.Load(t, bad); err == nil {
				t.Fatalf("%s: the configuration was accepted", name)
			}
		}
		caddy.AwaitWaiting(t, "messages", 1)
		awaitStreams(t, caddy, "messages", 1)
	}

	// The previous limits still apply: two more polls fit, and the history is complete.
	more := make([]<-chan caddytest.Answer, 2)
	for i := range more {
		more[i] = caddytest.Get(t.Context(), url+"?more="+fmt.Sprint(i))
		backend.Next(t).Answer(204, "")
	}
	caddy.AwaitWaiting(t, "messages", 3)
	resumed := caddytest.Get(t.Context(), url+"?batch=true", "Accept: application/json", "Last-Event-ID: "+first)
	backend.Next(t).Answer(204, "")
	if g := <-resumed; strings.Count(g.Body, `"message `) != 5 || g.Header.Get("Parker-Recovered") != "" {
		t.Errorf("of five messages, the batch has %s with %v", g.Body, g.Header)
	}
	if p := caddy.PublishWith(t, "messages", "news for all"); p.Released != 4 {
		t.Errorf("released %d", p.Released)
	}
	expect(t, "news for all", "", append(more, poll)...)
	hears(t, stream, "news for all")
	backend.Unasked(t)
}
