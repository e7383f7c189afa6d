package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestStopAnswersAllAndClientsResume(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(*caddytest.Caddy, *testing.T) time.Duration{
		"by a signal":      func(c *caddytest.Caddy, t *testing.T) time.Duration { return c.Stop(t) },
		"by the admin API": func(c *caddytest.Caddy, t *testing.T) time.Duration { return c.StopByAdmin(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backend := caddytest.NewScripted(t)
			site := configuration("", "parker", backend.Address)
			caddy := caddytest.Start(t, site, "")
			url := "http://" + caddy.Site
			position := caddy.PublishWith(t, "parked", "before all").Position
			s := parkPair(t, caddy, backend, url+"/parked", "parked")
			// This poll was parked in an older configuration.
			older := caddytest.Get(t.Context(), url+"/older")
			backend.Next(t).Answer(204, "")
			caddy.AwaitWaiting(t, "older", 1)
			caddy.MustLoad(t, configuration("", "parker {\n timeout 50s\n}", backend.Address))
			replayed := caddytest.Get(t.Context(), url+"/replayed")
			backend.Next(t).Answer(204, "")
			caddy.AwaitWaiting(t, "replayed", 1)
			caddy.Publish(t, "replayed", "", "")
			replay := backend.Next(t)
			asked := caddytest.Get(t.Context(), url+"/asked")
			first := backend.Next(t)
			unanswered := caddytest.Get(t.Context(), url+"/unanswered")
			nothing := backend.Next(t)

			took := make(chan time.Duration, 1)
			go func() { took <- stop(caddy, t) }()
			expect(t, "", "stop", s.poll, older)
			ends(t, s.stream)
			// Asks that are already at the backend are finished.
			replay.Answer(200, "replayed")
			first.Answer(200, "asked")
			nothing.Answer(204, "")
			expect(t, "replayed", "", replayed)
			expect(t, "asked", "", asked)
			expect(t, "", "stop", unanswered)
			if took := <-took; took > atOnce {
				t.Errorf("Caddy took %v to stop", took)
			}

			next := caddytest.Start(t, site, "")
			resumed := caddytest.Get(t.Context(), "http://"+next.Site+"/parked", "Last-Event-ID: "+position)
			backend.Next(t).Answer(204, "")
			if g := <-resumed; g.Header.Get("Parker-Recovered") != "false" || g.Header.Get("Last-Event-ID") == "" {
				t.Errorf("the next Caddy answered %+v", g)
			}
			go func() { (<-backend.Asks()).Answer(200, "all there is") }()
			stream := caddytest.Listen(t, "http://"+next.Site+"/parked", "Last-Event-ID: "+position)
			if e := stream.Next(t); e.Type != "parker.reset" {
				t.Errorf("first heard %+v", e)
			}
			hears(t, stream, "all there is")
		})
	}
}

func TestStopIsNotDelayedByRefusedReplay(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	caddy := caddytest.Start(t, configuration("", "parker", backend.Address), "")
	s := parkPair(t, caddy, backend, "http://"+caddy.Site+"/messages", "messages")
	caddy.Publish(t, "messages", "", "")
	go func() {
		for {
			select {
			case ask := <-backend.Asks():
				ask.Answer(503, "restarting")
			case <-t.Context().Done():
				return
			}
		}
	}()
	stops(t, caddy)
	expect(t, "", "stop", s.poll)
	ends(t, s.stream)
}

// A supervisor starts the new binary at the same address and then stops the old one.
func TestStopHandsOverToNewProcess(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewLegacy(t)
	site := configuration("", "parker {\n timeout 1s\n}", backend.Address)
	old := caddytest.Start(t, site, "")
	parked := make(chan caddytest.Answer, 1)
	stopping := make(chan struct{})
	var attempts []caddytest.Answer
	done := make(chan struct{})
	transport := &http.Transport{}
	go func() {
		defer close(done)
		for last := false; !last; {
			select {
			case <-stopping:
				last = true // one more, for the new process
			default:
			}
			attempts = append(attempts, caddytest.DoWith(t.Context(), transport, http.MethodGet, "http://"+old.Site+"/", "", "Prefer: wait=1"))
		}
	}()
	go func() {
		parked <- <-caddytest.Get(t.Context(), "http://"+old.Site+"/parked?since=0", "Prefer: wait=20")
	}()
	old.AwaitWaiting(t, "parked", 1)
	next := old.Twin(t)
	stops(t, old)
	if g := <-parked; g.Err != nil || g.Status != 200 {
		t.Errorf("the poll that was parked was answered %+v", g)
	}
	close(stopping)
	<-done
	for _, g := range attempts {
		if g.Err != nil || g.Status != 200 {
			t.Errorf("a poll was answered %+v", g)
		}
	}
	after := caddytest.Get(t.Context(), "http://"+old.Site+"/parked?since=0")
	next.AwaitWaiting(t, "parked", 1)
	next.Publish(t, "parked", "", "of the new Caddy")
	if g := <-after; g.Body != "of the new Caddy" || strings.Contains(fmt.Sprint(g.Header), "stop") {
		t.Errorf("the new Caddy answered %+v", g)
	}
}
