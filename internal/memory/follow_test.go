package memory

import (
	"testing"
	"testing/synctest"
	"time"
)

// The pages of a browser poll for one URL. It sends their polls in turn, so they come like
// those of one page, and the answers travel for a while.
func TestPollsThatWaitedInBrowserFollowNewAnswer(t *testing.T) {
	const travel = 100 * time.Millisecond
	for name, newest := range map[string]bool{"loops": false, "timers": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, browser := new(Store), browserWith("id=1")
				begin := func() *Poll {
					return s.Begin(Request{Browser: browser, Key: Key{1}, Remembers: true, Newest: newest, End: func() {}})
				}
				give := func(p *Poll, answer Digest) {
					p.Gave(answer)
					p.Close(false)
				}
				for range 20 {
					give(begin(), Digest{1})
					time.Sleep(travel)
				}
				held := begin()
				if !held.Has(Digest{1}) {
					t.Fatal("a poll was not held though nothing had changed")
				}
				time.Sleep(5 * time.Second)
				give(held, Digest{2})
				for range 4 {
					time.Sleep(travel)
					p := begin()
					if p.Has(Digest{2}) {
						t.Fatal("a poll was held whose page may lack the new answer")
					}
					give(p, Digest{2})
				}
				for range maxFollows {
					time.Sleep(travel)
					p := begin()
					if p.Has(Digest{2}) {
						return
					}
					give(p, Digest{2})
				}
				t.Error("no poll was held after the new answer")
			})
		})
	}
}
