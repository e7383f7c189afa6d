package nats

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/caddy-parker/parker/brokers/internal/replica"
	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestEpochChangesWithNewStream(t *testing.T) {
	n := caddytest.StartNATS(t)
	l, _ := openLog(t, Broker{URLs: []string{n.URL}})
	first := l.mustEpoch(t)
	l.mustAppend(t, wakeUps("a", 1, 3)...)
	r := l.tail(t, 0)
	r.awaitRead(t, 3)
	_, js := application(t, n.URL)
	if err := js.DeleteStream(t.Context(), defaultStream); err != nil {
		t.Fatal(err)
	}
	other, _ := openLog(t, Broker{URLs: []string{n.URL}})
	second := other.mustEpoch(t)
	other.mustAppend(t, wakeUps("b", 1, 10)...)
	if err := r.awaitEnd(t); errors.Is(err, replica.ErrGap) {
		t.Errorf("reading ends with %v", err)
	}
	if second == first {
		t.Error("the epoch is the same")
	}
	// A log that does not ask for the epoch must not continue in the other stream.
	if err := l.tail(t, 3).awaitEnd(t); !errors.Is(err, errOther) {
		t.Errorf("reading the other stream ends with %v", err)
	}
	if third := l.mustEpoch(t); third != second {
		t.Errorf("for one process the epoch is %s, for another %s", second, third)
	}
}

func TestEpochAndEntriesSurviveRestart(t *testing.T) {
	n := caddytest.StartNATS(t)
	l, _ := openLog(t, Broker{URLs: []string{n.URL}})
	epoch := l.mustEpoch(t)
	l.mustAppend(t, wakeUps("a", 1, 50)...)
	r := l.tail(t, 0)
	r.awaitRead(t, 50)
	n.Stop()
	if err := r.awaitEnd(t); err == nil || errors.Is(err, replica.ErrGap) {
		t.Errorf("reading ends with %v", err)
	}
	n.Restart(t)
	if again := l.mustEpoch(t); again != epoch {
		t.Errorf("the epoch was %s and is %s", epoch, again)
	}
	r = l.tail(t, 20)
	inOrder(t, r.awaitRead(t, 30), "a", 21, 50)
	l.mustAppend(t, wakeUps("a", 51, 51)...)
	inOrder(t, r.awaitRead(t, 31), "a", 21, 51)
}

func TestEpochChangesWhenMemoryStreamRestarts(t *testing.T) {
	n := caddytest.StartNATS(t)
	l, _ := openLog(t, Broker{URLs: []string{n.URL}, Storage: "memory"})
	epoch := l.mustEpoch(t)
	l.mustAppend(t, wakeUps("a", 1, 50)...)
	n.Restart(t)
	if again := l.mustEpoch(t); again == epoch {
		t.Error("the epoch is the same")
	}
}

func TestEpochIsOneForProcessesThatBeginTogether(t *testing.T) {
	n := caddytest.StartNATS(t)
	epochs := make(chan string, 10)
	for i := range cap(epochs) {
		l, _ := openLog(t, Broker{URLs: []string{n.URL}, HistoryEvents: 1000 + i})
		go func() {
			epoch, err := l.Epoch(t.Context())
			epochs <- fmt.Sprint(epoch, err)
		}()
	}
	first := <-epochs
	for range cap(epochs) - 1 {
		if other := <-epochs; other != first || !strings.HasSuffix(other, "<nil>") {
			t.Errorf("one process has %s, another %s", first, other)
		}
	}
}

func TestEpochUsesExistingStreamAsItIs(t *testing.T) {
	t.Parallel()
	n := caddytest.StartNATS(t)
	_, js := application(t, n.URL)
	config := jetstream.StreamConfig{Name: "EVENTS", Subjects: []string{"orders.*", "app.events.>"}, MaxAge: time.Hour}
	if _, err := js.CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	l, _ := openLog(t, Broker{URLs: []string{n.URL}, Stream: "EVENTS", Subject: "app.events"})
	l.mustEpoch(t)
	r := l.tail(t, 0)
	for i := range 10 {
		if _, err := js.Publish(t.Context(), "orders.new", []byte("no event")); err != nil {
			t.Fatal(err)
		}
		l.mustAppend(t, wakeUps("a", uint64(i*10+1), uint64(i*10+10))...)
	}
	inOrder(t, r.awaitRead(t, 100), "a", 1, 100)
	r.awaitStep(t)
	r.cancel()

	// Messages that are no entries may be dropped, as they were read.
	for range 3 {
		if _, err := js.Publish(t.Context(), "orders.new", nil); err != nil {
			t.Fatal(err)
		}
	}
	last := r.read()[99].Offset
	r = l.tail(t, last)
	r.awaitStep(t)
	r.cancel()
	stream, _ := js.Stream(t.Context(), "EVENTS")
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(last+3)); err != nil {
		t.Fatal(err)
	}
	l.tail(t, last).awaitStep(t)
	info, err := stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.Config.Description != "" || info.Config.MaxMsgs > 0 {
		t.Errorf("the stream was changed: %+v", info.Config)
	}
}

func TestEpochRefusesStreamThatWouldLoseEvents(t *testing.T) {
	for name, config := range map[string]jetstream.StreamConfig{
		"its subjects (orders.>, parker) do not cover parker.*": {Subjects: []string{"orders.>", "parker"}},
		"it changes subjects": {
			Subjects:         []string{"parker.>"},
			SubjectTransform: &jetstream.SubjectTransformConfig{Source: "parker.>", Destination: "kept.>"},
		},
		"its retention policy is not limits": {Subjects: []string{"parker.>"}, Retention: jetstream.InterestPolicy},
		"its discard policy is not old":      {Subjects: []string{"parker.>"}, Discard: jetstream.DiscardNew, MaxMsgs: 10},
		"it does not acknowledge messages":   {Subjects: []string{"parker.>"}, NoAck: true},
		"nothing can be published to it":     {Subjects: []string{"parker.>"}, Sealed: true},
	} {
		t.Run(name, func(t *testing.T) {
			n := caddytest.StartNATS(t)
			_, js := application(t, n.URL)
			config.Name = defaultStream
			sealed := config.Sealed
			config.Sealed = false
			if _, err := js.CreateStream(t.Context(), config); err != nil {
				t.Fatal(err)
			}
			if config.Sealed = sealed; sealed {
				if _, err := js.UpdateStream(t.Context(), config); err != nil {
					t.Fatal(err)
				}
			}
			l, logged := openLog(t, Broker{URLs: []string{n.URL}})
			for range 3 {
				if _, err := l.Epoch(t.Context()); err == nil || !strings.Contains(err.Error(), name) {
					t.Errorf("the error is %v", err)
				}
			}
			if n := logged.FilterMessage("unusable stream").Len(); n != 1 {
				t.Errorf("that is logged %d times", n)
			}
		})
	}
}
