package e2e

import (
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestShareGivesFailureWholeToAll(t *testing.T) {
	t.Parallel()
	var asks atomic.Int32
	asked, proceed := make(chan struct{}, 10), make(chan struct{})
	address := caddytest.Serve(t, func(http.ResponseWriter, *http.Request) {
		asks.Add(1)
		asked <- struct{}{}
		<-proceed
		panic(http.ErrAbortHandler)
	})
	caddy := caddytest.Start(t, `
http://{$SITE} {
	parker
	route {
		header X-Inside yes
		reverse_proxy {$BACKEND}
	}
	handle_errors {
		respond "{err.status_code} for {uri}"
	}
}
`, address)
	first := caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed")
	<-asked
	second := caddytest.Get(t.Context(), "http://"+caddy.Site+"/feed")
	awaitJoined(t, caddy, 1)
	close(proceed)
	for _, answered := range []<-chan caddytest.Answer{first, second} {
		given := <-answered
		if given.Status != http.StatusBadGateway || given.Body != "502 for /feed" || given.Header.Get("X-Inside") != "yes" || given.Release() != "none" {
			t.Errorf("a poll was answered %+v", given)
		}
	}
	if n := asks.Load(); n != 1 {
		t.Errorf("the backend was asked %d times", n)
	}
}
