package e2e

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

var streamSite = withHook(`
	parker_notify /messages
	parker /messages
	reverse_proxy {$BACKEND}
`)

func TestStreamCarriesPollAnswersAndMessages(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewLegacy(t)
	caddy := caddytest.Start(t, streamSite, backend.Address)
	url := "http://" + caddy.Site + "/messages?since=0"
	s := caddytest.Listen(t, url)
	if s.Status != 200 || s.Header.Get("Content-Type") != "text/event-stream" || s.Header.Get("Cache-Control") != "no-store, no-transform" ||
		s.Header.Get("X-Accel-Buffering") != "no" || s.Header.Get("Parker-Status") != "parker; park=0.0; release=none" {
		t.Errorf("the stream began with %d %v", s.Status, s.Header)
	}
	s.Comment(t)
	if retry, _ := strconv.Atoi(s.Retry(t)); retry < 1500 || retry > 2500 {
		t.Errorf("the retry time is %d ms", retry)
	}
	awaitStreams(t, caddy, "messages", 1)
	caddytest.Do(t.Context(), http.MethodPost, url, "hello")
	first := s.Next(t)
	if first.Data != `["hello"]` || first.Type != "" || first.ID == "" {
		t.Errorf("after a write, heard %+v", first)
	}
	caddy.Publish(t, "messages", "", "line 1\nline 2\r\nline 3")
	second := s.Next(t)
	if second.Data != "line 1\nline 2\nline 3" || second.ID == first.ID {
		t.Errorf("after a message, heard %+v", second)
	}
	// The backend's answer has not changed: the stream sends only a new ID.
	caddy.Publish(t, "messages", "", "")
	if id := s.NextID(t, second.ID); !strings.HasSuffix(id, "-3") {
		t.Errorf("after a wake-up without news the last ID is %s", id)
	}
	s.Leave()
	awaitStreams(t, caddy, "messages", 0)
}

// A client that loses its stream again while it catches up resumes from the last ID.
// That ID must not lie after a wake-up that the stream has not answered yet.
func TestStreamResumesMissedEventsInOrder(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewLegacy(t)
	caddy := caddytest.Start(t, streamSite, backend.Address)
	url := "http://" + caddy.Site + "/messages?since=0"
	before := caddytest.Listen(t, url).NextID(t, "")
	caddy.Publish(t, "messages", "", "first")
	caddytest.Do(t.Context(), http.MethodPost, url, "hello")
	caddy.Publish(t, "messages", "", "second")
	s := caddytest.Listen(t, url, "Last-Event-ID: "+before)
	last := before
	for _, want := range []string{"first", `["hello"]`, "second"} {
		e := s.Next(t)
		if e.Data != want || e.ID == last {
			t.Errorf("heard %+v after %s, want %q", e, last, want)
		}
		last = e.ID
	}
}

func TestStreamDoesNotWakeItself(t *testing.T) {
	t.Parallel()
	var asks atomic.Int32
	backend := caddytest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Parker-Publish", "messages")
		fmt.Fprint(w, "news ", asks.Add(1))
	})
	caddy := caddytest.Start(t, streamSite, backend)
	s := caddytest.Listen(t, "http://"+caddy.Site+"/messages")
	for i := range 3 {
		hears(t, s, fmt.Sprint("news ", i+1))
		caddy.Publish(t, "messages", "", "a message")
		hears(t, s, "a message")
		caddy.Publish(t, "messages", "", "")
	}
}
