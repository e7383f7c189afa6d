package redis

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-parker/parker/brokers/internal/replica"
	"github.com/caddy-parker/parker/internal/caddytest"
)

// noticed is how long a reader may take to notice that the log was replaced.
const noticed = 10 * time.Second

// The server is emptied while a reader waits. The reader must not take new entries for a
// continuation.
func TestTailNoticesEmptiedServer(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"FLUSHALL", "FLUSHDB"} {
		server := caddytest.StartRedis(t)
		l := openAt(t, server)
		before := epochOf(t, l)
		add(t, l, "a")
		r := read(t, l, 0)
		r.await(t, 1)
		server.Do(t, how)
		add(t, l, "b")
		if err := r.awaitError(t, noticed); errors.Is(err, replica.ErrGap) || len(r.read()) > 1 {
			t.Errorf("%s: reading ended with %v, and %d entries", how, err, len(r.read()))
		}
		if epochOf(t, l) == before {
			t.Errorf("%s: the epoch stays", how)
		}
		again := read(t, l, 0)
		if e := again.await(t, 1)[0]; e.Channel != "b" || again.floor != e.Offset-1 {
			t.Errorf("%s: then there are %+v above %d", how, e, again.floor)
		}
	}
}

func TestTailNoticesDeletedStream(t *testing.T) {
	t.Parallel()
	server := caddytest.StartRedis(t)
	l := openAt(t, server)
	before := epochOf(t, l)
	add(t, l, "a")
	r := read(t, l, 0)
	r.await(t, 1)
	server.Do(t, "DEL", "parker:events:0")
	r.awaitError(t, noticed)
	after := epochOf(t, l)
	if after == before {
		t.Error("the epoch stays")
	}
	fresh := read(t, l, 0)
	fresh.awaitInStep(t, 1)
	if fresh.floor == 0 {
		t.Error("the stream has not been made again")
	}
	if epochOf(t, l) != after {
		t.Error("the epoch does not stay now")
	}
}

func TestTailNoticesDeletedEpoch(t *testing.T) {
	t.Parallel()
	server := caddytest.StartRedis(t)
	l := openAt(t, server)
	before := epochOf(t, l)
	for _, change := range [][]string{{"DEL", "parker:epoch"}, {"SET", "parker:epoch", "not-a-word"}, {"SET", "parker:epoch", strings.Repeat("a", 65)}} {
		r := read(t, l, 0)
		r.awaitInStep(t, 1)
		server.Do(t, change...)
		r.awaitError(t, noticed)
		if after := epochOf(t, l); after == before || after == change[len(change)-1] {
			t.Errorf("after %q the epoch is %s", change, after)
		}
	}
}

func TestTailNoticesRestartWithoutPersistence(t *testing.T) {
	t.Parallel()
	server := caddytest.StartRedis(t)
	l := openAt(t, server)
	before := epochOf(t, l)
	add(t, l, "a")
	r := read(t, l, 0)
	r.await(t, 1)
	server.Restart(t)
	r.awaitError(t, noticed)
	if epochOf(t, l) == before {
		t.Error("the epoch stays")
	}
	add(t, l, "b")
	if got := read(t, l, 0).await(t, 1); got[0].Channel != "b" {
		t.Errorf("there is %+v", got)
	}
}

func TestTailContinuesAfterRestartWithPersistence(t *testing.T) {
	t.Parallel()
	server := caddytest.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	l := openAt(t, server)
	before := epochOf(t, l)
	add(t, l, "a", "b")
	r := read(t, l, 0)
	a := r.await(t, 2)[0]
	server.Kill()
	r.awaitError(t, noticed)
	server.Restart(t)
	if epochOf(t, l) != before {
		t.Error("the epoch is another")
	}
	r = read(t, l, a.Offset)
	r.await(t, 1)
	add(t, l, "c")
	r.await(t, 2)
}

// Only a reader that has read the lost entries can detect the loss. All readers must be
// told.
func TestTailNoticesServerWithOlderData(t *testing.T) {
	t.Parallel()
	for _, then := range [][]string{
		{"PING"},
		{"XADD", "parker:events:0", "*", "channel", "new"},
		{"XTRIM", "parker:events:0", "MAXLEN", "0"},
	} {
		server := caddytest.StartRedis(t)
		l, other := openAt(t, server), openAt(t, server)
		before := epochOf(t, l)
		add(t, l, "a", "b")
		r := read(t, l, 0)
		r.await(t, 2)
		server.Do(t, "SAVE")
		add(t, l, "lost")
		entries := r.await(t, 3)
		server.Kill()
		r.awaitError(t, noticed)
		server.Restart(t)
		if epochOf(t, other) != before || epochOf(t, l) != before {
			t.Error("the epoch is another at once")
		}
		server.Do(t, then...)
		unaware := read(t, other, entries[1].Offset)
		unaware.awaitInStep(t, 1)
		if err := read(t, l, entries[2].Offset).awaitError(t, noticed); errors.Is(err, replica.ErrGap) {
			t.Errorf("reading on ended with %v", err)
		}
		unaware.awaitError(t, noticed)
		if after := epochOf(t, other); after == before || after != epochOf(t, l) {
			t.Error("the epoch is not a new one")
		}
	}
}

func TestEpochIsOneForProcessesThatBeginLogTogether(t *testing.T) {
	t.Parallel()
	server := caddytest.StartRedis(t)
	logs := make([]*log, 8)
	for i := range logs {
		logs[i] = openAt(t, server)
	}
	agree := func() string {
		t.Helper()
		var wg sync.WaitGroup
		for _, l := range logs {
			wg.Go(func() {
				if _, err := l.Epoch(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		epoch := epochOf(t, logs[0])
		for _, l := range logs {
			if epochOf(t, l) != epoch {
				t.Errorf("the epochs are %s and %s", epoch, epochOf(t, l))
			}
		}
		return epoch
	}
	first := agree()
	server.Do(t, "DEL", "parker:events:0")
	second := agree()
	server.Do(t, "FLUSHALL")
	if third := agree(); first == second || second == third {
		t.Errorf("the epochs were %s, %s and %s", first, second, third)
	}
}

func TestEpochKeepsLogThatAnotherProcessBegan(t *testing.T) {
	t.Parallel()
	server := caddytest.StartRedis(t)
	l := openAt(t, server)
	epoch := epochOf(t, l)
	for _, old := range []string{"", "older"} {
		if err := l.begin(t.Context(), l.client, old, false); err != nil || epochOf(t, l) != epoch {
			t.Errorf("in the place of %q there is another epoch, %v", old, err)
		}
	}
}

// The server continues from an ID that an application has chosen, however large. Later
// entries then have no offset, and the log cannot be used until the stream is deleted.
func TestTailRefusesTooLargeID(t *testing.T) {
	t.Parallel()
	server := caddytest.StartRedis(t)
	l := openAt(t, server)
	before := epochOf(t, l)
	for _, tooLarge := range []string{"4398046511104-0", "18446744073709551615-18446744073709551615"} {
		r := read(t, l, 0)
		r.awaitInStep(t, 1)
		server.Do(t, "XADD", "parker:events:0", tooLarge, "channel", "odd")
		for _, r := range []*reader{r, read(t, l, 0)} {
			if err := r.awaitError(t, noticed); !strings.Contains(err.Error(), tooLarge+" is too large") {
				t.Errorf("%s: reading ended with %v", tooLarge, err)
			}
		}
		server.Do(t, "DEL", "parker:events:0")
		after := epochOf(t, l)
		if after == before {
			t.Errorf("%s: the epoch stays", tooLarge)
		}
		add(t, l, "a")
		if got := read(t, l, 0).await(t, 1); got[0].Channel != "a" {
			t.Errorf("%s: then there is %+v", tooLarge, got)
		}
		before = after
	}
}
