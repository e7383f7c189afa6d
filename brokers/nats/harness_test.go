package nats

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/brokers/internal/replica"
	"github.com/caddy-parker/parker/internal/caddytest"
)

// openLog opens the log of a broker until the test ends. It also returns the log lines.
func openLog(t testing.TB, b Broker) (*log, *observer.ObservedLogs) {
	t.Helper()
	if _, err := b.check(); err != nil {
		t.Fatal(err)
	}
	target, err := b.target()
	if err != nil {
		t.Fatal(err)
	}
	core, logged := observer.New(zap.DebugLevel)
	l := newLog(target, zap.New(core))
	t.Cleanup(l.Close)
	return l, logged
}

// epoch returns the log's epoch.
func (l *log) mustEpoch(t testing.TB) string {
	t.Helper()
	var epoch string
	var err error
	caddytest.Await(t, "the log has an epoch", func() bool {
		epoch, err = l.Epoch(t.Context())
		return err == nil
	})
	return epoch
}

// reader tails a log.
type reader struct {
	cancel context.CancelFunc
	ended  chan error // receives the error of Tail

	mu      sync.Mutex // guards all below
	entries []replica.Entry
	floor   uint64
	steps   int // number of batches in step
	batches int
}

// tail reads after an offset until the test ends or reading fails.
func (l *log) tail(t testing.TB, after uint64) *reader {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &reader{cancel: cancel, ended: make(chan error, 1)}
	go func() { r.ended <- l.Tail(ctx, after, r.receive) }()
	return r
}

func (r *reader) receive(b replica.Batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.batches++; r.batches == 1 {
		r.floor = b.Floor
	} else if b.Floor != 0 {
		panic("a later batch has a floor")
	}
	for _, e := range b.Entries {
		if n := len(r.entries); n > 0 && r.entries[n-1].Offset >= e.Offset {
			panic(fmt.Sprintf("offset %d comes behind %d", e.Offset, r.entries[n-1].Offset))
		}
		r.entries = append(r.entries, e)
	}
	if b.InStep {
		r.steps++
	}
}

func (r *reader) read() []replica.Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.entries)
}

// awaitStep returns when the end of the log is reached after the call.
func (r *reader) awaitStep(t testing.TB) {
	t.Helper()
	count := func() int {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.steps
	}
	enough := count() + 2
	if enough == 2 {
		enough = 1
	}
	caddytest.Await(t, "the tail is in step", func() bool { return count() >= enough })
}

// awaitRead returns when n entries have been read.
func (r *reader) awaitRead(t testing.TB, n int) []replica.Entry {
	t.Helper()
	caddytest.Await(t, fmt.Sprintf("%d entries are read", n), func() bool { return len(r.read()) >= n })
	return r.read()
}

// awaitEnd waits until reading ends and returns its error.
func (r *reader) awaitEnd(t testing.TB) error {
	t.Helper()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(caddytest.Patience):
		t.Fatal("the tail does not end")
		return nil
	}
}

// wakeUps returns entries of a node. Their numbers run from the first to the second number.
func wakeUps(node string, from, to uint64) (entries []replica.Entry) {
	for n := from; n <= to; n++ {
		entries = append(entries, replica.Entry{Channel: fmt.Sprintf("rooms/%d", n%5), Node: node, Number: n})
	}
	return entries
}

func message(text string) *brokers.Message {
	return &brokers.Message{Body: []byte(text), ContentType: "text/plain"}
}

// mustAppend adds entries, and fails the test if the server refuses them.
func (l *log) mustAppend(t testing.TB, entries ...replica.Entry) {
	t.Helper()
	if err := l.Append(t.Context(), entries); err != nil {
		t.Fatalf("appending: %v", err)
	}
}

// insist appends as the replica does: it repeats the whole batch until the server accepts
// it.
func (l *log) insist(ctx context.Context, entries []replica.Entry) error {
	for {
		patient, cancel := context.WithTimeout(ctx, 3*time.Second)
		err := l.Append(patient, entries)
		cancel()
		if err == nil || ctx.Err() != nil {
			return cmp.Or(ctx.Err(), err)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// follow reads as the replica does: whenever reading fails, it continues after the last
// entry, until the test ends. It ends at a gap.
func (l *log) follow(t testing.TB) *reader {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &reader{cancel: cancel, ended: make(chan error, 1)}
	go func() {
		for {
			after := uint64(0)
			if entries := r.read(); len(entries) > 0 {
				after = entries[len(entries)-1].Offset
			}
			err := l.Tail(ctx, after, r.receive)
			if errors.Is(err, replica.ErrGap) || ctx.Err() != nil {
				r.ended <- err
				return
			}
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}()
	return r
}

// inOrder fails the test unless the node's entries with numbers in the range are there,
// each at least once, and their first appearances are in order.
func inOrder(t testing.TB, read []replica.Entry, node string, from, to uint64) {
	t.Helper()
	next := from
	for _, e := range read {
		switch {
		case e.Node != node:
		case e.Number == next:
			next++
		case e.Number > next:
			t.Fatalf("%s's %d comes where %d is due, at offset %d", node, e.Number, next, e.Offset)
		}
	}
	if next != to+1 {
		t.Fatalf("of %s's entries the last that came is %d, not %d", node, next-1, to)
	}
}

// application returns a connection like that of an application.
func application(t testing.TB, url string, options ...nats.Option) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	conn, err := nats.Connect(url, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return conn, js
}

// awaitNumber returns when the entry of a node has been read.
func (r *reader) awaitNumber(t testing.TB, node string, number uint64) {
	t.Helper()
	caddytest.Await(t, fmt.Sprintf("%s's entry %d is read", node, number), func() bool {
		return slices.ContainsFunc(r.read(), func(e replica.Entry) bool { return e.Node == node && e.Number == number })
	})
}

// mustNotTell fails the test if the secret was logged.
func mustNotTell(t testing.TB, logged *observer.ObservedLogs) {
	t.Helper()
	for _, entry := range logged.All() {
		if text := fmt.Sprint(entry.Message, entry.ContextMap()); strings.Contains(text, secret) || strings.Contains(text, url.PathEscape(secret)) {
			t.Errorf("the secret is logged: %s", text)
		}
	}
}
