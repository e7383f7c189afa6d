package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/caddy-parker/parker/internal/admin"
	"github.com/caddy-parker/parker/internal/caddytest"
	"github.com/caddy-parker/parker/internal/status"
)

// severalSite is the site of each node. At /rows the backend is asked first, at
// /messages it is not asked.
const severalSite = `{
	{$GLOBAL}
	parker {
		broker %s
	}
}
http://{$SITE} {
	parker_notify /rows rows
	parker /rows rows
	parker /messages messages {
		hold messages
		timeout 30s
	}
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_publish
}`

// severalNodes are two nodes that share a broker and a backend. Each node has its own
// proxy to the broker.
type severalNodes struct {
	legacy *caddytest.Legacy
	nodes  [2]*caddytest.Caddy
	wires  [2]*caddytest.Proxy
}

// startSeveral starts two nodes with the broker option, in which %s stands for the
// address.
func startSeveral(t *testing.T, option, address string) *severalNodes {
	t.Helper()
	s := &severalNodes{legacy: caddytest.NewLegacy(t)}
	for i := range s.nodes {
		s.wires[i] = caddytest.StartProxy(t, address)
		s.nodes[i] = caddytest.Start(t, fmt.Sprintf(severalSite, fmt.Sprintf(option, s.wires[i].Address)), s.legacy.Address)
		awaitReachable(t, s.nodes[i], true)
	}
	return s
}

const (
	redisOption = "redis {\n\t\t\turl redis://%s\n\t\t}"
	natsOption  = "nats {\n\t\t\turl nats://%s\n\t\t}"
)

// eachBroker runs a test with nodes that share Redis, and with nodes that share NATS.
func eachBroker(t *testing.T, test func(*testing.T, *severalNodes)) {
	t.Parallel()
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(t, startSeveral(t, redisOption, caddytest.StartRedis(t).Address()))
	})
	t.Run("nats", func(t *testing.T) {
		t.Parallel()
		test(t, startSeveral(t, natsOption, caddytest.StartNATS(t).Address()))
	})
}

// health returns the state of the broker, as a node sees it.
func health(t *testing.T, c *caddytest.Caddy) status.Broker {
	t.Helper()
	var totals admin.Totals
	administer(t, c, http.MethodGet, "/parker/", http.StatusOK, &totals)
	return totals.Broker
}

func awaitReachable(t *testing.T, c *caddytest.Caddy, reachable bool) {
	t.Helper()
	caddytest.Await(t, fmt.Sprint("the broker is reachable: ", reachable), func() bool { return health(t, c).Reachable == reachable })
}

// publishAway publishes while the broker cannot be reached. It returns how many requests
// that released.
func publishAway(t *testing.T, c *caddytest.Caddy, channel, body string) (released int) {
	t.Helper()
	answer := caddytest.Do(t.Context(), http.MethodPost, "http://"+c.Hook+"/"+channel, body)
	var report struct {
		Released int
		Broker   string
	}
	err := json.Unmarshal([]byte(answer.Body), &report)
	if err != nil || answer.Status != http.StatusAccepted || report.Broker != "unreachable" || strings.Contains(answer.Body, "position") {
		t.Fatalf("publishing while the broker is away: %+v", answer)
	}
	return report.Released
}

// positionAt returns the newest position at a node.
func positionAt(t *testing.T, c *caddytest.Caddy, channel string) string {
	t.Helper()
	var report struct{ Position string }
	answer := caddytest.Do(t.Context(), http.MethodGet, "http://"+c.Hook+"/"+channel, "")
	if err := json.Unmarshal([]byte(answer.Body), &report); err != nil || report.Position == "" {
		t.Fatalf("asking for the newest position: %+v", answer)
	}
	return report.Position
}

func (s *severalNodes) rows(t *testing.T, node int) <-chan caddytest.Answer {
	return caddytest.Get(t.Context(), "http://"+s.nodes[node].Site+"/rows?since=0")
}

func (s *severalNodes) messages(t *testing.T, node int, header ...string) <-chan caddytest.Answer {
	return caddytest.Get(t.Context(), "http://"+s.nodes[node].Site+"/messages", header...)
}

func TestBrokerWriteReleasesPollAtOtherNode(t *testing.T) {
	eachBroker(t, func(t *testing.T, s *severalNodes) {
		parked := s.rows(t, 1)
		s.nodes[1].AwaitWaiting(t, "rows", 1)
		caddytest.Do(t.Context(), http.MethodPost, "http://"+s.nodes[0].Site+"/rows", "hello")
		if answer := <-parked; !strings.Contains(answer.Body, "hello") || answer.Release() != "replay" {
			t.Errorf("the other node answered %+v", answer)
		}
	})
}

func TestBrokerClientMovingBetweenNodesMissesNothing(t *testing.T) {
	eachBroker(t, func(t *testing.T, s *severalNodes) {
		parked := s.messages(t, 1)
		s.nodes[1].AwaitWaiting(t, "messages", 1)
		s.nodes[0].Publish(t, "messages", "text/plain", "0")
		answer := <-parked
		if answer.Body != "0" || answer.Release() != "message" {
			t.Fatalf("the other node answered %+v", answer)
		}
		for i := 1; i < 20; i++ {
			// Each node at once gives the message that was published at the other one.
			at := answer.Header.Get("Last-Event-ID")
			s.nodes[i%2].Publish(t, "messages", "text/plain", fmt.Sprint(i))
			answer = <-s.messages(t, (i+1)%2, "Last-Event-ID: "+at)
			if answer.Body != fmt.Sprint(i) {
				t.Fatalf("after %s, message %d was answered by %+v", at, i, answer)
			}
		}
		stream := caddytest.Listen(t, "http://"+s.nodes[0].Site+"/messages", "Last-Event-ID: "+answer.Header.Get("Last-Event-ID"))
		s.nodes[1].Publish(t, "messages", "text/plain", "on a stream")
		hears(t, stream, "on a stream")
	})
}

func TestBrokerDeliversRepeatedIDAcrossNodesOnce(t *testing.T) {
	eachBroker(t, func(t *testing.T, s *severalNodes) {
		first := s.nodes[0].PublishWith(t, "messages", "once", "Parker-Id: 7")
		second := s.nodes[1].PublishWith(t, "messages", "once", "Parker-Id: 7")
		if first.Duplicate || !second.Duplicate {
			t.Errorf("published %+v and %+v", first, second)
		}
	})
}

func TestBrokerOutageKeepsServingEachNode(t *testing.T) {
	eachBroker(t, func(t *testing.T, s *severalNodes) {
		start := s.nodes[0].PublishWith(t, "messages", "before").Position
		here, there := s.rows(t, 0), s.rows(t, 1)
		mine := s.messages(t, 0, "Last-Event-ID: "+start)
		s.nodes[0].AwaitWaiting(t, "rows", 1)
		s.nodes[1].AwaitWaiting(t, "rows", 1)
		s.nodes[0].AwaitWaiting(t, "messages", 1)
		s.wires[0].Cut()
		awaitReachable(t, s.nodes[0], false)

		publishAway(t, s.nodes[0], "messages", "away")
		// A write through the node releases its own polls, too.
		caddytest.Do(t.Context(), http.MethodPost, "http://"+s.nodes[0].Site+"/rows", "row")
		if answer := <-here; !strings.Contains(answer.Body, "row") {
			t.Errorf("the poll parked at this node was answered %+v", answer)
		}
		if answer := <-s.rows(t, 0); !strings.Contains(answer.Body, "row") {
			t.Errorf("a first ask was answered %+v", answer)
		}
		if waiting := health(t, s.nodes[0]).Waiting; waiting != 2 {
			t.Errorf("%d events wait for the broker", waiting)
		}

		late := s.messages(t, 1, "Last-Event-ID: "+start)
		s.nodes[1].AwaitWaiting(t, "messages", 1)
		s.wires[0].Heal()
		if answer := <-there; !strings.Contains(answer.Body, "row") {
			t.Errorf("the poll parked at the other node was answered %+v", answer)
		}
		heard := <-mine
		for _, answer := range []caddytest.Answer{heard, <-late} {
			if answer.Body != "away" || answer.Release() != "message" {
				t.Errorf("a poll for messages was answered %+v", answer)
			}
		}
		awaitReachable(t, s.nodes[0], true)
		s.nodes[0].Publish(t, "messages", "text/plain", "after")
		if answer := resumedAt(t, s.nodes[1], heard.Header.Get("Last-Event-ID")); answer.Body != "after" {
			t.Errorf("a client that continues at the other node was answered %+v", answer)
		}
		if waiting := health(t, s.nodes[0]).Waiting; waiting != 0 {
			t.Errorf("%d events still wait for the broker", waiting)
		}
	})
}

func TestBrokerOutageLetsNodeStart(t *testing.T) {
	t.Parallel()
	for name, option := range map[string]string{
		"redis": strings.Replace(redisOption, "redis://", "redis://:opensesame@", 1),
		"nats":  strings.Replace(natsOption, "nats://", "nats://me:opensesame@", 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			legacy := caddytest.NewLegacy(t)
			caddy := caddytest.Start(t, fmt.Sprintf(severalSite, fmt.Sprintf(option, caddytest.FreePorts(t, 1)[0])), legacy.Address)
			parked := caddytest.Get(t.Context(), "http://"+caddy.Site+"/rows?since=0")
			caddy.AwaitWaiting(t, "rows", 1)
			caddytest.Do(t.Context(), http.MethodPost, "http://"+caddy.Site+"/rows", "hello")
			if answer := <-parked; !strings.Contains(answer.Body, "hello") {
				t.Errorf("answered %+v", answer)
			}
			if released := publishAway(t, caddy, "messages", "hello"); released != 0 {
				t.Errorf("released %d", released)
			}
			stops(t, caddy)
			if log := caddy.Stderr.String(); strings.Contains(log, "opensesame") || !strings.Contains(log, "broker unreachable") {
				t.Errorf("the log lacks the reason or contains a secret:\n%s", log)
			}
		})
	}
}

func TestBrokerEmptiedIsReportedToClients(t *testing.T) {
	t.Parallel()
	redis := caddytest.StartRedis(t)
	s := startSeveral(t, redisOption, redis.Address())
	start := s.nodes[0].PublishWith(t, "messages", "before").Position
	var told []<-chan caddytest.Answer
	var streams []*caddytest.Stream
	for i := range 6 {
		told = append(told, s.messages(t, i%2, "Last-Event-ID: "+start))
		streams = append(streams, caddytest.Listen(t, "http://"+s.nodes[i%2].Site+"/messages", "Last-Event-ID: "+start))
	}
	without := s.rows(t, 0)
	s.nodes[0].AwaitWaiting(t, "messages", 3)
	s.nodes[1].AwaitWaiting(t, "messages", 3)
	s.nodes[0].AwaitWaiting(t, "rows", 1)
	asks := s.legacy.Asks.Load()
	redis.Do(t, "FLUSHALL")

	for _, answer := range told {
		lost := <-answer
		if lost.Header.Get("Parker-Recovered") != "false" || lost.Header.Get("Last-Event-ID") == start {
			t.Errorf("the parked poll was answered %+v", lost)
		}
		again := caddytest.Do(t.Context(), http.MethodGet, "http://"+s.nodes[1].Site+"/messages", "", "Prefer: wait=0", "Last-Event-ID: "+lost.Header.Get("Last-Event-ID"))
		if again.Header.Get("Parker-Recovered") != "" {
			t.Errorf("the client was reset again: %+v", again)
		}
	}
	for _, stream := range streams {
		if event := stream.Next(t); event.Type != "parker.reset" {
			t.Errorf("a stream heard %+v", event)
		}
	}
	// For clients without a position the backend is asked again, and they stay parked.
	caddytest.Await(t, "the backend is asked for the client without a position", func() bool { return s.legacy.Asks.Load() > asks })
	s.nodes[1].Publish(t, "messages", "text/plain", "after")
	for _, stream := range streams {
		hears(t, stream, "after")
	}
	caddytest.Do(t.Context(), http.MethodPost, "http://"+s.nodes[1].Site+"/rows", "hello")
	if answer := <-without; !strings.Contains(answer.Body, "hello") {
		t.Errorf("the client without a position was answered %+v", answer)
	}
}

func TestBrokerPublishesForApplications(t *testing.T) {
	t.Parallel()
	trial := func(t *testing.T, s *severalNodes, publish func(body string)) {
		var woken, told []<-chan caddytest.Answer
		for node := range s.nodes {
			woken, told = append(woken, s.rows(t, node)), append(told, s.messages(t, node))
			s.nodes[node].AwaitWaiting(t, "rows", 1)
			s.nodes[node].AwaitWaiting(t, "messages", 1)
		}
		asks := s.legacy.Asks.Load()
		publish("")
		caddytest.Await(t, "the backend is asked again for each node", func() bool { return s.legacy.Asks.Load() >= asks+2 })
		publish(`{"a":1}`)
		for _, answers := range told {
			if answer := answerIn(t, answers); answer.Body != `{"a":1}` || answer.Header.Get("Content-Type") != "application/json" {
				t.Errorf("a message was answered by %+v", answer)
			}
		}
		caddytest.Do(t.Context(), http.MethodPost, "http://"+s.nodes[0].Site+"/rows", "hello")
		expect(t, `["hello"]`, "replay", woken...)
	}
	t.Run("XADD", func(t *testing.T) {
		t.Parallel()
		redis := caddytest.StartRedis(t)
		trial(t, startSeveral(t, redisOption, redis.Address()), func(body string) {
			redis.Do(t, "XADD", "parker:events:0", "*", "channel", channelFor(body), "body", body)
		})
	})
	t.Run("PUBLISH", func(t *testing.T) {
		t.Parallel()
		redis := caddytest.StartRedis(t)
		trial(t, startSeveral(t, redisOption, redis.Address()), func(body string) {
			redis.Do(t, "PUBLISH", "parker:"+channelFor(body), body)
		})
	})
	t.Run("NATS", func(t *testing.T) {
		t.Parallel()
		server := caddytest.StartNATS(t)
		s := startSeveral(t, natsOption, server.Address())
		connection, err := nats.Connect("nats://" + server.Address())
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		trial(t, s, func(body string) {
			if err := connection.Publish("parker."+channelFor(body), []byte(body)); err != nil {
				t.Error(err)
			}
		})
	})
}

// channelFor returns the channel for a publish: rows for a wake-up, messages for a
// message.
func channelFor(body string) string {
	if body == "" {
		return "rows"
	}
	return "messages"
}

func TestReloadKeepsPositionsWithBroker(t *testing.T) {
	t.Parallel()
	redis := caddytest.StartRedis(t, "--requirepass", "one")
	legacy := caddytest.NewLegacy(t)
	config := func(broker string) string { return fmt.Sprintf(severalSite, broker) }
	with := func(password string) string {
		return config(fmt.Sprintf("redis {\n\t\t\turl redis://%s\n\t\t\tpassword %s\n\t\t}", redis.Address(), password))
	}
	caddy := caddytest.Start(t, config("memory"), legacy.Address)
	parked := caddytest.Get(t.Context(), "http://"+caddy.Site+"/rows?since=0")
	caddy.AwaitWaiting(t, "rows", 1)

	// With another broker, parked polls stay parked.
	caddy.MustLoad(t, with("one"))
	awaitReachable(t, caddy, true)
	start := caddy.PublishWith(t, "messages", "1").Position
	caddytest.Do(t.Context(), http.MethodPost, "http://"+caddy.Site+"/rows", "hello")
	if answer := <-parked; !strings.Contains(answer.Body, "hello") {
		t.Errorf("the poll parked before was answered %+v", answer)
	}

	// With another password, positions stay valid.
	redis.Do(t, "CONFIG", "SET", "requirepass", "two")
	caddy.MustLoad(t, with("two"))
	awaitReachable(t, caddy, true)
	caddy.Publish(t, "messages", "text/plain", "2")
	if answer := resumedAt(t, caddy, start); answer.Body != "2" || answer.Header.Get("Parker-Recovered") != "" {
		t.Errorf("the poll resumed after the reload was answered %+v", answer)
	}
}

func resumedAt(t *testing.T, c *caddytest.Caddy, position string) caddytest.Answer {
	t.Helper()
	return caddytest.Do(t.Context(), http.MethodGet, "http://"+c.Site+"/messages", "", "Last-Event-ID: "+position)
}
