package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// heldRoute also holds POST requests below a path.
const heldRoute = `
	parker /held/* {
		methods GET POST
	}
	parker *
	reverse_proxy {$BACKEND}
`

func TestParkerForgetsDisconnectedPollsAndStreams(t *testing.T) {
	t.Parallel()
	s, caddy := setStage(t, heldRoute)
	for _, protocol := range caddytest.Protocols {
		t.Run(string(protocol), func(t *testing.T) {
			s.client = caddy.Client(t, protocol)
			s.expectDisconnectsNoticed(t)
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				s.disconnectPolls(t, method)
			}
		})
	}
}

// expectDisconnectsNoticed disconnects the client from each kind of answer in progress.
func (s stage) expectDisconnectsNoticed(t *testing.T) {
	t.Helper()
	for _, k := range kinds {
		p := s.begin(t, k, "identity").opened(t)
		p.say(t, "first")
		p.awaitText(t, "first")
		p.leave()
		if p.ask == nil {
			awaitStreams(t, s.caddy, p.channel, 0)
		} else {
			awaitCancelled(t, p.ask, p.String())
		}
	}
}

// disconnectPolls disconnects the client from a parked poll, and from one for which the
// backend is being asked.
func (s stage) disconnectPolls(t *testing.T, method string) {
	t.Helper()
	channel := fmt.Sprintf("held/%s/%s", slug(string(s.client.Protocol)), method)
	for _, parked := range []bool{true, false} {
		ctx, leave := context.WithCancel(t.Context())
		answered := make(chan caddytest.Answer, 1)
		go func() { answered <- s.client.Do(ctx, method, "/"+channel, strings.Repeat("x", 100)) }()
		ask := s.backend.Next(t)
		if parked {
			ask.Answer(http.StatusOK, "[]")
			s.caddy.AwaitWaiting(t, channel, 1)
		}
		leave()
		<-answered
		if parked {
			s.caddy.AwaitWaiting(t, channel, 0)
		} else {
			awaitCancelled(t, ask, method+" by "+string(s.client.Protocol))
		}
	}
}

// awaitCancelled returns when the request of the backend has been cancelled.
func awaitCancelled(t *testing.T, ask *caddytest.Ask, what string) {
	t.Helper()
	select {
	case <-ask.Gone():
	case <-time.After(caddytest.Patience):
		t.Errorf("the backend is still working for %s", what)
	}
	ask.End()
}

func TestHTTP2CarriesFiftyStreamsAndFiftyPolls(t *testing.T) {
	t.Parallel()
	pages := caddytest.NewPages(t)
	pages.Put("/feed", emptyList)
	caddy := caddytest.StartSecure(t, fmt.Sprintf(passagesSite, "", bareRoute), pages.Address)
	client := caddy.Client(t, caddytest.HTTP2)
	client.Do(t.Context(), http.MethodGet, "/feed", "", "Prefer: wait=0") // opens the connection
	const n = 50
	var streams []*caddytest.Stream
	var polls []<-chan caddytest.Answer
	for range n {
		streams = append(streams, caddytest.ListenWith(t, client.Transport, client.URL+"/feed"))
		polls = append(polls, client.Get(t.Context(), "/feed"))
	}
	awaitStreams(t, caddy.Caddy, "feed", n)
	caddy.AwaitWaiting(t, "feed", n)
	caddy.Publish(t, "feed", "", "message")
	for _, s := range streams {
		hears(t, s, "message")
	}
	expect(t, "message", "", polls...)
	if n := client.Connections(); n != 1 {
		t.Errorf("the client used %d connections", n)
	}
}
