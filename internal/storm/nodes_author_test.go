package storm

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// ledger records what was published, and at which nodes.
type ledger struct {
	mu   sync.Mutex // guards all below, and the crash counts of the nodes
	said map[string][]said
}

// said is the answer of a node to the publish of a message.
type said struct {
	node  *node
	life  int
	at    time.Time
	later bool // answered with 202: the broker did not have it yet

	// doubtful is set if the node has crashed since, so that the other nodes may not
	// get the message.
	doubtful bool
}

// add notes the answer to the next message of a topic.
func (l *ledger) add(topic string, s said) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.doubtful = s.later && s.life != s.node.life
	l.said[topic] = append(l.said[topic], s)
}

// crashed notes that the node has crashed. The broker has all that was published at the
// node up to the time safe.
func (l *ledger) crashed(n *node, safe time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, messages := range l.said {
		for i := range messages {
			s := &messages[i]
			s.doubtful = s.doubtful || s.later && s.node == n && s.life == n.life && s.at.After(safe)
		}
	}
	n.life++
}

func (l *ledger) life(n *node) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return n.life
}

func (l *ledger) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	messages, later, doubtful := 0, 0, 0
	for _, all := range l.said {
		for _, s := range all {
			messages++
			if s.later {
				later++
			}
			if s.doubtful {
				doubtful++
			}
		}
	}
	return fmt.Sprintf("%d messages, %d waited for the broker, %d of them at a node that crashed then", messages, later, doubtful)
}

// missing returns a message of the topic that was not heard, or 0.
func (l *ledger) missing(topic string, heard []int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]bool, len(l.said[topic])+1)
	for _, n := range heard {
		if n < len(all) {
			all[n] = true
		}
	}
	for n := 1; n < len(all); n++ {
		if !all[n] && !l.said[topic][n-1].doubtful {
			return n
		}
	}
	return 0
}

// faults describes what is wrong with the messages heard on a topic, other than
// missing ones. It is empty if nothing is.
//
// Messages come once, and in the order in which they were published. There is one
// exception: if a node crashes, it is unknown whether and when a message that it had
// accepted while the broker was away reached the broker.
func (l *ledger) faults(topic string, heard []int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, second := range heard {
		doubtful := l.said[topic][second-1].doubtful
		for _, first := range heard[:i] {
			switch {
			case first == second:
				return fmt.Sprintf("%d is heard twice, of %v", second, heard)
			case first > second && !doubtful:
				return fmt.Sprintf("%d is heard after %d, of %v", second, first, heard)
			}
		}
	}
	return ""
}

// check fails the test if a client has missed a message, or has heard one twice or in a
// wrong order.
func (l *ledger) check(t *testing.T, hoppers []*hopper) {
	t.Helper()
	for _, h := range hoppers {
		if lacks := h.lacks(); lacks != "" {
			t.Errorf("%s lacks %s", h, lacks)
		}
		for _, topic := range h.topics {
			if fault := l.faults(topic, h.heard[topic]); fault != "" {
				t.Errorf("%s: of %s %s", h, topic, fault)
			}
		}
	}
}

// author publishes on one topic, one event after the other, at one node as long as it
// is available or at any node. Most events are messages; the others are a row in the
// backend and a wake-up.
//
// If a publish fails, it is unknown whether the event was published, so the author
// publishes it again, at any node, with the same ID. An event that was answered with
// 202 reaches the other nodes later. So the author stays at its node until the broker
// is back, because only that node keeps its events in order.
type author struct {
	*fleet
	topic   string
	home    *node // nil if none
	staysAt *node // nil if it may move
	number  int
}

func newAuthor(f *fleet, i int) *author {
	a := &author{fleet: f, topic: topicOf(i)}
	if i%2 == 0 {
		a.home = f.nodes[i/2%nodeCount]
	}
	return a
}

func topicOf(i int) string { return fmt.Sprint("topic-", i%topics) }

// write publishes until the failures end, and then until the broker has everything.
func (a *author) write(t *testing.T) {
	const each = time.Second * topics / perSecond
	pause := func() <-chan time.Time { return time.After(each/2 + rand.N(each)) }
	for stormy := true; stormy && !t.Failed(); {
		if rand.N(5) == 0 {
			a.writeRow(t)
		} else {
			a.writeMessage(t)
		}
		select {
		case <-a.calm:
			stormy = false
		case <-pause():
		}
	}
	a.writeRow(t)
	for last := time.Now().Add(longPatience); a.staysAt != nil && !t.Failed(); <-pause() {
		if time.Now().After(last) {
			t.Errorf("node %d did not reach the broker again", a.staysAt.number)
		}
		a.writeMessage(t)
	}
}

func (a *author) writeMessage(t *testing.T) {
	a.number++
	text := fmt.Sprint(a.topic, " ", a.number)
	a.ledger.add(a.topic, a.publish(t, text, "Parker-Id: "+text))
}

func (a *author) writeRow(t *testing.T) {
	a.rows.add(a.topic)
	a.publish(t, "")
}

// publish publishes one event, with as many attempts as necessary.
func (a *author) publish(t *testing.T, body string, header ...string) said {
	last := time.Now().Add(longPatience)
	for again := false; ; again = true {
		s := said{node: a.choose(again)}
		s.life = a.ledger.life(s.node)
		answer := caddytest.DoWith(t.Context(), a.client, http.MethodPost, "http://"+s.node.caddy.Hook+"/"+a.topic, body, header...)
		s.at, s.later = time.Now(), answer.Status == http.StatusAccepted
		switch {
		case answer.Err == nil && s.later:
			a.staysAt = s.node
			return s
		case answer.Err == nil && answer.Status == http.StatusOK:
			a.staysAt = nil
			return s
		case answer.Err == nil || time.Now().After(last):
			t.Errorf("publishing %q at node %d: %+v", body, s.node.number, answer)
			return s
		case a.ledger.life(s.node) != s.life:
			a.staysAt = nil
		}
		<-time.After(10 * time.Millisecond)
	}
}

func (a *author) choose(again bool) *node {
	switch {
	case a.staysAt != nil:
		return a.staysAt
	case a.home != nil && !again:
		return a.home
	}
	return a.nodes[rand.N(len(a.nodes))]
}

// rows is the backend. Each topic has numbered rows.
type rows struct {
	mu     sync.Mutex // guards counts
	counts map[string]int
}

func (r *rows) add(topic string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[topic]++
}

func (r *rows) count(topic string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts[topic]
}

// ServeHTTP answers with the rows after ?since=, such as `rows 3 4 5`.
func (r *rows) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	query := request.URL.Query()
	since, _ := strconv.Atoi(query.Get("since"))
	count := r.count(query.Get("one"))
	if since >= count || request.URL.Path != "/rows" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	var text strings.Builder
	text.WriteString(rowsPrefix)
	for i := since + 1; i <= count; i++ {
		fmt.Fprint(&text, " ", i)
	}
	w.Header().Set("Content-Type", "text/plain")
	fmt.Fprint(w, &text)
}

const rowsPrefix = "rows"
