package advise

import (
	"testing"
	"time"
)

func TestByIntervalSaysWhetherThePageWaits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		every, took time.Duration
		want        Waiting
	}{
		{2 * time.Second, 5 * time.Millisecond, ByTimer},
		{2*time.Second + 300*time.Microsecond, 5 * time.Millisecond, ByTimer},
		{2*time.Second + 6*time.Millisecond, 5 * time.Millisecond, AfterAnswer},
		{2 * time.Second, time.Millisecond, WaitingUnknown},                         // the answer is too fast to see
		{2*time.Second + 2*time.Millisecond, 5 * time.Millisecond, WaitingUnknown},  // less than the answer
		{2*time.Second + 24*time.Millisecond, 5 * time.Millisecond, WaitingUnknown}, // much more than it
	} {
		if got := byInterval(c.every, c.took); got != c.want {
			t.Errorf("every %v, answers take %v: %q, want %q", c.every, c.took, got, c.want)
		}
	}
}
