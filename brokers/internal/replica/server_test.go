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

// server is a log in memory, which its links lead to.
type server struct {
	mu      sync.Mutex // guards all below
	epoch   int
	shards  []stored
	step    uint64        // from one offset to the next
	clock   time.Duration // how far it is ahead of the processes'
	changed chan struct{} // closed, and made anew, at each change
}

// stored is one shard.
type stored struct {
	entries     []Entry
	last, floor uint64
}

func newServer(shards int) *server {
	return &server{epoch: 1, shards: make([]stored, shards), step: 1, changed: make(chan struct{})}
}

func (s *server) change(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *server) add(shard int, entries ...Entry) {
	s.change(func() {
		sh := &s.shards[shard]
		for _, e := range entries {
			sh.last += s.step
			e.Offset, e.Time = sh.last, time.Now().Add(s.clock)
			sh.entries = append(sh.entries, e)
		}
	})
}

// trim keeps no more than the last n entries of a shard.
func (s *server) trim(shard, n int) {
	s.change(func() {
		sh := &s.shards[shard]
		if drop := len(sh.entries) - n; drop > 0 {
			sh.floor = sh.entries[drop-1].Offset
			sh.entries = slices.Clone(sh.entries[drop:])
		}
	})
}

// empty makes another log of it.
func (s *server) empty() {
	s.change(func() {
		s.epoch++
		s.shards = make([]stored, len(s.shards))
	})
}

// texts are what all entries say, those of shard 0 first.
func (s *server) texts() (texts []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sh := range s.shards {
		for _, e := range sh.entries {
			texts = append(texts, textOf(e.Message))
		}
	}
	return texts
}

func textOf(m *brokers.Message) string {
	if m == nil {
		return "wake-up"
	}
	return string(m.Body)
}

// link is what leads a process to a server: a [Log] that fails as it is told.
type link struct {
	server *server

	mu        sync.Mutex // guards all below
	condition condition
	turned    chan struct{} // closed, and made anew, when the condition changes
	latency   time.Duration // of what is asked, and again of what is read
	batch     int           // what is read at a time, at most
	opened    int           // how often a client was made
	appended  int           // how often something was to be added
	epoch     int           // the last that was named here

	// adding decides on what becomes of entries that are to be added, reading how
	// many of those that were read are given before reading fails. They are called with
	// mu held. Nil: all goes well.
	adding  func(shard int, entries []Entry) verdict
	reading func(shard int, entries []Entry) (given int, err error)
}

type condition int

const (
	open   condition = iota
	cut              // everything fails at once
	silent           // nothing is answered
)

// verdict is what becomes of entries that are to be added.
type verdict struct {
	add  []Entry       // these are added
	late time.Duration // after this time, also when nobody waits any more
	err  error         // what is said
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

// set changes what else there is.
func (l *link) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

// pass waits for the latency, and for an answer if there is none.
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

// present is a part of a link's state.
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
func (l *link) Append(ctx context.Context, shard int, entries []Entry) error {
	if err := l.pass(ctx); err != nil {
		return err
	}
	will := verdict{add: entries}
	l.set(func() {
		l.appended++
		if l.adding != nil {
			will = l.adding(shard, entries)
		}
	})
	if will.late == 0 {
		l.server.add(shard, will.add...)
		return will.err
	}
	added := make(chan struct{})
	go func() {
		time.Sleep(will.late)
		l.server.add(shard, will.add...)
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
func (l *link) Tail(ctx context.Context, shard int, after uint64, receive func(Batch)) error {
	at, first := after, true
	said := time.Now() // when it was last said that there is no more
	for {
		if err := l.pass(ctx); err != nil {
			return err
		}
		batch, changed, err := l.read(shard, at, first && after == 0)
		if err != nil {
			return err
		}
		if len(batch.Entries) > 0 || first {
			given, err := len(batch.Entries), error(nil)
			l.set(func() {
				if l.reading != nil {
					given, err = l.reading(shard, batch.Entries)
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

// read reads what comes behind an offset.
func (l *link) read(shard int, after uint64, fromStart bool) (b Batch, changed chan struct{}, err error) {
	limit := l.now().batch
	l.server.mu.Lock()
	defer l.server.mu.Unlock()
	var another bool
	l.set(func() { another = l.epoch != l.server.epoch })
	sh := &l.server.shards[shard]
	switch {
	case another:
		return Batch{}, nil, errAnother
	case fromStart:
		b.Floor = sh.floor
	case after < sh.floor || after > sh.last:
		return Batch{}, nil, ErrGap
	}
	from := slices.IndexFunc(sh.entries, func(e Entry) bool { return e.Offset > after })
	if from < 0 {
		from = len(sh.entries)
	}
	to := min(from+limit, len(sh.entries))
	b.Entries, b.InStep = slices.Clone(sh.entries[from:to]), to == len(sh.entries)
	return b, l.server.changed, nil
}

// Close implements [Log].
func (l *link) Close() {}

// stuck is a link on which one shard is not read any more, while all else goes on.
type stuck struct {
	*link
	shard int
}

func (s *stuck) Tail(ctx context.Context, shard int, after uint64, receive func(Batch)) error {
	first := true
	return s.link.Tail(ctx, shard, after, func(b Batch) {
		if shard != s.shard || first {
			receive(b)
		} else {
			<-ctx.Done()
		}
		first = false
	})
}

// oneFirst is a link on which one shard is read before the others.
type oneFirst struct {
	*link
	shard int
	read  chan struct{} // closed when that is read
}

func (o *oneFirst) Tail(ctx context.Context, shard int, after uint64, receive func(Batch)) error {
	if shard != o.shard {
		select {
		case <-o.read:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	first := shard == o.shard
	return o.link.Tail(ctx, shard, after, func(b Batch) {
		receive(b)
		if b.InStep && first {
			close(o.read)
			first = false
		}
	})
}

// delayed is a link on which what was read is heard of later.
type delayed struct {
	*link
	by time.Duration
}

func (d *delayed) Tail(ctx context.Context, shard int, after uint64, receive func(Batch)) error {
	return d.link.Tail(ctx, shard, after, func(b Batch) {
		if sleep(ctx, d.by) == nil {
			receive(b)
		}
	})
}
