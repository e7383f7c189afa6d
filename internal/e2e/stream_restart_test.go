package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// restartFailures are the ways in which a backend fails an ask while it restarts.
var restartFailures = map[string]func(ask *caddytest.Ask){
	"502":                      func(ask *caddytest.Ask) { ask.Answer(502, "away", "Content-Type: text/html") },
	"503":                      func(ask *caddytest.Ask) { ask.Answer(503, "away", "Retry-After: 7") },
	"504":                      func(ask *caddytest.Ask) { ask.Answer(504, "") },
	"it closes the connection": func(ask *caddytest.Ask) { ask.Break() },
	"it breaks off": func(ask *caddytest.Ask) {
		ask.Begin(200, "Content-Length: 100")
		ask.Write("[")
		ask.Break()
	},
}

// openDuringRestart opens a stream at a backend that fails the first two asks. It returns the
// third ask.
func openDuringRestart(t *testing.T, caddy *caddytest.Caddy, backend *caddytest.Scripted, restartFailures func(*caddytest.Ask), meanwhile func(), header ...string) (*caddytest.Stream, *caddytest.Ask) {
	t.Helper()
	asked := make(chan *caddytest.Ask, 1)
	go func() {
		restartFailures(<-backend.Asks())
		second := <-backend.Asks()
		meanwhile()
		restartFailures(second)
		asked <- <-backend.Asks()
	}()
	s := caddytest.Listen(t, "http://"+caddy.Site+"/news", header...)
	if s.Status != http.StatusOK || s.Header["Last-Event-Id"] != nil || s.Header["Parker-Recovered"] != nil || s.Header["Retry-After"] != nil || s.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("the stream began with %d %v", s.Status, s.Header)
	}
	select {
	case ask := <-asked:
		return s, ask
	case <-time.After(caddytest.Patience):
		t.Fatal("the backend is not asked for the third time")
		return nil, nil
	}
}

func TestStreamResumesAfterBackendRestart(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, newsSite(""))
	for name, restartFailures := range restartFailures {
		t.Run(name, func(t *testing.T) {
			at := caddy.PublishWith(t, "news", "before").Position
			first := caddy.PublishWith(t, "news", "first").Position
			var second string
			s, ask := openDuringRestart(t, caddy, backend, restartFailures, func() { second = caddy.PublishWith(t, "news", "second").Position }, "Last-Event-ID: "+at)
			ask.Answer(http.StatusNoContent, "")
			hearsAt(t, s, "first", first)
			hearsAt(t, s, "second", second)
			caddy.Publish(t, "news", "", "third")
			hears(t, s, "third")
			caddy.Publish(t, "news", "", "")
			backend.Next(t).Answer(http.StatusOK, "fourth")
			hears(t, s, "fourth")
			s.Leave()
			awaitStreams(t, caddy, "news", 0)
		})
	}
}

// Only the backend can decide whether the client may hear the event.
func TestStreamHearsNothingWhenReturningBackendRefuses(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, newsSite(""))
	for _, status := range []int{302, 401} {
		at := caddy.PublishWith(t, "news", "before").Position
		caddy.Publish(t, "news", "", "secret")
		for _, position := range []string{at, caddytest.OtherEpoch(at)} {
			s, ask := openDuringRestart(t, caddy, backend, restartFailures["503"], func() { caddy.Publish(t, "news", "", "another secret") }, "Last-Event-ID: "+position)
			ask.Answer(status, "refused", "Location: /login")
			events, lastID, err := s.All(t)
			if want := (caddytest.Event{Type: "parker.error", Data: fmt.Sprintf(`{"status":%d}`, status)}); !slices.Equal(events, []caddytest.Event{want}) || lastID != "" || err != nil {
				t.Errorf("refused by %d, heard %+v, last ID %q, and then %v", status, events, lastID, err)
			}
			backend.Unasked(t)
		}
	}
}

func TestStreamCatchesUpMissedWakeUpAfterBackendRestart(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, newsSite(""))
	at := caddy.PublishWith(t, "news", "before").Position
	caddy.Publish(t, "news", "", "")
	caddy.Publish(t, "news", "", "message")
	var last string
	s, ask := openDuringRestart(t, caddy, backend, restartFailures["502"], func() { last = caddy.PublishWith(t, "news", "").Position }, "Last-Event-ID: "+at)
	ask.Answer(http.StatusOK, "present")
	hears(t, s, "message")
	hearsAt(t, s, "present", last)
	caddy.Publish(t, "news", "", "end")
	hears(t, s, "end")
	backend.Unasked(t)
}

func TestStreamIsResetAfterBackendRestart(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, newsSite(""))
	lost := caddytest.OtherEpoch(caddy.PublishWith(t, "news", "before").Position)
	var now string
	s, ask := openDuringRestart(t, caddy, backend, restartFailures["502"], func() { now = caddy.PublishWith(t, "news", "meanwhile").Position }, "Last-Event-ID: "+lost)
	ask.Answer(http.StatusOK, "state")
	if e := s.Next(t); e.Type != "parker.reset" || e.ID != now {
		t.Errorf("first heard %+v, want to go on at %s", e, now)
	}
	hearsAt(t, s, "state", now)
	caddy.Publish(t, "news", "", "next")
	hears(t, s, "next")
}

func TestStreamGivesBackendsOwnStreamOnReconnect(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, newsSite(""))
	s, ask := openDuringRestart(t, caddy, backend, restartFailures["502"], func() {}, "Last-Event-ID: 41")
	ask.Begin(http.StatusOK, "Content-Type: text/event-stream")
	if events, lastID, err := s.All(t); len(events) > 0 || lastID != "" || err != nil {
		t.Errorf("heard %+v, last ID %q, and then %v", events, lastID, err)
	}
	go func() {
		again := backend.Next(t)
		again.Begin(http.StatusOK, "Content-Type: text/event-stream")
		again.Write("id: 42\ndata: own\n\n")
	}()
	hearsAt(t, caddytest.Listen(t, "http://"+caddy.Site+"/news", "Last-Event-ID: 41"), "own", "42")
}

func TestStreamWaitingForBackendSurvivesReload(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, newsSite(""))
	for i, meanwhile := range []func(){
		func() {},
		func() { caddy.Publish(t, "news", "", "") },
		func() { caddy.Publish(t, "news", "", "of no interest") },
	} {
		at := caddy.PublishWith(t, "news", "before").Position
		s, ask := openDuringRestart(t, caddy, backend, restartFailures["502"], func() { caddy.Reload(t, newsSite(fmt.Sprintf("timeout %ds", 30+i))) }, "Last-Event-ID: "+at)
		meanwhile()
		restartFailures["503"](ask)
		backend.Next(t).Answer(http.StatusOK, "state")
		caddy.Publish(t, "news", "", "message")
		for e := s.Next(t); e.Data != "message"; e = s.Next(t) {
			if e.Data != "state" && e.Data != "of no interest" {
				t.Errorf("heard %+v", e)
			}
		}
		s.Leave()
		awaitStreams(t, caddy, "news", 0)
	}
}

func TestStreamWaitingForBackendDoesNotDelayStop(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, newsSite(""), caddytest.FreePorts(t, 1)[0])
	s := caddytest.Listen(t, "http://"+caddy.Site+"/news")
	awaitStreams(t, caddy, "news", 1)
	stops(t, caddy)
	ends(t, s)
}

// Only the backend can allow a page of another origin to read the answer.
func TestStreamForOtherOriginWaitsForBackend(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, newsSite(""))
	at := caddy.PublishWith(t, "news", "before").Position
	go func() {
		for _, restartFailures := range restartFailures {
			restartFailures(backend.Next(t))
		}
		caddy.Publish(t, "news", "", "message")
		backend.Next(t).Answer(http.StatusNoContent, "", "Access-Control-Allow-Origin: https://page.test")
	}()
	s := caddytest.Listen(t, "http://"+caddy.Site+"/news", "Origin: https://page.test", "Last-Event-ID: "+at)
	if s.Status != http.StatusOK || s.Header.Get("Access-Control-Allow-Origin") != "https://page.test" {
		t.Errorf("the stream began with %d %v", s.Status, s.Header)
	}
	hears(t, s, "message")
}

func TestStreamForOriginAllowedByRouteOpensAtOnce(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, withHook(`
	header Access-Control-Allow-Origin https://page.test
	parker
	reverse_proxy {$BACKEND}
`), caddytest.FreePorts(t, 1)[0])
	s := caddytest.Listen(t, "http://"+caddy.Site+"/news", "Origin: https://page.test")
	if s.Status != http.StatusOK || s.Header.Get("Access-Control-Allow-Origin") != "https://page.test" {
		t.Errorf("the stream began with %d %v", s.Status, s.Header)
	}
	awaitStreams(t, caddy, "news", 1)
}

func TestStreamForOtherOriginReportsFailureAtTimeout(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, newsSite("timeout 500ms"), caddytest.FreePorts(t, 1)[0])
	g := caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Site+"/news", "", "Accept: text/event-stream", "Origin: https://page.test")
	if g.Status != http.StatusBadGateway {
		t.Errorf("the stream was answered %+v", g)
	}
}
