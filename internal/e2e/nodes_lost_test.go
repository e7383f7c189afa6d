package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// emptied is the server of a broker, with a function that empties its log.
var emptied = map[string]func(t *testing.T) (option, address string, empty func()){
	"FLUSHALL": func(t *testing.T) (string, string, func()) {
		redis := caddytest.StartRedis(t)
		return redisOption, redis.Address(), func() { redis.Do(t, "FLUSHALL") }
	},
	"DEL": func(t *testing.T) (string, string, func()) {
		redis := caddytest.StartRedis(t)
		return redisOption, redis.Address(), func() { redis.Do(t, "DEL", "parker:events:0") }
	},
	"a restart without persistence": func(t *testing.T) (string, string, func()) {
		redis := caddytest.StartRedis(t)
		return redisOption, redis.Address(), func() { redis.Restart(t) }
	},
	"a stream deleted": func(t *testing.T) (string, string, func()) {
		server := caddytest.StartNATS(t)
		return natsOption, server.Address(), func() {
			if err := streamsOf(t, server).DeleteStream(t.Context(), "PARKER"); err != nil {
				t.Fatal(err)
			}
		}
	},
	"a stream purged, and more": func(t *testing.T) (string, string, func()) {
		server := caddytest.StartNATS(t)
		return natsOption, server.Address(), func() {
			js := streamsOf(t, server)
			stream, err := js.Stream(t.Context(), "PARKER")
			if err == nil {
				// The nodes are notified of a message that no longer exists.
				err = stream.Purge(t.Context(), jetstream.WithPurgeSequence(1<<40))
			}
			if err == nil {
				err = js.DeleteStream(t.Context(), "PARKER")
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	},
}

func streamsOf(t *testing.T, server *caddytest.NATS) jetstream.JetStream {
	t.Helper()
	connection, err := nats.Connect("nats://" + server.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(connection.Close)
	js, err := jetstream.New(connection)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func TestBrokerEmptiedLogResetsEachClientOnce(t *testing.T) {
	t.Parallel()
	for name, server := range emptied {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			option, address, empty := server(t)
			legacy := caddytest.NewLegacy(t)
			var asks [2]atomic.Int32 // for clients without a position, by node
			backend := caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				var node int
				if _, err := fmt.Sscan(r.URL.Query().Get("without"), &node); err == nil {
					asks[node].Add(1)
				}
				legacy.ServeHTTP(w, r)
			})
			s := &severalNodes{}
			for i := range s.nodes {
				s.nodes[i] = caddytest.Start(t, severalSiteWith(option, address), backend)
			}
			start := s.nodes[0].PublishWith(t, "messages", "before").Position
			type waiting struct {
				with    map[string]<-chan caddytest.Answer
				without <-chan caddytest.Answer
				stream  *caddytest.Stream
			}
			var all [2]waiting
			for i, node := range s.nodes {
				all[i] = waiting{
					with: map[string]<-chan caddytest.Answer{
						"messages": s.messages(t, i, "Last-Event-ID: "+start),
						"rows":     caddytest.Get(t.Context(), "http://"+node.Site+"/rows?since=0", "Last-Event-ID: "+start),
					},
					without: caddytest.Get(t.Context(), fmt.Sprint("http://", node.Site, "/rows?since=0&without=", i)),
					stream:  s.listenAt(t, i),
				}
				node.AwaitWaiting(t, "messages", 1)
				node.AwaitWaiting(t, "rows", 2)
			}
			empty()
			for i, w := range all {
				for what, told := range w.with {
					answer := <-told
					at := answer.Header.Get("Last-Event-ID")
					if answer.Header.Get("Parker-Recovered") != "false" || at == "" || at == start {
						t.Errorf("node %d: the poll for %s was answered %+v", i, what, answer)
					}
					again := caddytest.Do(t.Context(), http.MethodGet, "http://"+s.nodes[1-i].Site+"/"+what+"?since=0", "", "Prefer: wait=0", "Last-Event-ID: "+at)
					if again.Header.Get("Parker-Recovered") != "" {
						t.Errorf("node %d: the poll for %s was reset a second time: %+v", i, what, again)
					}
				}
				// The new position comes with the backend's answer: until then, the client
				// must be told again if it comes back.
				epoch, _, _ := strings.Cut(start, "-")
				if e := w.stream.Next(t); e.Type != "parker.reset" || !strings.HasPrefix(e.ID, epoch+"-") {
					t.Errorf("node %d: a stream heard %+v", i, e)
				}
			}
			for _, node := range s.nodes {
				caddytest.Await(t, "the node knows the log again", func() bool {
					return caddytest.Do(t.Context(), http.MethodPost, "http://"+node.Hook+"/other", "").Status == http.StatusOK
				})
				node.Publish(t, "messages", "text/plain", "after")
			}
			for i, w := range all {
				expectData(t, "a stream", w.stream, "after", "after")
				s.nodes[i].AwaitWaiting(t, "rows", 1)
				if n := asks[i].Load(); n != 2 {
					t.Errorf("node %d: for the client without a position the backend was asked %d times", i, n)
				}
			}
			caddytest.Do(t.Context(), http.MethodPost, "http://"+s.nodes[0].Site+"/rows", "row")
			for i, w := range all {
				if answer := <-w.without; answer.Body != `["row"]` {
					t.Errorf("node %d: the client without a position was answered %+v", i, answer)
				}
			}
		})
	}
}

// A purge does not change the count: no event after a known position is missing.
func TestBrokerSurvivesPurgedStream(t *testing.T) {
	t.Parallel()
	server := caddytest.StartNATS(t)
	s := startSeveral(t, natsOption, server.Address())
	start := s.nodes[0].PublishWith(t, "messages", "before").Position
	last := s.nodes[0].PublishWith(t, "messages", "missed").Position
	parked := s.messages(t, 1, "Last-Event-ID: "+last)
	s.nodes[1].AwaitWaiting(t, "messages", 1)
	stream, err := streamsOf(t, server).Stream(t.Context(), "PARKER")
	if err == nil {
		err = stream.Purge(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	s.nodes[0].Publish(t, "messages", "text/plain", "after")
	if answer := <-parked; answer.Body != "after" && answer.Header.Get("Parker-Recovered") != "false" {
		t.Errorf("the parked poll was answered %+v", answer)
	}
	// The client gets what it missed from the node's memory, or is told that it missed
	// something.
	if answer := resumedAt(t, s.nodes[1], start); answer.Body != "missed" && answer.Header.Get("Parker-Recovered") != "false" {
		t.Errorf("the client that was away was answered %+v", answer)
	}
	late := caddytest.Start(t, severalSiteWith(natsOption, server.Address()), s.legacy.Address)
	if answer := resumedAt(t, late, start); answer.Header.Get("Parker-Recovered") != "false" {
		t.Errorf("a node started later answered %+v", answer)
	}
}

// Each client has another position, and asks because the log is lost.
func TestBrokerEmptiedLogCostsSharingClientsOneAsk(t *testing.T) {
	t.Parallel()
	const clients = 30
	redis := caddytest.StartRedis(t)
	var asks atomic.Int32
	backend := caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		asks.Add(1)
		fmt.Fprint(w, "everything")
	})
	caddy := caddytest.Start(t, configuration("parker {\n broker "+fmt.Sprintf(redisOption, redis.Address())+"\n}",
		"parker /x room {\n hold messages\n share public\n}", strings.TrimPrefix(backend, "http://")), "")
	awaitReachable(t, caddy, true)
	var polls []<-chan caddytest.Answer
	for range clients {
		position := caddy.PublishWith(t, "another", "").Position
		polls = append(polls, caddytest.Get(t.Context(), "http://"+caddy.Site+"/x", "Last-Event-ID: "+position))
	}
	caddy.AwaitWaiting(t, "room", clients)
	redis.Do(t, "FLUSHALL")
	caddytest.Do(t.Context(), http.MethodPost, "http://"+caddy.Hook+"/another", "") // so that the loss is found at once
	expect(t, "everything", "", polls...)
	if n := asks.Load(); n > 3 {
		t.Errorf("%d clients asked %d times", clients, n)
	}
}
