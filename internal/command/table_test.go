package command

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/lot"
	"github.com/caddy-parker/parker/internal/status"
)

func TestTableShowsStatus(t *testing.T) {
	f := figures{address: "localhost:2019", now: time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC), trouble: errors.New("gone")}
	f.past = []status.Sample{{Requests: 240, Asks: 1, Saved: 3}, {Requests: 300, Streams: 10, Asks: 9, Saved: 87}}
	f.newest = status.Now{
		Sample: status.Sample{Requests: 10204, Streams: 312, Groups: 1204, Released: 1033.6, Asks: 9.25, Saved: 87},
		View: status.View{
			Channels: 1200,
			Busiest:  []lot.ChannelWaiting{{Channel: "rooms/7", Waiting: lot.Waiting{Requests: 5120, Streams: 12}}, {Channel: "日本", Waiting: lot.Waiting{Streams: 1}}},
			Broker:   status.Broker{Lag: 2.55, Waiting: 1234, HistoryBytes: 34_100},
		},
	}
	const want = `parker at localhost:2019, 15:04:05  -  gone

    PARKED    STREAMS     GROUPS   RELEASED/S     ASKS/S   SHARED/S  WAITED PER ASK
    10,204        312      1,204        1,034        9.2         87            55 s

broker NOT REACHABLE, 2.5 s behind, 1,234 events waiting to be sent, history 34 kB

    PARKED    STREAMS   CHANNEL (2 of 1,200)
     5,120         12   rooms/7
         0          1   日本
`
	var out bytes.Buffer
	if f.write(&out); out.String() != want {
		t.Errorf("it is\n%s", &out)
	}
}

func TestTableShowsWhatClientsHaveIfAnswersAreCompared(t *testing.T) {
	f := figures{past: []status.Sample{{}, {PageLoads: 1}, {}}}
	f.newest = status.Now{Sample: status.Sample{Unchanged: 41.5, Unknown: 1.25, Memories: 12_040}}
	const want = `
 UNCHANGED/S  UNKNOWN CLIENTS/S    MEMORIES  PAGE LOADS/S
          42                1.2      12,040             0
`
	for _, compared := range []bool{true, false} {
		var out bytes.Buffer
		if f.write(&out); strings.Contains(out.String(), want) != compared || strings.Contains(out.String(), "UNCHANGED") != compared {
			t.Errorf("it is\n%s", &out)
		}
		f.past = nil
	}
}

func TestWaitedPerAskDividesTheTimeOfClientsByAsks(t *testing.T) {
	for _, c := range []struct {
		samples []status.Sample
		want    string
	}{
		{nil, "-"},
		{[]status.Sample{{Asks: 5}}, "-"},
		{[]status.Sample{{Requests: 200}, {Requests: 200}}, "> 400 s"},
		{[]status.Sample{{Requests: 2, Streams: 1, Asks: 2}}, "1.5 s"},
		{[]status.Sample{{Requests: 10_000, Asks: 1}, {Requests: 10_000}}, "5.6 h"},
		{[]status.Sample{{Streams: 1200, Asks: 1}}, "20 min"},
	} {
		if got := waitedPerAsk(c.samples); got != c.want {
			t.Errorf("%+v: %s, want %s", c.samples, got, c.want)
		}
	}
}

func TestScreenIsRestored(t *testing.T) {
	var out bytes.Buffer
	s := screen{terminal: -1, out: &out}
	s.close()
	if out.Len() > 0 {
		t.Errorf("nothing was drawn, and %q written", &out)
	}
	for range 2 {
		s.draw(func(w io.Writer) { io.WriteString(w, "a\nb\n") })
	}
	s.close()
	const picture = home + "a" + clearLine + "\nb" + clearLine + clearBelow
	if want := openScreen + picture + picture + closeScreen; out.String() != want {
		t.Errorf("it wrote %q, want %q", strings.ReplaceAll(out.String(), "\x1b", "ESC"), want)
	}
}
