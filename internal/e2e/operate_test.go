package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/admin"
	"github.com/caddy-parker/parker/internal/caddytest"
)

var operated = withHook(`
	parker {path} everybody {
		name feed
	}
	reverse_proxy {$BACKEND}
`)

// administer sends a request to the admin endpoint and decodes the answer into target.
func administer(t *testing.T, c *caddytest.Caddy, method, path string, status int, target any) {
	t.Helper()
	answer := c.Administer(t, method, path, "")
	if answer.Err != nil || answer.Status != status {
		t.Fatalf("%s %s: %d %v %s, want %d", method, path, answer.Status, answer.Err, answer.Body, status)
	}
	if err := json.Unmarshal([]byte(answer.Body), target); err != nil {
		t.Fatalf("%s %s: %v in %s", method, path, err, answer.Body)
	}
}

func TestAdminListsWaitingRequests(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, operated, caddytest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	for i := range 3 {
		caddytest.Get(t.Context(), fmt.Sprintf("http://%s/rooms/%d?token=secret", caddy.Site, i%2), "Cookie: secret")
	}
	caddytest.Listen(t, "http://"+caddy.Site+"/rooms/0?token=secret", "Cookie: secret")
	caddy.AwaitWaiting(t, "everybody", 3)
	caddytest.Await(t, "the stream is open", func() bool {
		var totals admin.Totals
		administer(t, caddy, http.MethodGet, "/parker/", http.StatusOK, &totals)
		return totals.Parked == 4 && totals.Channels == 3 && totals.Position != "" && totals.Broker.Reachable
	})

	var list admin.Channels
	administer(t, caddy, http.MethodGet, "/parker/channels?limit=2", http.StatusOK, &list)
	if len(list.Channels) != 2 || list.Channels[0].Channel != "/rooms/0" || list.Channels[0].Requests != 2 || list.Channels[0].Streams != 1 || list.Next != "/rooms/1" {
		t.Errorf("the first page is %+v", list)
	}
	list = admin.Channels{}
	administer(t, caddy, http.MethodGet, "/parker/channels?after=/rooms/1", http.StatusOK, &list)
	if len(list.Channels) != 1 || list.Channels[0].Channel != "everybody" || list.Next != "" {
		t.Errorf("the last page is %+v", list)
	}
	list = admin.Channels{}
	administer(t, caddy, http.MethodGet, "/parker/channels?prefix=ever", http.StatusOK, &list)
	if len(list.Channels) != 1 {
		t.Errorf("the channels with the prefix are %+v", list)
	}

	var channel admin.Channel
	administer(t, caddy, http.MethodGet, "/parker/channels?channel=/rooms/0", http.StatusOK, &channel)
	if len(channel.Requests) != 3 || channel.Streams != 1 {
		t.Fatalf("the channel is %+v", channel)
	}
	for _, r := range channel.Requests {
		if r.Method != http.MethodGet || r.Path != "/rooms/0" || !strings.HasPrefix(r.Remote, "127.0.0.1:") || r.Age < 0 {
			t.Errorf("a waiting request is %+v", r)
		}
	}
	if text := fmt.Sprint(caddy.Administer(t, http.MethodGet, "/parker/channels/everybody", "").Body); strings.Contains(text, "secret") {
		t.Errorf("the answer contains a secret: %s", text)
	}
	first, rest := admin.Channel{}, admin.Channel{}
	administer(t, caddy, http.MethodGet, "/parker/channels/everybody?limit=3", http.StatusOK, &first)
	administer(t, caddy, http.MethodGet, "/parker/channels/everybody?after="+first.Next, http.StatusOK, &rest)
	if len(first.Requests) != 3 || len(rest.Requests) != 1 || rest.Next != "" {
		t.Errorf("the pages are %+v and %+v", first, rest)
	}
}

func TestAdminReleasesChannel(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, operated, caddytest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	one := caddytest.Get(t.Context(), "http://"+caddy.Site+"/1")
	other := caddytest.Get(t.Context(), "http://"+caddy.Site+"/2")
	caddy.AwaitWaiting(t, "everybody", 2)

	var released admin.Released
	administer(t, caddy, http.MethodDelete, "/parker/channels?channel=/1", http.StatusOK, &released)
	if answer := <-one; released.Released != 1 || answer.Status != http.StatusNoContent || answer.Release() != "timeout" {
		t.Errorf("%+v, and the request was answered %d, %s", released, answer.Status, answer.Release())
	}
	caddy.AwaitWaiting(t, "everybody", 1)
	administer(t, caddy, http.MethodDelete, "/parker/channels/everybody", http.StatusOK, &released)
	if answer := <-other; released.Released != 1 || answer.Status != http.StatusNoContent {
		t.Errorf("%+v, and the request was answered %d", released, answer.Status)
	}
}

func TestAdminRefusesInvalidRequests(t *testing.T) {
	t.Parallel()
	caddy := caddytest.Start(t, operated, "127.0.0.1:1")
	for request, status := range map[string]int{
		"POST /parker/":                                http.StatusMethodNotAllowed,
		"POST /parker/channels":                        http.StatusMethodNotAllowed,
		"PUT /parker/channels/a":                       http.StatusMethodNotAllowed,
		"GET /parker/other":                            http.StatusNotFound,
		"GET /parker/channels?limit=0":                 http.StatusBadRequest,
		"GET /parker/channels?limit=x":                 http.StatusBadRequest,
		"GET /parker/channels/a?after=x":               http.StatusBadRequest,
		"GET /parker/channels/a?after=-1":              http.StatusBadRequest,
		"GET /parker/channels/":                        http.StatusBadRequest,
		"GET /parker/channels/a%0ab":                   http.StatusBadRequest,
		"DELETE /parker/channels?channel=":             http.StatusBadRequest,
		"GET /parker/channels/nobody":                  http.StatusOK,
		"DELETE /parker/channels/nobody":               http.StatusOK,
		"GET /parker/channels?channel=a//b&prefix=any": http.StatusOK,
	} {
		method, path, _ := strings.Cut(request, " ")
		administer(t, caddy, method, path, status, new(any))
	}
	caddy.MustLoad(t, `http://{$SITE} {
		respond "no parker"
	}
	http://{$HOOK} {
		respond "no hook"
	}`)
	administer(t, caddy, http.MethodGet, "/parker/", http.StatusNotFound, new(any))
}

// figures returns Caddy's metrics by name and labels, as they are exposed.
func figures(t *testing.T, c *caddytest.Caddy) map[string]float64 {
	t.Helper()
	all := make(map[string]float64)
	for line := range strings.Lines(c.Administer(t, http.MethodGet, "/metrics", "").Body) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseFloat(value, 64); err == nil && strings.HasPrefix(name, "parker_") {
			all[name] = n
		}
	}
	return all
}

func TestMetricsCountPollsStreamsAndPublishes(t *testing.T) {
	t.Parallel()
	legacy := caddytest.NewLegacy(t)
	site := strings.Replace(operated, "{path}", "messages", 1)
	caddy := caddytest.Start(t, strings.Replace(site, "reverse_proxy", "parker_notify messages\n\treverse_proxy", 1), legacy.Address)
	poll := func() <-chan caddytest.Answer {
		return caddytest.Get(t.Context(), "http://"+caddy.Site+"/messages?since=0")
	}
	answers := []<-chan caddytest.Answer{poll(), poll()}
	stream := caddytest.Listen(t, "http://"+caddy.Site+"/messages?since=0")
	caddy.AwaitWaiting(t, "messages", 2)
	caddytest.Await(t, "the stream is open", func() bool { return figures(t, caddy)[`parker_open_streams{handler="feed"}`] == 1 })
	if parked := figures(t, caddy)[`parker_parked_requests{handler="feed"}`]; parked != 2 {
		t.Errorf("the metrics count %v parked requests", parked)
	}
	caddy.Publish(t, "messages", "text/plain", "hello")
	for _, answer := range answers {
		<-answer
	}
	stream.Next(t)
	stream.Leave()
	want := map[string]float64{
		`parker_parked_requests{handler="feed"}`:                   0,
		`parker_open_streams{handler="feed"}`:                      0,
		`parker_parks_total{handler="feed"}`:                       2,
		`parker_park_ends_total{cause="published",handler="feed"}`: 2,
		`parker_park_duration_seconds_count{handler="feed"}`:       2,
		`parker_answers_total{handler="feed",release="message"}`:   2,
		`parker_asks_running{handler="feed"}`:                      0,
		`parker_asks_queued{handler="feed"}`:                       0,
		`parker_published_events_total{source="hook"}`:             1,
		`parker_publish_duration_seconds_count`:                    1,
		`parker_broker_reachable`:                                  1,
		`parker_broker_waiting_events`:                             0,
		`parker_replays_failed_total{handler="feed"}`:              0,
		`parker_slow_readers_total{handler="feed"}`:                0,
		`parker_asks_total{handler="feed",kind="replay"}`:          0,
		`parker_asks_shared_total{handler="feed",kind="replay"}`:   0,
	}
	check := func(when string) {
		t.Helper()
		var got map[string]float64
		right := func() bool {
			got = figures(t, caddy)
			for name, value := range want {
				if n, there := got[name]; !there || n != value {
					return false
				}
			}
			first := got[`parker_asks_total{handler="feed",kind="first"}`] + got[`parker_asks_shared_total{handler="feed",kind="first"}`]
			return first == 3 && got["parker_history_bytes"] > 0
		}
		caddytest.Await(t, when+" the figures are right", right)
		if t.Failed() {
			t.Logf("the figures are %v", got)
		}
	}
	check("after a message")
	caddy.MustLoad(t, strings.Replace(site, "reverse_proxy", "parker_notify messages\n\theader X-New config\n\treverse_proxy", 1))
	check("after a reload")
}
