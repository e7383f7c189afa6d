package nats

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/caddy-parker/parker/brokers/internal/replica"
	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestTailContinuesAfterOffset(t *testing.T) {
	n := caddytest.StartNATS(t)
	l, _ := openLog(t, Broker{URLs: []string{n.URL}})
	l.mustEpoch(t)
	l.mustAppend(t, wakeUps("a", 1, 10)...)
	inOrder(t, l.tail(t, 4).awaitRead(t, 6), "a", 5, 10)
	r := l.tail(t, 10)
	r.awaitStep(t)
	l.mustAppend(t, wakeUps("a", 11, 11)...)
	inOrder(t, r.awaitRead(t, 1), "a", 11, 11)
}

func TestTailFloorIsWhereStreamBegins(t *testing.T) {
	n := caddytest.StartNATS(t)
	l, _ := openLog(t, Broker{URLs: []string{n.URL}})
	l.config.MaxMsgs = 10
	l.mustEpoch(t)
	floor := func(entries int) uint64 {
		r := l.tail(t, 0)
		r.awaitStep(t)
		if n := len(r.read()); n != entries {
			t.Errorf("%d entries were read, not %d", n, entries)
		}
		return r.floor
	}
	if got := floor(0); got != 0 {
		t.Errorf("an empty log has the floor %d", got)
	}
	l.mustAppend(t, wakeUps("a", 1, 3)...)
	if got := floor(3); got != 0 {
		t.Errorf("a log that has all has the floor %d", got)
	}
	l.mustAppend(t, wakeUps("a", 4, 30)...)
	if got := floor(10); got != 20 {
		t.Errorf("of 30 entries 10 are kept, and the floor is %d", got)
	}
	_, js := application(t, n.URL)
	stream, err := js.Stream(t.Context(), defaultStream)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.DeleteMsg(t.Context(), 25); err != nil {
		t.Fatal(err)
	}
	r := l.tail(t, 0)
	r.awaitStep(t)
	if r.floor != 25 {
		t.Errorf("message 25 was taken out, and the floor is %d", r.floor)
	}
	if err := stream.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := floor(0); got != 30 {
		t.Errorf("nothing is kept of 30 entries, and the floor is %d", got)
	}
}

func TestTailReportsGapAfterDrop(t *testing.T) {
	purge := func(t *testing.T, stream jetstream.Stream) {
		if err := stream.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		after uint64
		drop  func(*testing.T, *log, jetstream.Stream)
		gap   bool
	}{
		"trimmed after it":      {4, func(t *testing.T, l *log, _ jetstream.Stream) { l.mustAppend(t, wakeUps("a", 11, 15)...) }, true},
		"trimmed up to it":      {5, func(t *testing.T, l *log, _ jetstream.Stream) { l.mustAppend(t, wakeUps("a", 11, 15)...) }, false},
		"purged after it":       {9, func(t *testing.T, _ *log, stream jetstream.Stream) { purge(t, stream) }, true},
		"purged up to it":       {10, func(t *testing.T, _ *log, stream jetstream.Stream) { purge(t, stream) }, false},
		"one deleted after it":  {5, func(t *testing.T, _ *log, stream jetstream.Stream) { stream.DeleteMsg(t.Context(), 7) }, true},
		"one deleted before it": {7, func(t *testing.T, _ *log, stream jetstream.Stream) { stream.DeleteMsg(t.Context(), 6) }, false},
		"the same deleted":      {7, func(t *testing.T, _ *log, stream jetstream.Stream) { stream.DeleteMsg(t.Context(), 7) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			n := caddytest.StartNATS(t)
			l, _ := openLog(t, Broker{URLs: []string{n.URL}})
			l.config.MaxMsgs = 10
			l.mustEpoch(t)
			l.mustAppend(t, wakeUps("a", 1, 10)...)
			_, js := application(t, n.URL)
			stream, err := js.Stream(t.Context(), defaultStream)
			if err != nil {
				t.Fatal(err)
			}
			test.drop(t, l, stream)
			r := l.tail(t, test.after)
			if !test.gap {
				r.awaitStep(t)
			} else if err := r.awaitEnd(t); !errors.Is(err, replica.ErrGap) {
				t.Errorf("reading ends with %v", err)
			}
		})
	}
}

func TestTailReportsGapWhenTrimOvertakesReader(t *testing.T) {
	n := caddytest.StartNATS(t)
	l, _ := openLog(t, Broker{URLs: []string{n.URL}})
	l.config.MaxMsgs = 100
	l.mustEpoch(t)
	blocked, goOn := make(chan struct{}), make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		first := true
		ended <- l.Tail(t.Context(), 0, func(b replica.Batch) {
			if len(b.Entries) > 0 && first {
				first = false
				close(blocked)
				<-goOn
			}
		})
	}()
	l.mustAppend(t, wakeUps("a", 1, 1)...)
	<-blocked
	for n := uint64(2); n < 2000; n += 100 {
		l.mustAppend(t, wakeUps("a", n, n+99)...)
	}
	close(goOn)
	select {
	case err := <-ended:
		if !errors.Is(err, replica.ErrGap) {
			t.Errorf("reading ends with %v", err)
		}
	case <-time.After(caddytest.Patience):
		t.Error("reading goes on")
	}
}

func TestTailNoticesFailedConsumer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spoil func(jetstream.Stream, string) error
		says  error
	}{
		"deleted": {func(stream jetstream.Stream, consumer string) error {
			return stream.DeleteConsumer(t.Context(), consumer)
		}, jetstream.ErrConsumerDeleted},
		"silent": {func(stream jetstream.Stream, consumer string) error {
			_, err := stream.PauseConsumer(t.Context(), consumer, time.Now().Add(time.Hour))
			return err
		}, errStuck},
	} {
		t.Run(name, func(t *testing.T) {
			n := caddytest.StartNATS(t)
			l, _ := openLog(t, Broker{URLs: []string{n.URL}})
			l.mustEpoch(t)
			r := l.tail(t, 0)
			r.awaitStep(t)
			_, js := application(t, n.URL)
			stream, err := js.Stream(t.Context(), defaultStream)
			if err != nil {
				t.Fatal(err)
			}
			for consumer := range stream.ConsumerNames(t.Context()).Name() {
				if err := test.spoil(stream, consumer); err != nil {
					t.Fatal(err)
				}
			}
			l.mustAppend(t, wakeUps("a", 1, 1)...)
			begun := time.Now()
			if err := r.awaitEnd(t); !errors.Is(err, test.says) || time.Since(begun) > soon {
				t.Errorf("reading ends after %v with %v", time.Since(begun), err)
			}
			l.tail(t, 0).awaitRead(t, 1)
		})
	}
}
