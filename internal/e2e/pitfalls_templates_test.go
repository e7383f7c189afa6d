package e2e

import (
	"net/http"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// templated is text that is executed if it comes from the backend.
const templated = `{{env "PATH"}} {{placeholder "http.request.uri"}}`

// executingRoutes have handlers that execute or replace answers, inside parker, where
// Caddy puts them, and outside.
var executingRoutes = map[string]string{
	"inside": `
	parker
	templates
	intercept {
		@ok status 200
		handle_response @ok {
			respond intercepted
		}
	}
	reverse_proxy {$BACKEND}
`,
	"outside": `
	route {
		intercept {
			@ok status 200
			handle_response @ok {
				respond intercepted
			}
		}
		templates
		parker
		reverse_proxy {$BACKEND}
	}
`,
}

func TestTemplatesNeverExecuteOrDelayMessage(t *testing.T) {
	t.Parallel()
	s, caddy := setStage(t, executingRoutes["inside"])
	for _, protocol := range caddytest.Protocols {
		s.client = caddy.Client(t, protocol)
		for _, mediaType := range []string{"text/plain", "text/html; charset=utf-8", "text/markdown"} {
			answered := s.client.Get(t.Context(), "/poll")
			s.backend.Next(t).Answer(http.StatusNoContent, "")
			s.caddy.AwaitWaiting(t, "poll", 1)
			s.caddy.Publish(t, "poll", mediaType, templated)
			if g := <-answered; g.Err != nil || g.Status != http.StatusOK || g.Body != templated || g.Header.Get("Content-Type") != mediaType {
				t.Errorf("by %s, after a message of %s, the poll was answered %+v", protocol, mediaType, g)
			}
		}
		p := s.begin(t, kinds[0], "identity").opened(t)
		p.say(t, templated)
		p.awaitText(t, templated)
		s.caddy.Publish(t, p.channel, "", "")
		s.backend.Next(t).Answer(http.StatusAccepted, "{{add 1 2}}", "Content-Type: text/html")
		p.awaitText(t, "3")
	}
}

func TestTemplatesStillExecuteBackendsAnswer(t *testing.T) {
	t.Parallel()
	for where, route := range executingRoutes {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			s, _ := setStage(t, route)
			answered := s.client.Get(t.Context(), "/poll")
			s.backend.Next(t).Answer(http.StatusNoContent, "")
			s.caddy.AwaitWaiting(t, "poll", 1)
			s.caddy.Publish(t, "poll", "", "")
			s.backend.Next(t).Answer(http.StatusAccepted, `{{add 1 2}}`, "Content-Type: text/html")
			if g := <-answered; g.Err != nil || g.Status != http.StatusAccepted || g.Body != "3" {
				t.Errorf("the poll was answered %+v", g)
			}
		})
	}
}

func TestTemplatesDelayNoOtherAnswer(t *testing.T) {
	t.Parallel()
	s, _ := setStage(t, `
	route {
		intercept {
			@failed status 5xx
			handle_response @failed {
				respond intercepted
			}
		}
		templates
		parker
		reverse_proxy {$BACKEND}
	}
`)
	s.expectArrivalAtOnce(t)
}
