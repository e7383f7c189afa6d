package metrics

import (
	"testing"

	"github.com/caddy-parker/parker/internal/answer"
)

func TestFiguresSumAllHandlers(t *testing.T) {
	before := Read()
	for _, name := range []string{"", "published", "feed"} {
		h := Of(name)
		h.Parked.Add(3)
		h.Streams.Add(2)
		h.Ended("published")
		h.Ended("woken")
		h.Ended("timeout")
		h.First.Sent.Add(4)
		h.First.Shared.Add(5)
		h.Replay.Sent.Inc()
		h.Replay.Shared.Add(10)
		h.Unchanged.Inc()
		h.Answered(&answer.Report{Release: answer.None, Detail: answer.Unknown})
		h.Answered(&answer.Report{Release: answer.None, Detail: answer.News})
		PageLoads.Inc()
	}
	WatchMemories(func() int { return before.Memories + 3 })
	after := Read()
	got := Figures{
		Requests: after.Requests - before.Requests,
		Streams:  after.Streams - before.Streams,
		Released: after.Released - before.Released,
		Asks:     after.Asks - before.Asks,
		Saved:    after.Saved - before.Saved,

		Unchanged: after.Unchanged - before.Unchanged,
		Unknown:   after.Unknown - before.Unknown,
		PageLoads: after.PageLoads - before.PageLoads,
		Memories:  after.Memories - before.Memories,
	}
	want := Figures{Requests: 9, Streams: 6, Released: 6, Asks: 15, Saved: 45, Unchanged: 3, Unknown: 3, PageLoads: 3, Memories: 3}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
