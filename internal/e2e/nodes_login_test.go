package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// severalSiteWith returns severalSite with a broker option and the server's address.
func severalSiteWith(option, address string) string {
	return fmt.Sprintf(severalSite, fmt.Sprintf(option, address))
}

// guarded starts a server that accepts two passwords, and returns the broker option
// with a placeholder for the password.
var guarded = map[string]func(t *testing.T) (option, address string){
	"redis": func(t *testing.T) (string, string) {
		redis := caddytest.StartRedis(t)
		redis.Do(t, "ACL", "SETUSER", "node", "on", ">open-sesame", ">another-secret", "~*", "&*", "+@all")
		redis.Do(t, "ACL", "SETUSER", "default", "off")
		return "redis {\n url redis://%s\n username node\n password {env.PASSWORD}\n}", redis.Address()
	},
	"nats": func(t *testing.T) (string, string) {
		s := caddytest.StartNATS(t, func(o *server.Options) {
			o.Users = []*server.User{{Username: "node", Password: "open-sesame"}, {Username: "node2", Password: "another-secret"}}
		})
		return "nats {\n url nats://%s\n user {env.USERNAME} {env.PASSWORD}\n}", s.Address()
	},
}

func TestBrokerWrongPasswordIsLoggedAndPollsStillWork(t *testing.T) {
	t.Parallel()
	for name, server := range guarded {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			option, address := server(t)
			legacy := caddytest.NewLegacy(t)
			caddy := caddytest.Start(t, severalSiteWith(option, address), legacy.Address, "USERNAME=node", "PASSWORD=guessed-secret")
			parked := caddytest.Get(t.Context(), "http://"+caddy.Site+"/rows?since=0")
			caddy.AwaitWaiting(t, "rows", 1)
			caddytest.Do(t.Context(), http.MethodPost, "http://"+caddy.Site+"/rows", "row")
			if answer := <-parked; answer.Body != `["row"]` {
				t.Errorf("a poll was answered %+v", answer)
			}
			publishAway(t, caddy, "messages", "away")
			caddytest.Await(t, "the log says why", func() bool {
				log := strings.ToLower(caddy.Stderr.String())
				return strings.Contains(log, "wrongpass") || strings.Contains(log, "authorization violation")
			})
			right := strings.NewReplacer("{env.USERNAME}", "node", "{env.PASSWORD}", "open-sesame").Replace(option)
			caddy.MustLoad(t, severalSiteWith(right, address))
			awaitReachable(t, caddy, true)
			caddy.Publish(t, "messages", "text/plain", "reached")
			if log := caddy.Stderr.String(); strings.Contains(log, "guessed-secret") || strings.Contains(log, "open-sesame") {
				t.Errorf("the log contains a secret:\n%s", log)
			}
		})
	}
}

func TestReloadOfBrokerSettingsKeepsPositionsAndPolls(t *testing.T) {
	t.Parallel()
	for name, server := range guarded {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			option, address := server(t)
			with := func(user, password, more string) string {
				text := strings.NewReplacer("{env.USERNAME}", user, "username node", "username node", "{env.PASSWORD}", password).Replace(option)
				return strings.Replace(severalSiteWith(text, address), "parker {\n", "parker {\n"+more+"\n", 1)
			}
			caddy := caddytest.Start(t, with("node", "open-sesame", ""), caddytest.NewLegacy(t).Address)
			start := caddy.PublishWith(t, "messages", "before").Position
			caddy.Publish(t, "messages", "text/plain", "missed")
			stream := caddytest.Listen(t, "http://"+caddy.Site+"/messages")
			awaitStreams(t, caddy, "messages", 1)
			for i, configuration := range []string{
				with("node", "open-sesame", "history 50 5m\nmax_parked 100\nmax_message 2MB"),
				with("node2", "another-secret", "history 60 5m"),
				strings.Replace(with("node2", "another-secret", ""), "{\n url", "{\n history 5000 2h\n url", 1),
			} {
				if name == "redis" {
					configuration = strings.ReplaceAll(configuration, "node2", "node")
				}
				told := caddytest.Get(t.Context(), "http://"+caddy.Site+"/messages", "Last-Event-ID: "+caddy.PublishWith(t, "other", "x").Position)
				caddy.AwaitWaiting(t, "messages", 1)
				caddy.MustLoad(t, configuration)
				awaitReachable(t, caddy, true)
				text := fmt.Sprint("after reload ", i)
				caddy.Publish(t, "messages", "text/plain", text)
				if answer := <-told; answer.Body != text || answer.Header.Get("Parker-Recovered") != "" {
					t.Errorf("reload %d: the poll parked before was answered %+v", i, answer)
				}
				expectData(t, "a stream of before", stream, text)
				if answer := resumedAt(t, caddy, start); answer.Body != "missed" || answer.Header.Get("Parker-Recovered") != "" {
					t.Errorf("reload %d: the client that was away was answered %+v", i, answer)
				}
			}
			if log := caddy.Stderr.String(); strings.Contains(log, "open-sesame") || strings.Contains(log, "another-secret") {
				t.Errorf("the log contains a secret:\n%s", log)
			}
		})
	}
}
