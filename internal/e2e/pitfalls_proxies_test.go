package e2e

import (
	"context"
	"net/http"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestProxyFlushIntervalDelaysNothing(t *testing.T) {
	t.Parallel()
	for name, interval := range map[string]string{"unset": "", "at once": "flush_interval -1", "long": "flush_interval 1h"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := setStage(t, "parker\nreverse_proxy {$BACKEND} {\n"+interval+"\n}")
			s.expectArrivalAtOnce(t)
		})
	}
}

func TestProxyBuffersDelayNeitherPollsNorStreams(t *testing.T) {
	t.Parallel()
	s, _ := setStage(t, `
	parker
	reverse_proxy {$BACKEND} {
		response_buffers 1MiB
	}
`)
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
	for _, channel := range []string{"message", "replay"} {
		answered := s.client.Get(t.Context(), "/"+channel)
		s.backend.Next(t).Answer(http.StatusOK, "[]")
		s.caddy.AwaitWaiting(t, channel, 1)
		if channel == "message" {
			s.caddy.Publish(t, channel, "", "[1]")
		} else {
			s.caddy.Publish(t, channel, "", "")
			s.backend.Next(t).Answer(http.StatusOK, "[1]", "Content-Type: application/json")
		}
		if g := <-answered; g.Err != nil || g.Status != http.StatusOK || g.Body != "[1]" || g.Release() != channel {
			t.Errorf("after a publish the poll was answered %+v", g)
		}
	}
}

func TestProxyInFrontDelaysNothing(t *testing.T) {
	t.Parallel()
	s, _ := setStage(t, bareRoute)
	s.client = caddytest.StartNginx(t, s.caddy.Site)
	s.expectPollReleasedAtOnce(t)
	s.expectArrivalAtOnce(t)
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

func TestProxyHeaderChangesApplyOncePerAsk(t *testing.T) {
	t.Parallel()
	s, _ := setStage(t, `
	parker {
		look_again off
	}
	route {
		request_header +X-Route added
		reverse_proxy {$BACKEND} {
			header_up +X-Up added
			header_up Host legacy.test
			header_up Cookie (.+) "$1; up=1"
			header_up -Accept-Encoding
			header_down +X-Down added
		}
	}
`)
	answered := s.client.Get(t.Context(), "/poll", "X-Up: client", "Cookie: session=1", "Accept-Encoding: identity")
	for range 3 {
		ask := s.backend.Next(t)
		if h := ask.Request.Header; ask.Request.Host != "legacy.test" || len(h["X-Up"]) != 2 || len(h["X-Route"]) != 1 || h.Get("Cookie") != "session=1; up=1" ||
			len(h["X-Forwarded-For"]) != 1 || len(h["Via"]) != 1 || h.Get("Accept-Encoding") == "identity" {
			t.Errorf("%s was asked with %v", ask.Request.Host, h)
		}
		ask.Answer(http.StatusOK, "[]", "X-Down: backend")
		s.caddy.AwaitWaiting(t, "poll", 1)
		s.caddy.Publish(t, "poll", "", "")
	}
	s.backend.Next(t).Answer(http.StatusOK, "[1]", "X-Down: backend")
	if g := <-answered; g.Body != "[1]" || len(g.Header["X-Down"]) != 2 || len(g.Header["Via"]) != 1 {
		t.Errorf("the poll was answered %+v", g)
	}
}
