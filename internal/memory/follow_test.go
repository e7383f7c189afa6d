package memory

import (
	"testing"
	"testing/synctest"
	"time"
)

// The pages of a browser poll for one URL. It sends their polls in turn, and the answers
// travel for a while.
func TestPollsThatWaitedInBrowserFollowNewAnswer(t *testing.T) {
	for name, newest := range map[string]bool{"loops": false, "timers": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(Store)
				poll := func(answer Digest) *Poll {
					p := s.Begin(Request{Browser: browserWith("id=1"), Key: Key{1}, Remembers: true, Newest: newest, End: func() {}})
					if !p.Has(answer) {
						p.Gave(answer)
						p.Close(false)
						return nil
					}
					return p
				}
				poll(Digest{1})
				time.Sleep(500 * time.Millisecond)
				held := poll(Digest{1})
				if held == nil {
					t.Fatal("a poll was answered though nothing has changed")
				}
				time.Sleep(5 * time.Second)
				held.Gave(Digest{2})
				held.Close(false)
				for range 4 {
					time.Sleep(300 * time.Millisecond)
					if poll(Digest{2}) != nil {
						t.Fatal("a poll was held that may be of a page without the new answer")
					}
				}
				time.Sleep(followSoon + time.Millisecond)
				if poll(Digest{2}) == nil {
					t.Error("a poll was answered long after the new answer")
				}
			})
		})
	}
}
