package e2e

import (
	"context"
	"encoding/json"
	"maps"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
	"github.com/caddy-parker/parker/internal/status"
)

const watched = `
{
	{$GLOBAL}
	servers {
		timeouts {
			read_body 4s
			write 4s
			idle 4s
		}
	}
}
http://{$SITE} {
	parker everybody {
		share {header.X-Share}
	}
	parker_status /status {
		# options
	}
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_publish
}`

// watchedWith is the configuration with options for the page.
func watchedWith(options string) string { return strings.Replace(watched, "# options", options, 1) }

// now is the next sample of a stream, and those before it where they are told anew.
func now(t *testing.T, s *caddytest.Stream) (past []status.Sample, now status.Now) {
	t.Helper()
	for {
		event := s.Next(t)
		var target any = &now
		if event.Type == status.PastEvent {
			target = &past
		}
		if err := json.Unmarshal([]byte(event.Data), target); err != nil {
			t.Fatalf("%v in %+v", err, event)
		}
		if event.Type == status.NowEvent {
			return past, now
		}
	}
}

func TestTheStatusStreamSaysWhatHappensEachSecond(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, watched, caddytest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	stream := caddytest.Listen(t, "http://"+caddy.Site+"/status")
	if stream.Status != http.StatusOK || stream.Header.Get("Content-Type") != "text/event-stream" || stream.Header.Get("Cache-Control") != "no-store, no-transform" {
		t.Errorf("%d %v", stream.Status, stream.Header)
	}
	for range 5 {
		caddytest.Get(t.Context(), "http://"+caddy.Site+"/1")
	}
	caddytest.Listen(t, "http://"+caddy.Site+"/2")
	samples := make(map[int64]status.Sample)
	awaitSample := func(what string, right func(status.Now) bool) {
		t.Helper()
		for deadline := time.Now().Add(caddytest.Patience); ; {
			past, n := now(t, stream)
			for _, sample := range append(past, n.Sample) {
				samples[sample.At] = sample
			}
			if right(n) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: it is told %+v", what, n)
			}
		}
	}
	awaitSample("the waiting requests", func(n status.Now) bool {
		return n.Requests == 5 && n.Streams == 1 && n.Groups == 2 && n.Channels == 1 && len(n.Busiest) == 1 &&
			n.Busiest[0].Channel == "everybody" && n.Busiest[0].Requests == 5 && n.Busiest[0].Streams == 1 && n.Broker.Reachable
	})
	caddy.Publish(t, "everybody", "", "hello")
	awaitSample("nobody waits", func(n status.Now) bool {
		return n.Requests == 0 && n.Streams == 1 && n.Groups == 1 && n.Broker.HistoryBytes > 0
	})
	for range 5 { // longer than the server's time limits
		now(t, stream)
	}
	var released, asked float64
	var since int64
	for _, at := range slices.Sorted(maps.Keys(samples)) {
		seconds := 1.0 // the first is of about one
		if since > 0 {
			seconds = float64(at-since) / 1000
		}
		released += samples[at].Released * seconds
		asked += (samples[at].Asks + samples[at].Saved) * seconds
		since = at
	}
	if math.Round(released) < 4 || released > 9 || math.Round(asked) < 4 || asked > 9 {
		t.Errorf("%.1f were released, where 6 are, and %.1f asks sent or saved", released, asked)
	}
}

func TestTheStatusStreamEndsWithItsConfigurationAndForgetsNothing(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, watched, "127.0.0.1:1")
	first := caddytest.Listen(t, "http://"+caddy.Site+"/status")
	_, before := now(t, first)
	caddy.MustLoad(t, watchedWith("token secret"))
	if _, err := first.Rest(t); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if answer := caddytest.Do(t.Context(), http.MethodGet, "http://"+caddy.Site+"/status", "", "Accept: text/event-stream"); answer.Status != http.StatusUnauthorized {
		t.Errorf("with the new configuration it is answered %d", answer.Status)
	}
	second := caddytest.Listen(t, "http://"+caddy.Site+"/status", "Authorization: Bearer secret")
	past, next := now(t, second)
	if first := append(past, next.Sample)[0]; first.At > before.At {
		t.Errorf("after a reload the past begins with %+v", first)
	}
	stops(t, caddy)
	if _, err := second.Rest(t); err != nil {
		t.Errorf("at the stop it ended with %v", err)
	}
}

func TestTheAdminEndpointsStatusStreamOutlastsItsTimeLimits(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, operated, "127.0.0.1:1")
	socket := strings.TrimPrefix(caddy.Admin(), "unix/")
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	stream := caddytest.ListenWith(t, transport, "http://admin/parker/status")
	// Caddy's admin endpoint has 10 s for a request.
	for range 12 {
		now(t, stream)
	}
	caddy.MustLoad(t, strings.Replace(operated, "name feed", "name other", 1))
	if _, err := stream.Rest(t); err != nil {
		t.Errorf("at a reload it ended with %v", err)
	}
}

func TestTheStatusPageIsWholeAndStrict(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, watched, "127.0.0.1:1")
	url := "http://" + caddy.Site + "/status"
	page := caddytest.Do(t.Context(), http.MethodGet, url, "", "Accept: text/html")
	if page.Status != http.StatusOK || !strings.HasPrefix(page.Body, "<!doctype html>") || !strings.HasSuffix(page.Body, "</html>\n") {
		t.Errorf("%d %s", page.Status, page.Body)
	}
	policy := page.Header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'; ", "script-src 'sha256-", "style-src 'sha256-", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, part) || strings.Contains(policy, "unsafe") {
			t.Errorf("the policy is %s", policy)
		}
	}
	if answer := caddytest.Do(t.Context(), http.MethodGet, url, "", "If-None-Match: "+page.Header.Get("ETag")); answer.Status != http.StatusNotModified {
		t.Errorf("a second time it is answered %d", answer.Status)
	}
	for _, accept := range []string{"text/html", "text/event-stream"} {
		if answer := caddytest.Do(t.Context(), http.MethodHead, url, "", "Accept: "+accept); answer.Status != http.StatusOK || answer.Body != "" || !strings.HasPrefix(answer.Header.Get("Content-Type"), accept) {
			t.Errorf("HEAD, %s: %+v", accept, answer)
		}
	}
	if answer := caddytest.Do(t.Context(), http.MethodPost, url, ""); answer.Status != http.StatusMethodNotAllowed || answer.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %+v", answer)
	}
}

func TestTheStatusPageIsOpenToWhomItIsMeantFor(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, watched, "127.0.0.1:1")
	for _, c := range []struct {
		options, authorization string
		status                 int
	}{
		{"", "", http.StatusOK},
		{"allow 10.0.0.0/8", "", http.StatusForbidden},
		{"allow 10.0.0.0/8 127.0.0.1", "", http.StatusOK},
		{"token one two", "", http.StatusUnauthorized},
		{"token one two", "Bearer three", http.StatusUnauthorized},
		{"token one two", "Bearer two", http.StatusOK},
		{"token one two", "Basic bWU6b25l", http.StatusOK}, // me:one
	} {
		caddy.MustLoad(t, watchedWith(c.options))
		for _, accept := range []string{"text/html", "text/event-stream"} {
			url := "http://" + caddy.Site + "/status"
			header := []string{"X-Forwarded-For: 10.0.0.1", "Accept: " + accept}
			if c.authorization != "" {
				header = append(header, "Authorization: "+c.authorization)
			}
			stream := caddytest.Listen(t, url, header...)
			if stream.Status != c.status {
				t.Errorf("%s, %s, %s: %d", c.options, c.authorization, accept, stream.Status)
			}
			if challenge := stream.Header.Get("WWW-Authenticate"); (challenge != "") != (c.status == http.StatusUnauthorized) {
				t.Errorf("%s, %s: asked for %q", c.options, c.authorization, challenge)
			}
			stream.Leave()
		}
	}
	if err := caddy.Load(t, watchedWith("token {env.PARKER_UNSET}")); err == nil {
		t.Error("a token that is not set is accepted")
	}
}
