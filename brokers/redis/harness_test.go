package redis

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/caddy-parker/parker/brokers/internal/replica"
	"github.com/caddy-parker/parker/internal/caddytest"
)

// open returns the log of a broker with these options.
func open(t testing.TB, b *Broker) *log {
	t.Helper()
	target, err := b.target()
	if err != nil {
		t.Fatal(err)
	}
	l := newLog(target, zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel)))
	t.Cleanup(l.Close)
	return l
}

// openAt returns the log of one server with default options.
func openAt(t testing.TB, server *caddytest.Redis) *log {
	t.Helper()
	return open(t, &Broker{URLs: []string{server.URL}})
}

// epochOf returns the epoch once the server answers.
func epochOf(t testing.TB, l *log) (epoch string) {
	t.Helper()
	caddytest.Await(t, "there is an epoch", func() (ok bool) {
		ctx, cancel := context.WithTimeout(t.Context(), caddytest.Patience)
		defer cancel()
		var err error
		epoch, err = l.Epoch(ctx)
		return err == nil
	})
	return epoch
}

// add appends wake-ups on channels.
func add(t testing.TB, l *log, channels ...string) {
	t.Helper()
	entries := make([]replica.Entry, len(channels))
	for i, channel := range channels {
		entries[i].Channel = channel
	}
	addAll(t, l, entries)
}

func addAll(t testing.TB, l *log, entries []replica.Entry) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), caddytest.Patience)
	defer cancel()
	if err := l.Append(ctx, entries); err != nil {
		t.Fatal(err)
	}
}

// reader reads the log.
type reader struct {
	stop  context.CancelFunc
	ended chan struct{} // closed when err is set
	err   error

	mu      sync.Mutex // guards all below
	entries []replica.Entry
	floor   uint64
	batches []int // sizes of the batches
	inStep  int   // number of batches in step
}

func read(t testing.TB, l *log, after uint64) *reader {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &reader{stop: cancel, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		r.err = l.Tail(ctx, after, r.receive)
	}()
	t.Cleanup(func() {
		cancel()
		<-r.ended
	})
	return r
}

func (r *reader) receive(b replica.Batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entries = append(r.entries, b.Entries...)
	r.batches = append(r.batches, len(b.Entries))
	r.floor = max(r.floor, b.Floor)
	if b.InStep {
		r.inStep++
	}
}

func (r *reader) read() []replica.Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clip(r.entries)
}

// await returns the entries once n of them have been read.
func (r *reader) await(t testing.TB, n int) []replica.Entry {
	t.Helper()
	caddytest.Await(t, fmt.Sprintf("%d entries are read", n), func() bool {
		r.failIfEnded(t)
		return len(r.read()) >= n
	})
	entries := r.read()
	if len(entries) > n {
		t.Fatalf("read %d entries instead of %d", len(entries), n)
	}
	return entries
}

// awaitInStep returns when so many batches have reported the end of the log.
func (r *reader) awaitInStep(t testing.TB, times int) {
	t.Helper()
	caddytest.Await(t, "all is read", func() bool {
		r.failIfEnded(t)
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.inStep >= times
	})
}

func (r *reader) failIfEnded(t testing.TB) {
	t.Helper()
	select {
	case <-r.ended:
		t.Fatalf("reading has ended: %v", r.err)
	default:
	}
}

// awaitError returns the error with which reading ends, within a time limit.
func (r *reader) awaitError(t testing.TB, within time.Duration) error {
	t.Helper()
	begin := time.Now()
	select {
	case <-r.ended:
	case <-time.After(caddytest.Patience):
		t.Fatal("reading does not end")
	}
	if took := time.Since(begin); took > within {
		t.Errorf("reading ended after %s, which is more than %s", took, within)
	}
	return r.err
}

func channels(entries []replica.Entry) (names []string) {
	for _, e := range entries {
		names = append(names, e.Channel)
	}
	return names
}
