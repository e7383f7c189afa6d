package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// replacing is a node with a parked poll. A reload replaces its broker.
type replacing struct {
	*caddytest.Caddy
	backend *caddytest.Scripted
	options [2]string           // of the brokers, each reached through a proxy
	wires   [2]*caddytest.Proxy // the proxies
	polled  <-chan caddytest.Answer
}

// eachOrder runs a test with Redis and then NATS as the brokers of a node, and with NATS
// and then Redis.
func eachOrder(t *testing.T, test func(t *testing.T, r *replacing)) {
	t.Parallel()
	redis := func(t *testing.T) (option, address string) { return redisOption, caddytest.StartRedis(t).Address() }
	nats := func(t *testing.T) (option, address string) { return natsOption, caddytest.StartNATS(t).Address() }
	for name, order := range map[string][2]func(*testing.T) (option, address string){"redis first": {redis, nats}, "nats first": {nats, redis}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &replacing{backend: caddytest.NewScripted(t)}
			for i, start := range order {
				option, address := start(t)
				r.wires[i] = caddytest.StartProxy(t, address)
				r.options[i] = fmt.Sprintf(option, r.wires[i].Address)
			}
			test(t, r)
		})
	}
}

func (r *replacing) site(broker string) string {
	return configuration("parker {\n broker "+broker+"\n}", "parker /messages {\n timeout 4m\n look_again off\n}", r.backend.Address)
}

// park starts the node and parks a poll there.
func (r *replacing) park(t *testing.T, broker string) {
	t.Helper()
	r.Caddy = caddytest.Start(t, r.site(broker), "")
	r.polled = caddytest.Get(t.Context(), "http://"+r.Site+"/messages")
	r.backend.Next(t).Answer(204, "")
	r.AwaitWaiting(t, "messages", 1)
}

// answerAll answers all asks with nothing new until the test ends.
func (r *replacing) answerAll(t *testing.T) {
	for {
		select {
		case ask := <-r.backend.Asks():
			ask.Answer(204, "")
		case <-t.Context().Done():
			return
		}
	}
}

// check answers all asks with nothing new. Then the message is the answer of the poll.
func (r *replacing) check(t *testing.T) {
	t.Helper()
	go r.answerAll(t)
	select {
	case answer := <-r.polled:
		if answer.Body != "a message" || answer.Release() != "message" {
			t.Errorf("the poll was answered %+v", answer)
		}
	case <-time.After(caddytest.Patience):
		t.Fatal("the message was accepted, but the poll was not answered")
	}
}

// The new broker is away at first. When it is back, the poll is told that events may be
// lost, and then it gets the message.
func TestReloadOfBrokerKeepsMessageThatNewBrokerAccepts(t *testing.T) {
	eachOrder(t, func(t *testing.T, r *replacing) {
		r.park(t, "memory")
		r.wires[0].Stall()
		r.MustLoad(t, r.site(r.options[0]))
		publishAway(t, r.Caddy, "messages", "a message")
		replay := r.backend.Next(t)
		r.wires[0].Heal()
		awaitReachable(t, r.Caddy, true)
		caddytest.Await(t, "the message is published", func() bool { return health(t, r.Caddy).Waiting == 0 })
		replay.Answer(204, "")
		r.check(t)
	})
}

// Both brokers are away. The new one accepts the message from the old one, and publishes it
// when it is back.
func TestReloadOfBrokerKeepsMessageThatOldBrokerAccepted(t *testing.T) {
	eachOrder(t, func(t *testing.T, r *replacing) {
		r.park(t, r.options[0])
		awaitReachable(t, r.Caddy, true)
		r.wires[0].Stall()
		r.wires[1].Stall()
		publishAway(t, r.Caddy, "messages", "a message")
		replay := r.backend.Next(t)
		r.MustLoad(t, r.site(r.options[1]))
		r.wires[1].Heal()
		awaitReachable(t, r.Caddy, true)
		caddytest.Await(t, "the message is published", func() bool { return health(t, r.Caddy).Waiting == 0 })
		replay.Answer(204, "")
		r.check(t)
	})
}

// An operator takes another broker, because the old one is away.
func TestReloadOfBrokerPublishesQueuedMessagesAtNewBroker(t *testing.T) {
	eachOrder(t, func(t *testing.T, r *replacing) {
		r.park(t, r.options[0])
		awaitReachable(t, r.Caddy, true)
		go r.answerAll(t)
		other := caddytest.Start(t, r.site(r.options[1]), "")
		streams := map[string]*caddytest.Stream{}
		for who, c := range map[string]*caddytest.Caddy{"the node": r.Caddy, "the other node": other} {
			streams[who] = caddytest.Listen(t, "http://"+c.Site+"/messages")
			awaitStreams(t, c, "messages", 1)
		}
		r.wires[0].Stall()
		var want []string
		for i := range 20 {
			text := fmt.Sprint("away ", i)
			want = append(want, text)
			publishAway(t, r.Caddy, "messages", text)
		}
		r.MustLoad(t, r.site(r.options[1]))
		for who, stream := range streams {
			for heard := 0; heard < len(want); {
				e, ok, err := stream.NextWithin(caddytest.Patience)
				switch {
				case err != nil || !ok:
					t.Fatalf("a stream at %s did not hear %q: %v", who, want[heard], err)
				case e.Type == "parker.reset" && heard == 0:
				case e.Data == want[heard] && e.Type == "":
					heard++
				default:
					t.Fatalf("a stream at %s heard %+v, want %q", who, e, want[heard])
				}
			}
		}
	})
}

// The server has not answered a publish when the broker is replaced.
func TestReloadOfBrokerKeepsMessageThatIsBeingPublished(t *testing.T) {
	eachOrder(t, func(t *testing.T, r *replacing) {
		r.park(t, r.options[0])
		awaitReachable(t, r.Caddy, true)
		r.wires[0].Stall()
		published := make(chan caddytest.Answer, 1)
		go func() {
			published <- caddytest.Do(t.Context(), http.MethodPost, "http://"+r.Hook+"/messages", "a message", "Content-Type: text/plain")
		}()
		caddytest.Await(t, "the publish waits for the server", func() bool { return health(t, r.Caddy).Waiting == 1 })
		r.MustLoad(t, r.site(r.options[1]))
		r.check(t)
		if answer := <-published; answer.Status != http.StatusOK && answer.Status != http.StatusAccepted {
			t.Errorf("the publish was answered %+v", answer)
		}
	})
}
