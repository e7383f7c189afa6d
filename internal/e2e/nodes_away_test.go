package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// lossOfBroker has the ways in which a node loses its broker.
var lossOfBroker = map[string]func(*caddytest.Proxy){
	"refused": (*caddytest.Proxy).Cut,
	"silent":  (*caddytest.Proxy).Stall,
}

// eachLoss runs a test with nodes of each broker and each way to lose it.
func eachLoss(t *testing.T, test func(t *testing.T, s *severalNodes, lose func(*caddytest.Proxy))) {
	t.Parallel()
	for name, lose := range lossOfBroker {
		t.Run(name, func(t *testing.T) {
			eachBroker(t, func(t *testing.T, s *severalNodes) { test(t, s, lose) })
		})
	}
}

// eachServer runs a test with a server of each broker, and the option for it.
func eachServer(t *testing.T, test func(t *testing.T, option, address string)) {
	t.Parallel()
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(t, redisOption, caddytest.StartRedis(t).Address())
	})
	t.Run("nats", func(t *testing.T) {
		t.Parallel()
		test(t, natsOption, caddytest.StartNATS(t).Address())
	})
}

// listenAt opens a stream of messages at a node and returns when the stream is ready.
func (s *severalNodes) listenAt(t *testing.T, node int) *caddytest.Stream {
	t.Helper()
	stream := caddytest.Listen(t, "http://"+s.nodes[node].Site+"/messages")
	awaitStreams(t, s.nodes[node], "messages", 1)
	return stream
}

// expectData checks the data of the next events of a stream.
func expectData(t *testing.T, who string, stream *caddytest.Stream, data ...string) {
	t.Helper()
	for _, want := range data {
		if e := stream.Next(t); e.Data != want || e.Type != "" {
			t.Errorf("%s heard %+v, want %q", who, e, want)
		}
	}
}

func TestBrokerPublishesQueuedEventsInOrderOnReturn(t *testing.T) {
	eachLoss(t, func(t *testing.T, s *severalNodes, lose func(*caddytest.Proxy)) {
		here, there := s.listenAt(t, 0), s.listenAt(t, 1)
		lose(s.wires[0])
		publishAway(t, s.nodes[0], "messages", "found out")
		want := []string{"elsewhere", "found out"}
		begin := time.Now()
		for i := range 20 {
			text := fmt.Sprint("away ", i)
			want = append(want, text)
			publishAway(t, s.nodes[0], "messages", text)
		}
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("20 events took %v, although no server has to be waited for", took)
		}
		s.nodes[1].Publish(t, "messages", "text/plain", "elsewhere")
		s.wires[0].Heal()
		expectData(t, "a stream at the other node", there, want...)
		expectData(t, "a stream at the node", here, want...)
		awaitReachable(t, s.nodes[0], true)
		s.nodes[0].Publish(t, "messages", "text/plain", "after")
		expectData(t, "a stream at the node", here, "after")
		expectData(t, "a stream at the other node", there, "after")
	})
}

func TestBrokerOutageLetsPublishWakeRequestsOfNodeAtOnce(t *testing.T) {
	eachLoss(t, func(t *testing.T, s *severalNodes, lose func(*caddytest.Proxy)) {
		lose(s.wires[0])
		elsewhere := s.rows(t, 1)
		s.nodes[1].AwaitWaiting(t, "rows", 1)
		for since, publish := range []func(){
			func() { caddytest.Do(t.Context(), http.MethodPost, "http://"+s.nodes[0].Site+"/rows", "0") },
			func() {
				caddytest.Do(t.Context(), http.MethodPost, "http://"+s.legacy.Address, "1")
				if released := publishAway(t, s.nodes[0], "rows", "a message"); released != 1 {
					t.Errorf("%d requests were released", released)
				}
			},
		} {
			parked := caddytest.Get(t.Context(), fmt.Sprint("http://", s.nodes[0].Site, "/rows?since=", since))
			s.nodes[0].AwaitWaiting(t, "rows", 1)
			publish()
			if answer := <-parked; answer.Body != fmt.Sprintf("[%q]", fmt.Sprint(since)) || answer.Release() != "replay" {
				t.Errorf("the poll parked at the node was answered %+v", answer)
			}
		}
		s.wires[0].Heal()
		if answer := <-elsewhere; !strings.Contains(answer.Body, "1") || answer.Release() != "replay" {
			t.Errorf("the poll parked at the other node was answered %+v", answer)
		}
	})
}

// A client moves between the node that is cut off and the other one repeatedly.
func TestBrokerOutageGivesMovingClientEachMessageOnce(t *testing.T) {
	eachBroker(t, func(t *testing.T, s *severalNodes) {
		at := s.nodes[0].PublishWith(t, "messages", "before").Position
		s.wires[0].Cut()
		awaitReachable(t, s.nodes[0], false)
		hear := func(node int, want string) {
			t.Helper()
			answer := <-s.messages(t, node, "Last-Event-ID: "+at)
			if answer.Body != want || answer.Header.Get("Parker-Recovered") != "" {
				t.Errorf("after %s, node %d answered %+v, want %q", at, node, answer, want)
			}
			at = answer.Header.Get("Last-Event-ID")
		}
		for i := range 5 {
			publishAway(t, s.nodes[0], "messages", fmt.Sprint("here ", i))
			text := fmt.Sprint("there ", i)
			s.nodes[1].Publish(t, "messages", "text/plain", text)
			hear(1, text)
			answer := <-s.messages(t, 0, "Last-Event-ID: "+at, "Prefer: wait=0")
			if answer.Status != http.StatusNoContent || answer.Header.Get("Parker-Recovered") != "" || answer.Header.Get("Last-Event-ID") != at {
				t.Errorf("after %s, the node that is cut off answered %+v", at, answer)
			}
		}
		missed := s.messages(t, 0, "Last-Event-ID: "+at)
		s.nodes[0].AwaitWaiting(t, "messages", 1)
		s.wires[0].Heal()
		if answer := <-missed; answer.Body != "here 0" {
			t.Errorf("after the broker returned, the client heard %+v", answer)
		}
		for i := range 5 {
			hear(i%2, fmt.Sprint("here ", i))
		}
	})
}

func TestBrokerAcceptsNodeThatStartedWithoutIt(t *testing.T) {
	eachServer(t, func(t *testing.T, option, address string) {
		s := &severalNodes{legacy: caddytest.NewLegacy(t)}
		for i := range s.nodes {
			s.wires[i] = caddytest.StartProxy(t, address)
			if i == 0 {
				s.wires[i].Cut()
			}
			s.nodes[i] = caddytest.Start(t, fmt.Sprintf(severalSite, fmt.Sprintf(option, s.wires[i].Address)), s.legacy.Address)
		}
		here, there := s.listenAt(t, 0), s.listenAt(t, 1)
		own := positionAt(t, s.nodes[0], "messages")
		publishAway(t, s.nodes[0], "messages", "alone")
		parked, told := s.rows(t, 0), s.messages(t, 0, "Last-Event-ID: "+own)
		s.nodes[0].AwaitWaiting(t, "rows", 1)
		s.nodes[0].AwaitWaiting(t, "messages", 1)

		s.wires[0].Heal()
		expectData(t, "a stream at the other node", there, "alone")
		// The node cannot know the events before it reached the log.
		if e := here.Next(t); e.Type != "parker.reset" {
			t.Errorf("a stream at the node heard %+v", e)
		}
		expectData(t, "a stream at the node", here, "alone")
		answer := <-told
		if answer.Header.Get("Parker-Recovered") != "false" || answer.Body != "[]" {
			t.Errorf("a client with a position of the node was answered %+v", answer)
		}
		s.nodes[1].Publish(t, "messages", "text/plain", "together")
		expectData(t, "a stream at the node", here, "together")
		expectData(t, "a stream at the other node", there, "together")
		// From its new position on, the client gets everything that is added to the log.
		at := answer.Header.Get("Last-Event-ID")
		for _, want := range []string{"alone", "together"} {
			next := resumedAt(t, s.nodes[1], at)
			if next.Body != want {
				t.Errorf("a client that continues at the other node was answered %+v, want %q", next, want)
			}
			at = next.Header.Get("Last-Event-ID")
		}
		caddytest.Do(t.Context(), http.MethodPost, "http://"+s.nodes[1].Site+"/rows", "row")
		if answer := <-parked; !strings.Contains(answer.Body, "row") {
			t.Errorf("the poll parked at the node was answered %+v", answer)
		}
	})
}

func TestBrokerOutageKeepsWatchRunning(t *testing.T) {
	t.Parallel()
	pages := caddytest.NewPages(t)
	pages.Put("/page", emptyList)
	wire := caddytest.StartProxy(t, caddytest.StartRedis(t).Address())
	caddy := caddytest.Start(t, fmt.Sprintf(strings.Replace(severalSite, "parker /rows rows", "parker /page {\n\t\twatch 50ms\n\t}", 1), fmt.Sprintf(redisOption, wire.Address)), pages.Address)
	wire.Stall()
	publishAway(t, caddy, "elsewhere", "")
	parked := caddytest.Get(t.Context(), "http://"+caddy.Site+"/page")
	stream := caddytest.Listen(t, "http://"+caddy.Site+"/page")
	caddy.AwaitWaiting(t, "page", 1)
	awaitStreams(t, caddy, "page", 1)
	pages.Put("/page", caddytest.Page{Body: "news"})
	if answer := <-parked; answer.Body != "news" || answer.Release() != "watch" {
		t.Errorf("a poll was answered %+v", answer)
	}
	expectData(t, "a stream", stream, "news")
}

// patienceOfBrokers is shorter than any time that a server is waited for.
const patienceOfBrokers = 3 * time.Second

func TestBrokerOutageKeepsStopPrompt(t *testing.T) {
	eachLoss(t, func(t *testing.T, s *severalNodes, lose func(*caddytest.Proxy)) {
		stream, parked := s.listenAt(t, 0), s.rows(t, 0)
		s.nodes[0].AwaitWaiting(t, "rows", 1)
		lose(s.wires[0])
		publishAway(t, s.nodes[0], "messages", "away")
		// The other node, which has its broker, shows how long a stop takes on this
		// machine.
		usual := make(chan time.Duration, 1)
		go func() { usual <- s.nodes[1].Stop(t) }()
		took := s.nodes[0].Stop(t)
		if usual := <-usual; took > usual+patienceOfBrokers {
			t.Errorf("the stop took %v, and %v with the broker", took, usual)
		}
		if answer := <-parked; answer.Body != "[]" || answer.Release() != "stop" {
			t.Errorf("a poll was answered %+v", answer)
		}
		if rest, err := stream.Rest(t); err != nil || len(rest) != 0 {
			t.Errorf("a stream ended with %v, %v", rest, err)
		}
	})
}

func TestBrokerCarriesBackendAnnouncementToOtherNode(t *testing.T) {
	eachServer(t, func(t *testing.T, option, address string) {
		legacy := caddytest.NewLegacy(t)
		announcing := caddytest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Parker-Publish", "other, rows")
			fmt.Fprint(w, "news")
		})
		site := fmt.Sprintf(severalSite, fmt.Sprintf(option, address))
		one, other := caddytest.Start(t, site, announcing), caddytest.Start(t, site, legacy.Address)
		parked := caddytest.Get(t.Context(), "http://"+other.Site+"/rows?since=0")
		other.AwaitWaiting(t, "rows", 1)
		caddytest.Do(t.Context(), http.MethodPost, "http://"+legacy.Address, "row")
		if answer := caddytest.Do(t.Context(), http.MethodGet, "http://"+one.Site+"/rows", ""); answer.Body != "news" || answer.Header.Get("Parker-Publish") != "" {
			t.Errorf("the client was answered %+v", answer)
		}
		if answer := <-parked; answer.Body != `["row"]` || answer.Release() != "replay" {
			t.Errorf("the poll parked at the other node was answered %+v", answer)
		}
	})
}
