package delay

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// thing notes when it expires.
type thing struct {
	Entry
	begun   time.Time
	expired chan time.Duration
}

func (th *thing) Expired() { th.expired <- time.Since(th.begun) }

func TestQueueCallsEachOwnerOnceAfterDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(time.Second)
		things := make([]*thing, 100)
		var all sync.WaitGroup
		for i := range things {
			th := &thing{expired: make(chan time.Duration, 2)}
			things[i] = th
			all.Go(func() {
				time.Sleep(time.Duration(i) * 70 * time.Millisecond)
				th.begun = time.Now()
				q.Begin(&th.Entry, th)
				time.Sleep(time.Duration(i%5) * 300 * time.Millisecond) // 0 to 1.2 s
				q.End(&th.Entry)
			})
		}
		all.Wait()
		time.Sleep(time.Hour)
		synctest.Wait()
		for i, th := range things {
			switch ended := i%5 < 4; {
			case ended && len(th.expired) != 0:
				t.Errorf("thing %d expired after %s, though it had ended", i, <-th.expired)
			case !ended && len(th.expired) != 1:
				t.Errorf("thing %d expired %d times", i, len(th.expired))
			case !ended:
				if after := <-th.expired; after != time.Second {
					t.Errorf("thing %d expired after %s", i, after)
				}
			}
		}
		for range q.entries.All {
			t.Error("an entry is left in the queue")
		}
	})
}
