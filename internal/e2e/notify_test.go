package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// eventsIn returns the number of events so far, taken from the position in a report of
// the hook. It includes the reported publish.
func eventsIn(t *testing.T, report string) (n int) {
	t.Helper()
	var said struct{ Position string }
	if err := json.Unmarshal([]byte(report), &said); err != nil {
		t.Fatalf("the hook answered %s: %v", report, err)
	}
	_, count, _ := strings.Cut(said.Position, "-")
	if _, err := fmt.Sscan(count, &n); err != nil {
		t.Fatalf("the position is %s: %v", said.Position, err)
	}
	return n
}

// events returns the number of events so far.
func events(t *testing.T, caddy *caddytest.Caddy) int {
	t.Helper()
	return eventsIn(t, caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Hook+"/feed", "").Body)
}

// startWrite sends a write in the background.
func startWrite(t *testing.T, caddy *caddytest.Caddy, method, path string) <-chan caddytest.Answer {
	answered := doLater(t, method, "http://"+caddy.Site+path, "text")
	return answered
}

// awaitRelease answers the replay and checks that the poll gets the answer.
func awaitRelease(t *testing.T, backend *caddytest.Scripted, parked <-chan caddytest.Answer) {
	t.Helper()
	backend.Next(t).Answer(200, "[1]")
	expect(t, "[1]", "replay", parked)
}

func TestNotifyPublishesSuccessfulWritesOnly(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewScripted(t)
	for _, test := range []struct {
		options                string
		methods, otherMethods  []string
		published, unpublished []int
	}{
		{
			methods:      []string{"POST", "PUT", "PATCH", "DELETE"},
			published:    []int{200, 201, 202, 204, 301, 302, 303, 307},
			unpublished:  []int{400, 401, 403, 404, 409, 422, 500, 502, 503},
			otherMethods: []string{"GET", "HEAD", "OPTIONS", "PROPFIND"},
		},
		{
			options:      "{\nmethods MKCOL post\nstatus 201 4xx\n}",
			methods:      []string{"MKCOL", "POST"},
			published:    []int{201, 404, 409},
			unpublished:  []int{200, 204, 303, 500},
			otherMethods: []string{"PUT", "DELETE"},
		},
	} {
		caddy := caddytest.Start(t, `
http://{$SITE} {
	parker_notify `+test.options+`
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_publish
}
`, backend.Address)
		try := func(method string, status int) {
			t.Helper()
			answered := startWrite(t, caddy, method, "/feed")
			backend.Next(t).Answer(status, "", "Location: /", "X-Legacy: yes")
			if g := <-answered; g.Status != status || g.Header.Get("X-Legacy") != "yes" {
				t.Errorf("%s was answered %+v, want %d", method, g, status)
			}
		}
		want := eventsIn(t, caddy.Publish(t, "feed", "", ""))
		for _, method := range test.methods {
			for _, status := range test.published {
				try(method, status)
				want++
			}
		}
		caddytest.Await(t, fmt.Sprintf("there were %d events", want), func() bool { return events(t, caddy) == want })
		for _, method := range test.methods {
			for _, status := range test.unpublished {
				try(method, status)
			}
		}
		for _, method := range test.otherMethods {
			for _, status := range test.published {
				try(method, status)
			}
		}
		if now := eventsIn(t, caddy.Publish(t, "feed", "", "")); now != want+1 {
			t.Errorf("with %q there were %d events of writes that failed, or were none", test.options, now-want-1)
		}
	}
}

func TestNotifyPublishesWhenAnswerIsComplete(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, parking(""))
	parked := park(t, caddy, backend, "/feed")
	before := events(t, caddy)
	lines := make(chan string, 3)
	go func() {
		defer close(lines)
		client := &http.Client{Timeout: caddytest.Patience}
		answer, err := client.Post("http://"+caddy.Site+"/feed", "text/plain", strings.NewReader("text"))
		if err != nil {
			lines <- err.Error()
			return
		}
		defer answer.Body.Close()
		for scanner := bufio.NewScanner(answer.Body); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	ask := backend.Next(t)
	ask.Begin(200)
	ask.Write("first\n")
	if line := <-lines; line != "first" {
		t.Fatalf("the client read %q", line)
	}
	if now := events(t, caddy); now != before {
		t.Errorf("there were %d events before the answer was complete", now-before)
	}
	caddy.AwaitWaiting(t, "feed", 1)
	ask.Write("second\n")
	ask.End()
	awaitRelease(t, backend, parked)
	if line := <-lines; line != "second" {
		t.Errorf("the client read %q", line)
	}
}

func TestNotifyPublishesWriteOfDisconnectedClient(t *testing.T) {
	t.Parallel()
	caddy, backend := startScripted(t, parking(""))
	large := strings.Repeat("large ", 20_000_000/6)

	// leaves sends a write whose client disconnects after reading a part of the answer,
	// and returns when Caddy has noticed.
	leaves := func(t *testing.T, begin func(ask *caddytest.Ask), read int64) *caddytest.Ask {
		t.Helper()
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+caddy.Site+"/feed", strings.NewReader("text"))
		if err != nil {
			t.Fatal(err)
		}
		left := make(chan error, 1)
		go func() {
			answer, err := new(http.Transport).RoundTrip(r)
			if err == nil {
				_, err = io.CopyN(io.Discard, answer.Body, read)
				leave()
				answer.Body.Close()
			}
			left <- err
		}()
		ask := backend.Next(t)
		begin(ask)
		if read == 0 {
			leave()
		}
		if err := <-left; (err == nil) != (read > 0) {
			t.Errorf("the client disconnected with %v", err)
		}
		// A poll that disconnects later has been forgotten.
		other, leaveToo := context.WithCancel(t.Context())
		parked := caddytest.Get(other, "http://"+caddy.Site+"/other")
		backend.Next(t).Answer(200, "[]")
		caddy.AwaitWaiting(t, "other", 1)
		leaveToo()
		<-parked
		caddy.AwaitWaiting(t, "other", 0)
		return ask
	}
	for name, test := range map[string]struct {
		begin, goOn, end func(ask *caddytest.Ask)
		read             int64
	}{
		"before the header": {
			begin: func(*caddytest.Ask) {},
			goOn:  func(*caddytest.Ask) {},
			end:   func(ask *caddytest.Ask) { ask.Answer(204, "") },
		},
		"before the header of a large answer": {
			begin: func(*caddytest.Ask) {},
			goOn:  func(ask *caddytest.Ask) { ask.Begin(200); ask.Write(large) },
			end:   func(ask *caddytest.Ask) { ask.End() },
		},
		"in the middle of a large answer": {
			begin: func(ask *caddytest.Ask) {
				ask.Begin(200, fmt.Sprintf("Content-Length: %d", 2*len(large)))
				go ask.Write(large)
			},
			goOn: func(ask *caddytest.Ask) { ask.Write(large[1:]) },
			end:  func(ask *caddytest.Ask) { ask.Write("!"); ask.End() },
			read: 1_000_000,
		},
		"while it streams": {
			begin: func(ask *caddytest.Ask) { ask.Begin(200, "Content-Type: text/event-stream"); ask.Write("data: 1\n\n") },
			goOn: func(ask *caddytest.Ask) {
				for range 100 {
					ask.Write("data: 2\n\n")
				}
			},
			end:  func(ask *caddytest.Ask) { ask.Write("data: 3\n\n"); ask.End() },
			read: 9,
		},
	} {
		t.Run(name, func(t *testing.T) {
			parked := park(t, caddy, backend, "/feed")
			before := events(t, caddy)
			ask := leaves(t, test.begin, test.read)
			test.goOn(ask)
			select {
			case <-ask.Gone():
				t.Error("the backend's request was cancelled")
			default:
			}
			if now := events(t, caddy); now != before {
				t.Errorf("there were %d events before the answer was complete", now-before)
			}
			test.end(ask)
			awaitRelease(t, backend, parked)
		})
	}
	backend.Unasked(t)
}
