package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// storm has polls and streams on many rooms while Caddy is reloaded. One room after the
// other gets something new: a message, or a new version of the backend's answer.
type storm struct {
	caddy *caddytest.Secure
	rooms []*room
	still *room // a room without news

	hook      *http.Transport // uses each connection once
	published atomic.Int32
	closing   atomic.Bool // from now on each publish is the last of its room

	mu    sync.Mutex      // guards known
	known map[string]bool // the polls that reached a backend
}

// room has what its readers must have heard at the end. Its backends answer with the
// version unless the client already has it.
type room struct {
	name  string
	start string // the position at the start

	mu                sync.Mutex // guards all below
	messages, version int
}

func (r *room) upTo() (messages, version int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.messages, r.version
}

// reader has what a reader of a room has heard so far.
type reader struct {
	room              *room
	messages, version int
	id                string
}

func (h *reader) all() bool {
	messages, version := h.room.upTo()
	return h.messages == messages && h.version == version
}

// take notes a message or a version, and returns an error if it comes out of order.
func (h *reader) take(text string) error {
	kind, number, _ := strings.Cut(text, " ")
	n, err := strconv.Atoi(number)
	switch {
	case err != nil:
		return fmt.Errorf("heard %q", text)
	case kind == "message" && n == h.messages+1:
		h.messages = n
	case kind == "version" && n >= h.version:
		h.version = n
	default:
		return fmt.Errorf("after %d messages and version %d, heard %q", h.messages, h.version, text)
	}
	return nil
}

// stormSite is the template of all configurations. GLOBALS, AROUND and the other words
// are replaced as in generations.
const stormSite = `{
	{$GLOBAL}
	servers {
		protocols h1 h2 h3
	}
	parker {
		GLOBALS
	}
}
http://{$SITE}, https://{$TLS_SITE} {
	AROUND
	parker /rooms/* ROUTE {
		timeout TIMEOUT
		OPTIONS
	}
	reverse_proxy UPSTREAM {
		header_up X-Upstream {upstream_hostport}
	}
}
http://{$HOOK} {
	parker_publish
}
MORE
`

// generations are the changes from one reload to the next.
var generations = []map[string]string{
	{},
	{"TIMEOUT": "4m"},
	{"GLOBALS": "history 200 5m"},
	{"ROUTE": "rooms/{path.1} all"},
	{"MORE": "http://{$OTHER} {\n respond hello\n parker /x\n}"},
	{"GLOBALS": "max_parked 5000\n max_message 2MB\n max_channels_per_client 500"},
	{"AROUND": "encode gzip zstd\n log {\n output stderr\n }\n templates"},
	{"AROUND": "header X-Generation 7\n request_header X-New yes"},
	{"OPTIONS": "sse {\n queue 200\n heartbeat 5s\n }\n share {header.Cookie}"},
	{"ROUTE": "rooms/{path.1} rooms/lobby", "OPTIONS": "asks 16\n per_client 10000"},
}

func generation(i int, upstream string) string {
	words := map[string]string{"UPSTREAM": upstream, "TIMEOUT": "5m"} // longer than the test
	maps.Copy(words, generations[i%len(generations)])
	pairs := []string{}
	for _, word := range []string{"GLOBALS", "AROUND", "ROUTE", "TIMEOUT", "OPTIONS", "UPSTREAM", "MORE"} {
		pairs = append(pairs, word, words[word])
	}
	return strings.NewReplacer(pairs...).Replace(stormSite)
}

// serve is the handler of all backends.
func (s *storm) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.known[r.Header.Get("X-Attempt")] = true
	s.mu.Unlock()
	for _, room := range slices.Concat(s.rooms, []*room{s.still}) {
		if r.URL.Path == "/"+room.name {
			_, version := room.upTo()
			if r.URL.Query().Get("version") == strconv.Itoa(version) {
				w.WriteHeader(http.StatusNoContent)
			} else {
				fmt.Fprint(w, "version ", version)
			}
			return
		}
	}
	http.NotFound(w, r)
}

// begin publishes a first message in each room, after which all readers start.
func (s *storm) begin(t *testing.T, rooms int) {
	for i := range rooms {
		s.rooms = append(s.rooms, &room{name: fmt.Sprint("rooms/", i)})
	}
	s.still = &room{name: "rooms/still"}
	for _, r := range s.rooms {
		r.start = s.publish(t, r, false).Position
	}
}

// publish puts something new into the room. If the connection fails, it publishes again
// with the same ID.
func (s *storm) publish(t *testing.T, r *room, version bool) caddytest.Publication {
	r.mu.Lock()
	body := ""
	if version {
		r.version++
	} else {
		r.messages++
		body = fmt.Sprint("message ", r.messages)
	}
	id := fmt.Sprint("Parker-Id: ", r.messages, " ", r.version)
	r.mu.Unlock()
	var g caddytest.Answer
	for range 5 {
		g = caddytest.DoWith(t.Context(), s.hook, http.MethodPost, "http://"+s.caddy.Hook+"/"+r.name, body, id, "Content-Type: text/plain")
		if g.Err == nil {
			break
		}
	}
	var p caddytest.Publication
	if err := json.Unmarshal([]byte(g.Body), &p); err != nil || g.Status != http.StatusOK {
		t.Errorf("publishing on %s: %+v", r.name, g)
	}
	s.published.Add(1)
	return p
}

// publishAll puts something new into one room after the other until end is closed, and
// then the last message into each room.
func (s *storm) publishAll(t *testing.T, every time.Duration, end <-chan struct{}) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-tick.C:
			s.publish(t, s.rooms[i%len(s.rooms)], i/len(s.rooms)%3 == 2)
		case <-end:
			s.closing.Store(true)
			for _, r := range s.rooms {
				s.publish(t, r, false)
			}
			return
		}
	}
}

// poll polls until the client has heard everything.
func (s *storm) poll(t *testing.T, client *caddytest.Client, name string, r *room) {
	h := &reader{room: r, id: r.start, messages: 1}
	lost := 0
	for i := 0; !s.closing.Load() || !h.all(); i++ {
		attempt := fmt.Sprint(name, " ", i)
		g := client.Do(t.Context(), http.MethodGet, fmt.Sprintf("/%s?version=%d", r.name, h.version), "",
			"Last-Event-ID: "+h.id, "X-Attempt: "+attempt)
		if g.Err != nil && lost < 3 && !s.asked(attempt) {
			lost++ // on a connection that the old listener had not accepted
			continue
		}
		if g.Status != http.StatusOK || g.Header.Get("Parker-Recovered") != "" {
			t.Errorf("%s of %s, attempt %d: got %+v", name, r.name, i, g)
			return
		}
		if err := h.take(g.Body); err != nil {
			t.Errorf("%s of %s, attempt %d: %v, with %v", name, r.name, i, err, g.Header)
			return
		}
		if strings.HasPrefix(g.Body, "message") {
			h.id = g.Header.Get("Last-Event-ID")
		}
	}
}

func (s *storm) asked(attempt string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[attempt]
}

// open opens a stream.
func (s *storm) open(t *testing.T, client *caddytest.Client, r *room) *caddytest.Stream {
	return caddytest.ListenWith(t, client.Transport, client.URL+"/"+r.name+"?version=0", "Last-Event-ID: "+r.start)
}

// listen reads a stream until the client has heard everything.
func (s *storm) listen(t *testing.T, client *caddytest.Client, stream *caddytest.Stream, r *room) {
	h := &reader{room: r, messages: 1}
	for !s.closing.Load() || !h.all() {
		event, ok, err := stream.NextWithin(caddytest.Patience)
		if err == nil && (!ok || event.Type != "") {
			err = fmt.Errorf("heard %+v", event)
		}
		if err == nil {
			err = h.take(event.Data)
		}
		if err != nil {
			t.Errorf("a stream of %s by %s, after %d messages and version %d: %v", r.name, client.Protocol, h.messages, h.version, err)
			return
		}
	}
}
