package e2e

import (
	"net/http"
	"slices"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestStreamResumesWithoutGapWhileBackendIsAway(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, newsSite(""))
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
	hearsAll(t, s, heard, "answer", "message")
}

// hearsAll returns when the client has heard all the data, in any order.
func hearsAll(t *testing.T, s *caddytest.Stream, heard []caddytest.Event, data ...string) {
	t.Helper()
	for _, want := range data {
		for !slices.ContainsFunc(heard, func(e caddytest.Event) bool { return e.Data == want }) {
			heard = append(heard, s.Next(t))
		}
	}
}

func TestStreamIDsOnlyMoveForward(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, newsSite(""))
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
	caddy, backend := startScripted(t, newsSite(""))
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
	hearsAll(t, s, heard, "answer", "message")
}
