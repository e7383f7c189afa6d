package replica

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/caddy-parker/parker/brokers"
)

// server is a log in memory. Processes connect to it through links.
type server struct {
	mu      sync.Mutex // guards all below
	epoch   int
	entries []Entry
	last    uint64 // the offset of the last entry, even if it was dropped
	floor   uint64
	step    uint64        // from one offset to the next
	clock   time.Duration // how far it is ahead of the processes' clocks
	changed chan struct{} // closed and replaced at each change
}

func newServer() *server {
	return &server{epoch: 1, step: 1, changed: make(chan struct{})}
}

func (s *server) change(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *server) add(entries ...Entry) {
	s.change(func() {
		for _, e := range entries {
			s.last += s.step
			e.Offset, e.Time = s.last, time.Now().Add(s.clock)
			s.entries = append(s.entries, e)
		}
	})
}

// trim drops all but the last n entries.
func (s *server) trim(n int) {
	s.change(func() {
		if drop := len(s.entries) - n; drop > 0 {
			s.floor = s.entries[drop-1].Offset
			s.entries = slices.Clone(s.entries[drop:])
		}
	})
}

// empty replaces the log with a new, empty one.
func (s *server) empty() {
	s.change(func() {
		s.epoch++
		s.entries, s.last, s.floor = nil, 0, 0
	})
}

// texts returns the texts of all entries.
func (s *server) texts() (texts []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.entries {
		texts = append(texts, textOf(e.Message))
	}
	return texts
}

func textOf(m *brokers.Message) string {
	if m == nil {
		return "wake-up"
	}
	return string(m.Body)
}

// link connects a process to a server. It is a [Log] that fails on request.
type link struct {
	server *server

	mu        sync.Mutex // guards all below
	condition condition
	turned    chan struct{} // closed and replaced when the condition changes
	latency   time.Duration // of each call, and again of each read
	batch     int           // the most entries in one read
	opened    int           // how many clients were created
	appended  int           // how many times Append was called
	epoch     int           // the last one that Epoch returned

	// adding decides the outcome of Append, and reading how many of the entries are
	// returned before reading fails. Both are called with mu held. If nil, nothing fails.
	adding  func(entries []Entry) verdict
	reading func(entries []Entry) (given int, err error)
}

type condition int

const (
	open   condition = iota
	cut              // each call fails at once
	silent           // no call is answered
)

// verdict is the outcome of appending entries.
type verdict struct {
	add  []Entry       // these are added
	late time.Duration // after this time, even if the caller has given up
	err  error         // returned to the caller
}

var (
	errCut     = errors.New("the link is cut")
	errAnother = errors.New("the log is another one")
)

func newLink(s *server) *link {
	return &link{server: s, turned: make(chan struct{}), batch: 100}
}

// turn changes the link's condition.
func (l *link) turn(to condition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.condition = to
	close(l.turned)
	l.turned = make(chan struct{})
}

// set changes other properties of the link.
func (l *link) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

// pass waits for the latency, and while the link is silent.
func (l *link) pass(ctx context.Context) error {
	if err := sleep(ctx, l.now().latency); err != nil {
		return err
	}
	for {
		now := l.now()
		switch now.condition {
		case open:
			return nil
		case cut:
			return errCut
		}
		select {
		case <-now.turned:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// present is a copy of a link's state.
type present struct {
	condition condition
	turned    chan struct{}
	latency   time.Duration
	batch     int
}

func (l *link) now() present {
	l.mu.Lock()
	defer l.mu.Unlock()
	return present{l.condition, l.turned, l.latency, l.batch}
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Epoch implements [Log].
func (l *link) Epoch(ctx context.Context) (string, error) {
	if err := l.pass(ctx); err != nil {
		return "", err
	}
	l.server.mu.Lock()
	defer l.server.mu.Unlock()
	l.set(func() { l.epoch = l.server.epoch })
	return fmt.Sprint("epoch", l.server.epoch), nil
}

// Append implements [Log].
func (l *link) Append(ctx context.Context, entries []Entry) error {
	if err := l.pass(ctx); err != nil {
		return err
	}
	will := verdict{add: entries}
	l.set(func() {
		l.appended++
		if l.adding != nil {
			will = l.adding(entries)
		}
	})
	if will.late == 0 {
		l.server.add(will.add...)
		return will.err
	}
	added := make(chan struct{})
	go func() {
		time.Sleep(will.late)
		l.server.add(will.add...)
		close(added)
	}()
	select {
	case <-added:
		return will.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Tail implements [Log].
func (l *link) Tail(ctx context.Context, after uint64, receive func(Batch)) error {
	at, first := after, true
	said := time.Now() // when the end of the log was last reported
	for {
		if err := l.pass(ctx); err != nil {
			return err
		}
		batch, changed, err := l.read(at, first && after == 0)
		if err != nil {
			return err
		}
		if len(batch.Entries) > 0 || first {
			given, err := len(batch.Entries), error(nil)
			l.set(func() {
				if l.reading != nil {
					given, err = l.reading(batch.Entries)
				}
			})
			if err != nil {
				if given > 0 {
					receive(Batch{Entries: batch.Entries[:given], Floor: batch.Floor})
				}
				return err
			}
			receive(batch)
			first, at, said = false, max(at, batch.Floor), time.Now()
			if n := len(batch.Entries); n > 0 {
				at = batch.Entries[n-1].Offset
				continue
			}
		}
		left := time.Until(said.Add(time.Second))
		if left <= 0 {
			if l.pass(ctx) == nil {
				receive(Batch{InStep: true})
				said = time.Now()
			}
			continue
		}
		idle := time.NewTimer(left)
		select {
		case <-changed:
		case <-l.now().turned:
		case <-ctx.Done():
		case <-idle.C:
		}
		idle.Stop()
	}
}

// read returns the entries after an offset.
func (l *link) read(after uint64, fromStart bool) (b Batch, changed chan struct{}, err error) {
	limit := l.now().batch
	l.server.mu.Lock()
	defer l.server.mu.Unlock()
	var another bool
	l.set(func() { another = l.epoch != l.server.epoch })
	s := l.server
	switch {
	case another:
		return Batch{}, nil, errAnother
	case fromStart:
		b.Floor = s.floor
	case after < s.floor || after > s.last:
		return Batch{}, nil, ErrGap
	}
	from := slices.IndexFunc(s.entries, func(e Entry) bool { return e.Offset > after })
	if from < 0 {
		from = len(s.entries)
	}
	to := min(from+limit, len(s.entries))
	b.Entries, b.InStep = slices.Clone(s.entries[from:to]), to == len(s.entries)
	return b, s.changed, nil
}

// Close implements [Log].
func (l *link) Close() {}

// delayed is a link that passes on batches late.
type delayed struct {
	*link
	by time.Duration
}

func (d *delayed) Tail(ctx context.Context, after uint64, receive func(Batch)) error {
	return d.link.Tail(ctx, after, func(b Batch) {
		if sleep(ctx, d.by) == nil {
			receive(b)
		}
	})
}
