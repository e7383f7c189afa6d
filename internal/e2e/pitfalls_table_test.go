package e2e

import (
	"context"
	"net/http"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// delaying are routes whose handlers hold answers back, or execute or replace them.
var delaying = map[string]string{
	"a flush interval": "parker\nreverse_proxy {$BACKEND} {\nflush_interval 1h\n}",
	"encode inside":    "parker\nencode gzip zstd {\nminimum_length 1\n}\nreverse_proxy {$BACKEND}",
	"encode outside":   "route {\nencode gzip zstd {\nminimum_length 1\n}\nparker\nreverse_proxy {$BACKEND}\n}",
	"templates outside": `route {
		intercept {
			@failed status 5xx
			handle_response @failed {
				respond intercepted
			}
		}
		templates
		parker
		reverse_proxy {$BACKEND}
	}`,
}

func TestAnswersArriveAtOnceThroughAnyRoute(t *testing.T) {
	t.Parallel()
	for name, route := range delaying {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := setStage(t, route)
			s.expectArrivalAtOnce(t, "gzip")
		})
	}
}

func TestProxyBuffersDelayNeitherPollsNorStreams(t *testing.T) {
	t.Parallel()
	s, _ := setStage(t, "parker\nreverse_proxy {$BACKEND} {\nresponse_buffers 1MiB\n}")
	s.expectPollReleasedAtOnce(t)
	p := s.begin(t, kinds[0], "identity").opened(t)
	p.say(t, "first")
	p.awaitText(t, "first")
	s.caddy.Publish(t, p.channel, "", "")
	s.backend.Next(t).Answer(http.StatusOK, "replayed")
	p.awaitText(t, "replayed")
}

// expectPollReleasedAtOnce parks polls and releases one by a message and one by a replay.
func (s stage) expectPollReleasedAtOnce(t *testing.T) {
	t.Helper()
	for channel, message := range map[string]string{"message": "[1]", "replay": ""} {
		answered := s.client.Get(t.Context(), "/"+channel)
		s.backend.Next(t).Answer(http.StatusOK, "[]")
		s.caddy.AwaitWaiting(t, channel, 1)
		s.caddy.Publish(t, channel, "", message)
		if message == "" {
			s.backend.Next(t).Answer(http.StatusOK, "[1]", "Content-Type: application/json")
		}
		expect(t, "[1]", channel, answered)
	}
}

func TestProxyInFrontDelaysNothing(t *testing.T) {
	t.Parallel()
	s, _ := setStage(t, bareRoute)
	s.client = caddytest.StartNginx(t, s.caddy.Site)
	s.expectPollReleasedAtOnce(t)
	s.expectArrivalAtOnce(t, "identity")
}

func TestProxyInFrontPassesOnDisconnects(t *testing.T) {
	t.Parallel()
	s, _ := setStage(t, bareRoute)
	s.client = caddytest.StartNginx(t, s.caddy.Site)
	ctx, leave := context.WithCancel(t.Context())
	answered := s.client.Get(ctx, "/poll")
	s.backend.Next(t).Answer(http.StatusOK, "[]")
	s.caddy.AwaitWaiting(t, "poll", 1)
	leave()
	<-answered
	s.caddy.AwaitWaiting(t, "poll", 0)
	s.expectDisconnectsNoticed(t)
}
