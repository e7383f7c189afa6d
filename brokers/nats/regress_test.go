package nats

import (
	"errors"
	"os"
	"testing"

	"github.com/caddy-parker/parker/brokers/internal/replica"
	"github.com/caddy-parker/parker/internal/caddytest"
)

// loseEnd restores the files that the server had before do was called.
func loseEnd(t *testing.T, n *caddytest.NATS, do func()) {
	t.Helper()
	n.Stop()
	kept := t.TempDir() + "/kept"
	if err := os.CopyFS(kept, os.DirFS(n.Files())); err != nil {
		t.Fatal(err)
	}
	n.Restart(t)
	do()
	n.Stop()
	if err := os.RemoveAll(n.Files()); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(n.Files(), os.DirFS(kept)); err != nil {
		t.Fatal(err)
	}
	n.Restart(t)
}

// awaitOtherEpoch tails after an offset, as the replica does, until the log has another
// epoch.
func awaitOtherEpoch(t *testing.T, l *log, after uint64, epoch string) (other string) {
	t.Helper()
	caddytest.Await(t, "the epoch is another", func() bool {
		if other = l.mustEpoch(t); other != epoch {
			return true
		}
		err := l.Tail(t.Context(), after, func(b replica.Batch) {
			if len(b.Entries) > 0 || b.InStep {
				t.Error("something is read before the epoch is another")
			}
		})
		if errors.Is(err, replica.ErrGap) {
			t.Error("that is called a gap, with the same epoch")
		}
		return false
	})
	return other
}

// loseHalf returns a server that has lost the second half of twenty wake-ups, and a log
// that has read all of them.
func loseHalf(t *testing.T) (n *caddytest.NATS, l *log, epoch string) {
	t.Helper()
	n = caddytest.StartNATS(t)
	l, _ = openLog(t, Broker{URLs: []string{n.URL}})
	epoch = l.mustEpoch(t)
	l.mustAppend(t, wakeUps("a", 1, 10)...)
	loseEnd(t, n, func() {
		l.mustEpoch(t)
		l.mustAppend(t, wakeUps("a", 11, 20)...)
		r := l.tail(t, 0)
		r.awaitRead(t, 20)
		r.awaitStep(t)
		r.cancel()
		r.awaitEnd(t)
	})
	return n, l, epoch
}

func TestEpochChangesWhenStreamLosesItsEnd(t *testing.T) {
	t.Parallel()
	n, l, epoch := loseHalf(t)
	other := awaitOtherEpoch(t, l, 20, epoch)
	inOrder(t, l.tail(t, 0).awaitRead(t, 10), "a", 1, 10)
	if second, _ := openLog(t, Broker{URLs: []string{n.URL}}); second.mustEpoch(t) != other {
		t.Error("another process has another epoch")
	}
}

func TestTailNoticesReusedSequences(t *testing.T) {
	t.Parallel()
	n, l, epoch := loseHalf(t)
	other, _ := openLog(t, Broker{URLs: []string{n.URL}})
	other.mustEpoch(t)
	other.mustAppend(t, wakeUps("b", 1, 30)...)
	awaitOtherEpoch(t, l, 20, epoch)
	r := l.tail(t, 0)
	r.awaitNumber(t, "b", 30)
	inOrder(t, r.read(), "b", 1, 30)
}
