package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// brokerSite returns a site that never has anything new, with the given broker.
func brokerSite(broker string) string {
	return configuration("parker {\n broker "+broker+"\n}", "parker /wait/* {\n timeout 4m\n}\nrespond /wait/* 204", "127.0.0.1:1")
}

// waiter has a poll and a stream on its channel, and publishes one message after the
// other there.
type waiter struct {
	caddy   *caddytest.Caddy
	channel string
	client  *http.Transport // uses each connection once
	stream  *caddytest.Stream
	message int // the last that was published
	unsure  int // the last that may have been published twice
}

// poll polls in the background. It retries, because the old listener may close without
// accepting a connection.
func (w *waiter) poll(t *testing.T) <-chan caddytest.Answer {
	polled := make(chan caddytest.Answer, 1)
	go func() {
		var g caddytest.Answer
		for range 100 {
			if g = caddytest.DoWith(t.Context(), w.client, http.MethodGet, "http://"+w.caddy.Site+"/"+w.channel, ""); g.Err == nil {
				break
			}
		}
		polled <- g
	}()
	return polled
}

// publish publishes the next message and retries until it is answered.
func (w *waiter) publish(t *testing.T) {
	w.message++
	for range 100 {
		g := caddytest.DoWith(t.Context(), w.client, http.MethodPost, "http://"+w.caddy.Hook+"/"+w.channel, fmt.Sprint(w.message), "Content-Type: text/plain")
		if g.Err != nil {
			w.unsure = w.message
			continue
		}
		var said caddytest.Publication
		if err := json.Unmarshal([]byte(g.Body), &said); err != nil || g.Status != http.StatusOK && g.Status != http.StatusAccepted {
			t.Errorf("publishing on %s: %+v", w.channel, g)
		}
		return
	}
	t.Errorf("publishing on %s was never answered", w.channel)
}

// check reports whether the poll got the message, and the stream got it once.
func (w *waiter) check(t *testing.T, polled <-chan caddytest.Answer) bool {
	want := fmt.Sprint(w.message)
	select {
	case g := <-polled:
		if g.Status != http.StatusOK || g.Body != want {
			t.Errorf("a poll on %s was answered %+v, not message %s", w.channel, g, want)
			return false
		}
	case <-time.After(caddytest.Patience):
		t.Errorf("message %s on %s was published, but the poll parked there was not answered", want, w.channel)
		return false
	}
	for {
		event, ok, err := w.stream.NextWithin(caddytest.Patience)
		switch {
		case err != nil || !ok:
			t.Errorf("message %s on %s was published, but the stream did not hear it: %v", want, w.channel, err)
			return false
		case event.Data == want:
			return true
		case event.Type != "parker.reset" && event.Data != fmt.Sprint(w.unsure):
			t.Errorf("a stream on %s heard %+v before message %s", w.channel, event, want)
			return false
		}
	}
}

func TestReloadOfBrokerLosesNoEvent(t *testing.T) {
	t.Parallel()
	skipShort(t)
	const waiters, rounds = 8, 3
	redis, nats := caddytest.StartRedis(t), caddytest.StartNATS(t)
	all := []string{"memory", fmt.Sprintf(redisOption, redis.Address()), "memory", fmt.Sprintf(natsOption, nats.Address()), fmt.Sprintf(redisOption, redis.Address())}
	caddy := caddytest.Start(t, brokerSite(all[0]), "")

	var published atomic.Int32
	var waiting sync.WaitGroup
	end := make(chan struct{})
	for i := range waiters {
		w := &waiter{caddy: caddy, channel: fmt.Sprint("wait/", i), client: &http.Transport{DisableKeepAlives: true}}
		w.stream = caddytest.Listen(t, "http://"+caddy.Site+"/"+w.channel)
		awaitStreams(t, caddy, w.channel, 1)
		waiting.Go(func() {
			for {
				polled := w.poll(t)
				caddy.AwaitWaiting(t, w.channel, 1)
				w.publish(t)
				if !w.check(t, polled) {
					return
				}
				published.Add(1)
				select {
				case <-end:
					return
				default:
				}
			}
		})
	}
	for i := range rounds * len(all) {
		awaitMore(t, &published, waiters)
		caddy.MustLoad(t, brokerSite(all[(i+1)%len(all)]))
		if t.Failed() {
			break
		}
	}
	close(end)
	waiting.Wait()
	t.Logf("%d messages", published.Load())
}
