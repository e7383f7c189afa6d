package storm

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// kind is a kind of client.
type kind struct {
	name   string
	path   string
	topics int // number of topics that it waits on
	batch  bool
	stream bool
}

var kinds = [...]kind{
	{name: "a poll for messages", path: "/messages", topics: 1},
	{name: "a poll for messages, many at a time", path: "/messages", topics: 2, batch: true},
	{name: "a poll", path: "/rows", topics: 1},
	{name: "a poll, many messages at a time", path: "/rows", topics: 1, batch: true},
	{name: "a stream of messages", path: "/messages", topics: 2, stream: true},
	{name: "a stream", path: "/rows", topics: 1, stream: true},
}

// hopper is a client that resumes at any node from its own position. If a node does not
// know that position, the client asks another node.
type hopper struct {
	kind
	*fleet
	number int
	topics []string
	at     string

	answers, failures, resets int

	mu    sync.Mutex // guards all below
	node  int        // the index of the node that it asks
	heard map[string][]int
	since int // the last row that it has heard
}

func newHopper(f *fleet, i int, start string) *hopper {
	h := &hopper{kind: kinds[i%len(kinds)], fleet: f, number: i, at: start, heard: make(map[string][]int)}
	for n := range h.kind.topics {
		h.topics = append(h.topics, topicOf(i/len(kinds)+n))
	}
	return h
}

// String describes the client and where it has been.
func (h *hopper) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return fmt.Sprintf("client %d, %s, at node %d, after %s", h.number, h.name, h.node, h.at)
}

// lacks describes what the client has not heard yet. It is empty if it has heard
// everything.
func (h *hopper) lacks() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, topic := range h.topics {
		if number := h.ledger.missing(topic, h.heard[topic]); number > 0 {
			return fmt.Sprintf("message %d of %s, having heard %v", number, topic, h.heard[topic])
		}
	}
	if count := h.rows.count(h.topics[0]); h.path == "/rows" && h.since < count {
		return fmt.Sprintf("row %d of %s, having row %d", count, h.topics[0], h.since)
	}
	return ""
}

func (h *hopper) run(ctx context.Context, t *testing.T) {
	for ctx.Err() == nil {
		err := h.visit(ctx)
		h.answers++
		if wrong, ok := errors.AsType[wrong](err); ok {
			t.Errorf("%s: %s", h, wrong)
			return
		}
		if err != nil {
			h.failures++
			<-time.After(rand.N(50 * time.Millisecond))
		}
	}
}

// errReset means that a node does not know the client's position.
var errReset = errors.New("the position is not known")

// wrong is an error that no failure of a node excuses.
type wrong string

func (w wrong) Error() string { return string(w) }

// visit asks a node once. During the storm the client may disconnect before it is
// answered.
func (h *hopper) visit(ctx context.Context) error {
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	whole := h.whole.Load()
	select {
	case <-h.calm:
	default:
		if h.stream || rand.N(3) == 0 {
			defer time.AfterFunc(rand.N(2*time.Second), leave).Stop()
		}
	}
	h.mu.Lock()
	h.node = rand.N(len(h.nodes))
	r := h.request(ctx, h.nodes[h.node].caddy.Site)
	h.mu.Unlock()
	answer, err := h.client.RoundTrip(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusNoContent:
		return wrong(fmt.Sprintf("answered %s %v", answer.Status, answer.Header))
	case answer.Header.Get("Parker-Recovered") != "":
		return h.reset(whole)
	case h.stream:
		return h.listen(answer.Body)
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	return h.take(answer.Header, string(text))
}

// reset is called if a node does not know the events after the client's position, which
// is allowed while the node is cut off from the broker.
func (h *hopper) reset(whole bool) error {
	h.resets++
	if whole {
		return wrong("its position is lost, though nothing fails any more")
	}
	return errReset
}

func (h *hopper) request(ctx context.Context, site string) *http.Request {
	query := url.Values{"one": {h.topics[0]}, "two": {h.topics[len(h.topics)-1]}, "since": {strconv.Itoa(h.since)}}
	if h.batch {
		query.Set("batch", "true")
	}
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+site+h.path+"?"+query.Encode(), nil)
	r.Header.Set("Last-Event-ID", h.at)
	if h.batch {
		r.Header.Set("Accept", "application/json")
	}
	if h.stream {
		r.Header.Set("Accept", "text/event-stream")
	}
	return r
}

// take takes the answer to a poll.
func (h *hopper) take(header http.Header, text string) error {
	id := header.Get("Last-Event-ID")
	switch {
	case strings.HasPrefix(text, "["):
		var events []struct{ ID, Data string }
		if err := json.Unmarshal([]byte(text), &events); err != nil {
			return wrong(err.Error())
		}
		for _, e := range events {
			if err := h.hear(e.ID, e.Data, h.since); err != nil {
				return err
			}
		}
		return nil
	case text != "":
		return h.hear(id, text, h.since)
	case id != "":
		h.at = id
	}
	return nil
}

// listen takes the events of a stream.
func (h *hopper) listen(body io.Reader) error {
	lines := bufio.NewReader(body)
	opened := h.since
	var id, eventType, data string
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return err
		}
		switch name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": "); {
		case name == "id":
			id = value
		case name == "event":
			eventType = value
		case name == "data":
			data = value
		case line == "\n" && eventType == "parker.reset":
			return h.reset(false)
		case line == "\n" && eventType != "":
			return wrong(fmt.Sprintf("heard %s %s", eventType, data))
		case line == "\n" && data != "":
			if err := h.hear(id, data, opened); err != nil {
				return err
			}
			data = ""
		case line == "\n" && id != "":
			h.at = id
		}
	}
}

// hear takes a message with its position, or all rows after since.
func (h *hopper) hear(id, text string, since int) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if list, ok := strings.CutPrefix(text, rowsPrefix); ok {
		for number := range strings.FieldsSeq(list) {
			if since++; number != strconv.Itoa(since) {
				return wrong(fmt.Sprintf("row %s came in the place of %d", number, since))
			}
		}
		h.since = max(h.since, since)
		if id != "" {
			h.at = id
		}
		return nil
	}
	topic, number, _ := strings.Cut(text, " ")
	n, err := strconv.Atoi(number)
	if err != nil || id == "" {
		return wrong(fmt.Sprintf("heard %q at %q", text, id))
	}
	h.heard[topic] = append(h.heard[topic], n)
	h.at = id
	return nil
}
