package e2e

import (
	"net/http"
	"slices"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// newsSite returns a site whose path is the channel, with the given options for parker.
func newsSite(options string) string {
	return `
http://{$SITE} {
	parker_notify
	parker {
		` + options + `
	}
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_publish
}
`
}

// listen opens a stream on /news whose backend has nothing new.
func listen(t *testing.T, caddy *caddytest.Caddy, backend *caddytest.Scripted, header ...string) (s *caddytest.Stream, id string) {
	t.Helper()
	opened := make(chan struct{})
	go func() {
		defer close(opened)
		backend.Next(t).Answer(http.StatusNoContent, "")
	}()
	s = caddytest.Listen(t, "http://"+caddy.Site+"/news", header...)
	<-opened
	return s, s.NextID(t, "")
}

func TestStreamResumesWithoutGapWhileBackendIsAway(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, newsSite(""), backend.Address)
	s, _ := listen(t, caddy, backend)
	caddy.Publish(t, "news", "", "")
	backend.Next(t).Answer(http.StatusServiceUnavailable, "")
	caddy.Publish(t, "news", "", "message")
	again := backend.Next(t)
	again.Answer(http.StatusServiceUnavailable, "")
	again = backend.Next(t) // by now the stream has sent the events that came in between
	s.Leave()
	<-again.Gone()
	heard, lastID, _ := s.All(t)

	opened := make(chan struct{})
	go func() {
		defer close(opened)
		backend.Next(t).Answer(http.StatusOK, "answer")
	}()
	s = caddytest.Listen(t, "http://"+caddy.Site+"/news", "Last-Event-ID: "+lastID)
	<-opened
	has := func(data string) bool {
		return slices.ContainsFunc(heard, func(e caddytest.Event) bool { return e.Data == data })
	}
	for !has("answer") || !has("message") {
		heard = append(heard, s.Next(t))
	}
}

func TestStreamIDsOnlyMoveForward(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, newsSite(""), backend.Address)
	s, id := listen(t, caddy, backend)
	caddy.Publish(t, "news", "", "")
	backend.Next(t).Answer(http.StatusServiceUnavailable, "")
	caddy.Publish(t, "news", "", "message")
	backend.Next(t).Answer(http.StatusServiceUnavailable, "")
	backend.Next(t).Answer(http.StatusOK, "answer")
	caddy.Publish(t, "news", "", "end")
	for {
		e := s.Next(t)
		if caddytest.Offset(t, e.ID) < caddytest.Offset(t, id) {
			t.Errorf("%+v comes after %s", e, id)
		}
		if id = e.ID; e.Data == "end" {
			return
		}
	}
}

func TestStreamResumesWithoutGapDuringCatchUp(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, newsSite(""), backend.Address)
	at := caddy.PublishWith(t, "news", "before").Position
	opened := make(chan struct{})
	go func() {
		defer close(opened)
		ask := backend.Next(t)
		caddy.Publish(t, "news", "", "")
		caddy.Publish(t, "news", "", "message")
		ask.Answer(http.StatusNoContent, "")
	}()
	s := caddytest.Listen(t, "http://"+caddy.Site+"/news", "Last-Event-ID: "+at)
	<-opened
	backend.Next(t).Answer(http.StatusServiceUnavailable, "")
	again := backend.Next(t)
	s.Leave()
	<-again.Gone()
	heard, lastID, _ := s.All(t)
	if lastID == "" {
		lastID = at
	}
	go func() { backend.Next(t).Answer(http.StatusOK, "answer") }()
	s = caddytest.Listen(t, "http://"+caddy.Site+"/news", "Last-Event-ID: "+lastID)
	awaitStreams(t, caddy, "news", 1)
	caddy.AwaitInside(t, waiting, 1) // the stream has sent everything that it could
	caddy.Stop(t)
	rest, _, _ := s.All(t)
	for _, data := range []string{"answer", "message"} {
		if !slices.ContainsFunc(append(heard, rest...), func(e caddytest.Event) bool { return e.Data == data }) {
			t.Errorf("the client has not heard the %s: %+v and, after %s, %+v", data, heard, lastID, rest)
		}
	}
}
