package nats

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/brokers/internal/replica"
	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestTailReadsEntriesInOrderOfAppend(t *testing.T) {
	t.Parallel()
	for name, adjust := range map[string]func(*jetstream.StreamConfig){
		"in batches":            func(*jetstream.StreamConfig) {},
		"in batches, in memory": func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage },
		"one after the other":   func(c *jetstream.StreamConfig) { c.AllowBatchPublish = false },
	} {
		t.Run(name, func(t *testing.T) {
			n := caddytest.StartNATS(t)
			l, _ := openLog(t, Broker{URLs: []string{n.URL}})
			adjust(&l.config)
			l.mustEpoch(t)
			r := l.tail(t, 0)
			r.awaitStep(t)
			for n := uint64(1); n <= 1000; n += 100 {
				l.mustAppend(t, wakeUps("a", n, n+99)...)
			}
			l.mustAppend(t, wakeUps("a", 1001, 1001)...)
			l.mustAppend(t, wakeUps("a", 1002, 1004)...)
			inOrder(t, r.awaitRead(t, 1004), "a", 1, 1004)
			r.awaitStep(t)
			if n := len(r.read()); n != 1004 {
				t.Errorf("%d entries were read", n)
			}
		})
	}
}

func TestTailReadsEntriesUnchanged(t *testing.T) {
	n := caddytest.StartNATS(t)
	l, _ := openLog(t, Broker{URLs: []string{n.URL}})
	l.mustEpoch(t)
	entries := []replica.Entry{
		{Channel: "rooms/7", Node: "a", Number: 1},
		{Channel: strings.Repeat("ä", 127), Node: "a", Number: 2, ID: "order 12", Lifetime: 1500 * time.Millisecond},
		{Channel: " .*>=%\u2028", Node: "a", Number: 3, Lifetime: -1, Message: &brokers.Message{Body: []byte{0, '\r', '\n', 255}, ContentType: "application/octet-stream"}},
		{Channel: "c", Node: "a", Number: 4, Lifetime: 48 * time.Hour, Message: &brokers.Message{Body: []byte("{}"), ContentType: "application/json", Type: "käse = 1: ü"}},
	}
	before := time.Now()
	l.mustAppend(t, entries...)
	read := l.tail(t, 0).awaitRead(t, len(entries))
	for i, e := range read {
		want := entries[i]
		want.Offset, want.Time = uint64(i+1), e.Time
		if !reflect.DeepEqual(e, want) {
			t.Errorf("%+v came back as %+v", want, e)
		}
		if e.Time.Before(before.Add(-time.Second)) || e.Time.After(time.Now().Add(time.Second)) {
			t.Errorf("it was added at %v, it says", e.Time)
		}
	}
}

func TestAppendStoresRepeatedEntryOnce(t *testing.T) {
	for _, storage := range []string{"file", "memory"} {
		t.Run(storage, func(t *testing.T) {
			n := caddytest.StartNATS(t)
			l, _ := openLog(t, Broker{URLs: []string{n.URL}, Storage: storage})
			l.mustEpoch(t)
			entries := wakeUps("a", 1, 100)
			l.mustAppend(t, entries[:50]...)
			l.mustAppend(t, entries[20:60]...)
			l.mustAppend(t, entries[59])
			l.mustAppend(t, entries...)
			r := l.tail(t, 0)
			r.awaitStep(t)
			inOrder(t, r.read(), "a", 1, 100)
			if n := len(r.read()); n != 100 {
				t.Errorf("%d entries are in the stream", n)
			}
		})
	}
}

func TestAppendAcceptsLargestMessage(t *testing.T) {
	t.Parallel()
	n := caddytest.StartNATS(t)
	l, _ := openLog(t, Broker{URLs: []string{n.URL}})
	l.mustEpoch(t)
	r := l.tail(t, 0)
	var entries []replica.Entry
	for i := range uint64(20) {
		entries = append(entries, replica.Entry{
			Channel: strings.Repeat("/", brokers.MaxChannelBytes),
			Message: &brokers.Message{Body: make([]byte, 1_000_000), ContentType: "text/plain", Type: strings.Repeat("t", 255)},
			ID:      strings.Repeat("i", 253) + fmt.Sprint(i+10),
			Node:    strings.Repeat("n", 32),
			Number:  1<<64 - 20 + i,
		})
	}
	l.mustAppend(t, entries[:4]...)
	for _, e := range entries[4:] {
		l.mustAppend(t, e)
	}
	for i, e := range r.awaitRead(t, len(entries)) {
		if e.Number != entries[i].Number || len(e.Message.Body) != 1_000_000 {
			t.Fatalf("entry %d of %d bytes comes as the %dth", e.Number, len(e.Message.Body), i)
		}
	}
}

func TestAppendReportsMessageThatServerRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		options func(*server.Options)
		stream  func(*jetstream.StreamConfig)
	}{
		"the server's limit": {func(o *server.Options) { o.MaxPayload = 1000 }, func(*jetstream.StreamConfig) {}},
		"the stream's limit": {func(*server.Options) {}, func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1000 }},
	} {
		for _, storage := range []jetstream.StorageType{jetstream.FileStorage, jetstream.MemoryStorage} {
			t.Run(fmt.Sprint(name, ", ", storage), func(t *testing.T) {
				n := caddytest.StartNATS(t, test.options)
				l, _ := openLog(t, Broker{URLs: []string{n.URL}})
				l.config.Storage = storage
				test.stream(&l.config)
				l.mustEpoch(t)
				entries := wakeUps("a", 1, 40)
				entries[19].Message = message(strings.Repeat("a", 1000))
				if err := l.Append(t.Context(), entries); !errors.Is(err, replica.ErrRefused) {
					t.Errorf("among others: %v", err)
				}
				if err := l.Append(t.Context(), entries[19:20]); !errors.Is(err, replica.ErrRefused) {
					t.Errorf("alone: %v", err)
				}
				entries[19].Message = nil
				l.mustAppend(t, entries...)
				inOrder(t, l.tail(t, 0).awaitRead(t, 40), "a", 1, 40)
			})
		}
	}
}
