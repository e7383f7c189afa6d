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
	for name, restartFailures := range restartFailures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backend := caddytest.NewScripted(t)
			caddy := caddytest.Start(t, newsSite(""), backend.Address)
			at := caddy.PublishWith(t, "news", "before").Position
			first := caddy.PublishWith(t, "news", "first").Position
			var second string
			s, ask := openDuringRestart(t, caddy, backend, restartFailures, func() { second = caddy.PublishWith(t, "news", "second").Position }, "Last-Event-ID: "+at)
			ask.Answer(http.StatusNoContent, "")
			if e := s.Next(t); e.Data != "first" || e.ID != first {
				t.Errorf("heard %+v, want first at %s", e, first)
			}
			if e := s.Next(t); e.Data != "second" || e.ID != second {
				t.Errorf("heard %+v, want second at %s", e, second)
			}
			caddy.Publish(t, "news", "", "third")
			if e := s.Next(t); e.Data != "third" {
				t.Errorf("heard %+v", e)
			}
			caddy.Publish(t, "news", "", "")
			backend.Next(t).Answer(http.StatusOK, "fourth")
			if e := s.Next(t); e.Data != "fourth" {
				t.Errorf("heard %+v", e)
			}
			awaitStreams(t, caddy, "news", 1)
		})
	}
}

// Only the backend can decide whether the client may hear the event.
func TestStreamHearsNothingWhenReturningBackendRefuses(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, newsSite(""), backend.Address)
	for _, status := range []int{302, 401, 403, 404, 500} {
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
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, newsSite(""), backend.Address)
	at := caddy.PublishWith(t, "news", "before").Position
	caddy.Publish(t, "news", "", "")
	caddy.Publish(t, "news", "", "message")
	var last string
	s, ask := openDuringRestart(t, caddy, backend, restartFailures["502"], func() { last = caddy.PublishWith(t, "news", "").Position }, "Last-Event-ID: "+at)
	ask.Answer(http.StatusOK, "present")
	if e := s.Next(t); e.Data != "message" {
		t.Errorf("heard %+v", e)
	}
	if e := s.Next(t); e.Data != "present" || e.ID != last {
		t.Errorf("heard %+v, want the present answer at %s", e, last)
	}
	caddy.AwaitInside(t, waiting, 1)
	backend.Unasked(t)
}

func TestStreamIsResetAfterBackendRestart(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, newsSite(""), backend.Address)
	lost := caddytest.OtherEpoch(caddy.PublishWith(t, "news", "before").Position)
	var now string
	s, ask := openDuringRestart(t, caddy, backend, restartFailures["502"], func() { now = caddy.PublishWith(t, "news", "meanwhile").Position }, "Last-Event-ID: "+lost)
	ask.Answer(http.StatusOK, "state")
	if e := s.Next(t); e.Type != "parker.reset" || e.ID != now {
		t.Errorf("first heard %+v, want to go on at %s", e, now)
	}
	if e := s.Next(t); e.Data != "state" || e.ID != now {
		t.Errorf("then heard %+v", e)
	}
	caddy.Publish(t, "news", "", "next")
	if e := s.Next(t); e.Data != "next" {
		t.Errorf("at last heard %+v", e)
	}
}

func TestStreamOpensFirstTimeDuringBackendRestart(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, newsSite(""), backend.Address)
	s, ask := openDuringRestart(t, caddy, backend, restartFailures["502"], func() { caddy.Publish(t, "news", "", "meanwhile") })
	ask.Answer(http.StatusOK, "state")
	for _, want := range []string{"state", "meanwhile"} {
		if e := s.Next(t); e.Data != want || e.Type != "" || e.ID == "" {
			t.Errorf("heard %+v, want %s", e, want)
		}
	}
}

// No event is lost if the backend is away until the stream has more events than its
// queue can hold.
func TestStreamGivesMoreThanQueueAfterBackendRestart(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, newsSite("sse {\nqueue 2\n}"), backend.Address)
	at := caddy.PublishWith(t, "news", "before").Position
	s, ask := openDuringRestart(t, caddy, backend, restartFailures["502"], func() {
		for i := range 20 {
			caddy.Publish(t, "news", "", fmt.Sprint("message ", i))
		}
	}, "Last-Event-ID: "+at)
	ask.Answer(http.StatusNoContent, "")
	for i := range 20 {
		if e := s.Next(t); e.Data != fmt.Sprint("message ", i) {
			t.Fatalf("heard %+v, want message %d", e, i)
		}
	}
}

func TestStreamGivesBackendsOwnStreamOnReconnect(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, newsSite(""), backend.Address)
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
	if e := caddytest.Listen(t, "http://"+caddy.Site+"/news", "Last-Event-ID: 41").Next(t); e.Data != "own" || e.ID != "42" {
		t.Errorf("the second time, heard %+v", e)
	}
}

func TestStreamWaitingForBackendSurvivesReload(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, newsSite(""), backend.Address)
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

func TestStreamsWaitingForBackendShareItsAnswer(t *testing.T) {
	t.Parallel()
	address := caddytest.FreePorts(t, 1)[0]
	caddy := caddytest.Start(t, newsSite(""), address)
	at := caddy.PublishWith(t, "news", "before").Position
	const many = 30
	var streams []*caddytest.Stream
	for range many {
		streams = append(streams, caddytest.Listen(t, "http://"+caddy.Site+"/news", "Last-Event-ID: "+at))
	}
	awaitStreams(t, caddy, "news", many)
	caddy.Publish(t, "news", "", "message")
	pages := caddytest.NewPages(t)
	pages.Put("/news", emptyList)
	caddytest.ServeAt(t, address, pages.ServeHTTP)
	for _, s := range streams {
		if e := s.Next(t); e.Data != "message" {
			t.Errorf("heard %+v", e)
		}
	}
}

func TestStreamWaitingForBackendDoesNotDelayStop(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, newsSite(""), caddytest.FreePorts(t, 1)[0])
	s := caddytest.Listen(t, "http://"+caddy.Site+"/news")
	awaitStreams(t, caddy, "news", 1)
	if took := caddy.Stop(t); took > atOnce {
		t.Errorf("Caddy took %v to stop", took)
	}
	if events, _, err := s.All(t); len(events) > 0 || err != nil {
		t.Errorf("heard %+v and then %v", events, err)
	}
}

// Only the backend can allow a page of another origin to read the answer.
func TestStreamForOtherOriginWaitsForBackend(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, newsSite(""), backend.Address)
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
	if e := s.Next(t); e.Data != "message" {
		t.Errorf("heard %+v", e)
	}
}

func TestStreamForOriginAllowedByRouteOpensAtOnce(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, `
http://{$SITE} {
	header Access-Control-Allow-Origin https://page.test
	parker
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_publish
}`, caddytest.FreePorts(t, 1)[0])
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
