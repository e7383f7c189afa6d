package redis

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/brokers/internal/replica"
	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestTailReadsEntriesInOrderAndUnchanged(t *testing.T) {
	t.Parallel()
	l := openAt(t, caddytest.StartRedis(t))
	epochOf(t, l)
	r := read(t, l, 0)
	r.awaitInStep(t, 1)
	entries := []replica.Entry{
		{Channel: "rooms/7"},
		{
			Channel:  "a b\"ü",
			Message:  &brokers.Message{Body: []byte{0, '\r', '\n', 255}, ContentType: "application/octet-stream", Type: "ev"},
			ID:       "x y",
			Lifetime: 1500 * time.Millisecond,
			Node:     "N1",
			Number:   7,
		},
		{Channel: "c", Lifetime: -1},
	}
	addAll(t, l, entries[:1])
	addAll(t, l, entries[1:])
	got := r.await(t, 3)
	for i, e := range got {
		if i > 0 && e.Offset <= got[i-1].Offset {
			t.Errorf("the offset of entry %d is %d, that of the one before %d", i, e.Offset, got[i-1].Offset)
		}
		if off := time.Since(e.Time).Abs(); off > time.Minute {
			t.Errorf("entry %d is of %s, which is %s off", i, e.Time, off)
		}
		e.Offset, e.Time = 0, time.Time{}
		if !reflect.DeepEqual(e, entries[i]) {
			t.Errorf("entry %d is %+v instead of %+v", i, e, entries[i])
		}
	}
	r.stop()
	if err := r.awaitError(t, noticed); !errors.Is(err, context.Canceled) {
		t.Errorf("reading ended with %v", err)
	}
}

func TestTailContinuesAfterOffset(t *testing.T) {
	t.Parallel()
	l := openAt(t, caddytest.StartRedis(t))
	epochOf(t, l)
	add(t, l, "a", "b", "c")
	all := read(t, l, 0).await(t, 3)
	for i, from := range all {
		r := read(t, l, from.Offset)
		r.awaitInStep(t, 1)
		if got, want := channels(r.read()), channels(all[i+1:]); !slices.Equal(got, want) {
			t.Errorf("after %s there is %q instead of %q", from.Channel, got, want)
		}
		if r.floor != 0 {
			t.Errorf("reading after %s has a floor", from.Channel)
		}
		r.stop()
	}
}

func TestTailReportsEndOfLogEverySecond(t *testing.T) {
	t.Parallel()
	l := openAt(t, caddytest.StartRedis(t))
	epochOf(t, l)
	r := read(t, l, 0)
	r.awaitInStep(t, 1)
	begin := time.Now()
	r.awaitInStep(t, 4)
	if took := time.Since(begin); took > noticed {
		t.Errorf("three times took %s", took)
	}
}

// Readers skip the marker entry that starts the log, but it tells them that there were no
// earlier entries.
func TestTailFloorIsJustBelowFirstEntry(t *testing.T) {
	t.Parallel()
	server := caddytest.StartRedis(t)
	l := openAt(t, server)
	var logs *observer.ObservedLogs
	l.logger, logs = watched()
	epochOf(t, l)
	fresh := read(t, l, 0)
	fresh.awaitInStep(t, 1)
	if fresh.floor == 0 {
		t.Error("a new log has no floor")
	}
	add(t, l, "a", "b", "c")
	all := fresh.await(t, 3)
	if fresh.floor >= all[0].Offset {
		t.Errorf("the floor of a new log is %d, and its first entry %d", fresh.floor, all[0].Offset)
	}
	below := read(t, l, fresh.floor)
	below.await(t, 3)

	server.Do(t, "XTRIM", "parker:events:0", "MAXLEN", "2")
	trimmed := read(t, l, 0)
	trimmed.await(t, 2)
	if trimmed.floor != all[1].Offset-1 {
		t.Errorf("the floor is %d, and what is kept begins with %d", trimmed.floor, all[1].Offset)
	}
	server.Do(t, "XTRIM", "parker:events:0", "MAXLEN", "0")
	empty := read(t, l, 0)
	empty.awaitInStep(t, 1)
	if empty.floor != all[2].Offset {
		t.Errorf("the floor of an empty log is %d, and its last entry was %d", empty.floor, all[2].Offset)
	}
	behind := read(t, l, empty.floor)
	behind.awaitInStep(t, 1)
	add(t, l, "d")
	empty.await(t, 1)
	behind.await(t, 1)
	if logs.Len() > 0 {
		t.Errorf("there are warnings: %v", logs.All())
	}
}

func TestTailReportsGapAfterTrim(t *testing.T) {
	t.Parallel()
	server := caddytest.StartRedis(t)
	l := openAt(t, server)
	epochOf(t, l)
	add(t, l, "a", "b", "c", "d")
	all := read(t, l, 0).await(t, 4)
	server.Do(t, "XTRIM", "parker:events:0", "MAXLEN", "2")
	if err := read(t, l, all[0].Offset).awaitError(t, noticed); !errors.Is(err, replica.ErrGap) {
		t.Errorf("reading over a gap ended with %v", err)
	}
	read(t, l, all[2].Offset).await(t, 1)

	server.Do(t, "XTRIM", "parker:events:0", "MAXLEN", "0")
	if err := read(t, l, all[2].Offset).awaitError(t, noticed); !errors.Is(err, replica.ErrGap) {
		t.Errorf("reading over a gap to the end ended with %v", err)
	}
	r := read(t, l, all[3].Offset)
	r.awaitInStep(t, 2)
	add(t, l, "e")
	r.await(t, 1)
}

func TestTailReportsGapWhenTrimOvertakesReader(t *testing.T) {
	t.Parallel()
	server := caddytest.StartRedis(t)
	l := openAt(t, server)
	epochOf(t, l)
	begun, goOn, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	read := 0
	go func() {
		ended <- l.Tail(t.Context(), 0, func(b replica.Batch) {
			if read += len(b.Entries); read == 1 {
				close(begun)
				<-goOn
			}
		})
	}()
	add(t, l, "first")
	<-begun
	for range 20 {
		add(t, l, slices.Repeat([]string{"many"}, 100)...)
	}
	server.Do(t, "XTRIM", "parker:events:0", "MAXLEN", "1000")
	close(goOn)
	if err := <-ended; !errors.Is(err, replica.ErrGap) || read != 1 {
		t.Errorf("reading ended after %d entries with %v", read, err)
	}
}

func TestTailReadsLargeLogCompletely(t *testing.T) {
	t.Parallel()
	l := openAt(t, caddytest.StartRedis(t))
	epochOf(t, l)
	var want []string
	for i := range 30 {
		var batch []string
		for j := range 250 {
			batch = append(batch, strconv.Itoa(250*i+j))
		}
		add(t, l, batch...)
		want = append(want, batch...)
	}
	r := read(t, l, 0)
	if got := channels(r.await(t, len(want))); !slices.Equal(got, want) {
		t.Error("it was not read in order")
	}
	if len(r.batches) > 25 {
		t.Errorf("small entries came in %d batches", len(r.batches))
	}
}

func TestLogCarriesLargeMessages(t *testing.T) {
	t.Parallel()
	l := openAt(t, caddytest.StartRedis(t))
	epochOf(t, l)
	r := read(t, l, 0)
	body := bytes.Repeat([]byte("0123456789"), 100_000)
	large := replica.Entry{Channel: "a", Message: &brokers.Message{Body: body, ContentType: "text/plain"}}
	addAll(t, l, []replica.Entry{large})
	addAll(t, l, slices.Repeat([]replica.Entry{large}, 20))
	for _, e := range r.await(t, 21) {
		if !bytes.Equal(e.Message.Body, body) {
			t.Fatal("a message came changed")
		}
	}
	r = read(t, l, 0)
	r.await(t, 21)
	if slices.Max(r.batches[1:]) > 2 || r.batches[0] > 10 {
		t.Errorf("large entries came in batches of %d", r.batches)
	}

	large.Message = &brokers.Message{Body: make([]byte, maxBody+1), ContentType: "text/plain"}
	if err := l.Append(t.Context(), []replica.Entry{{Channel: "b"}, large}); !errors.Is(err, replica.ErrRefused) {
		t.Errorf("a message that no reader would take: %v", err)
	}
}

func TestAppendAddsWholeBatchOrNothing(t *testing.T) {
	t.Parallel()
	server := caddytest.StartRedis(t)
	l := openAt(t, server)
	epochOf(t, l)
	server.Do(t, "CONFIG", "SET", "maxmemory", "1")
	for _, n := range []int{1, 3} {
		err := l.Append(t.Context(), make([]replica.Entry, n))
		if err == nil || !strings.Contains(err.Error(), "OOM") {
			t.Errorf("appending %d to a full server: %v", n, err)
		}
	}
	server.Do(t, "CONFIG", "SET", "maxmemory", "0")
	if length := server.Do(t, "XLEN", "parker:events:0"); length != "1" {
		t.Errorf("the stream has %s entries instead of the first", length)
	}
	server.Do(t, "SET", "parker:events:0", "no stream")
	for _, n := range []int{1, 3} {
		if err := l.Append(t.Context(), make([]replica.Entry, n)); err == nil {
			t.Errorf("appending %d to what is no stream succeeds", n)
		}
	}
}

func TestTailTrimsStream(t *testing.T) {
	t.Parallel()
	server := caddytest.StartRedis(t)
	b := &Broker{URLs: []string{server.URL}, HistoryEvents: 1000}
	l := open(t, b)
	epochOf(t, l)
	for range 20 {
		add(t, l, slices.Repeat([]string{"a"}, 100)...)
	}
	length := func() int {
		n, _ := strconv.Atoi(server.Do(t, "XLEN", "parker:events:0"))
		return n
	}
	if n := length(); n < 1000 || n > 1200 {
		t.Errorf("the stream has %d entries", n)
	}
	// Readers drop entries beyond the limit that applications have added, and old entries.
	server.Do(t, "CONFIG", "SET", "stream-node-max-entries", "1")
	server.Do(t, "DEL", "parker:events:0")
	for _, at := range []string{"1000-1", "2000-1", "4000000-1"} {
		server.Do(t, "XADD", "parker:events:0", at, "channel", "a")
	}
	second := open(t, b)
	epochOf(t, second)
	read(t, second, 0).await(t, 3)
	caddytest.Await(t, "the old are gone", func() bool { return server.Do(t, "XLEN", "parker:events:0") == "1" })
}
