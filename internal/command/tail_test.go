package command

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/eventstream"
)

func TestTailPrintsEventOnOneLine(t *testing.T) {
	for _, c := range []struct {
		event eventstream.Event
		want  string
	}{
		{eventstream.Event{ID: "E-1", Type: "x", Data: []byte("a\tb")}, "E-1\tx\ta\tb\n"},
		{eventstream.Event{Data: []byte("a\r\nb\rc\n\nd")}, "-\tmessage\ta\n\t\tb\n\t\tc\n\t\t\n\t\td\n"},
		{eventstream.Event{ID: "\x1b[2J", Data: []byte("\x1b]0;\x07 \xff \u0085 ü")}, `\x1b[2J` + "\tmessage\t" + `\x1b]0;\x07 \xff \x85 ü` + "\n"},
		{eventstream.Event{ID: "E-1"}, "E-1\tmessage\t\n"},
	} {
		var out bytes.Buffer
		if err := (&tail{out: &out}).print(c.event); err != nil || out.String() != c.want {
			t.Errorf("%+v: %q, %v, want %q", c.event, &out, err, c.want)
		}
	}
}

func TestTailRetriesLaterEachTime(t *testing.T) {
	for _, c := range []struct {
		retry    time.Duration
		failures int
		most     time.Duration
	}{
		{0, 0, time.Second}, {0, 3, 8 * time.Second}, {0, 1000, 30 * time.Second},
		{100 * time.Millisecond, 1, 200 * time.Millisecond}, {time.Minute, 5, time.Minute},
	} {
		for range 100 {
			if wait := (&tail{retry: c.retry, failures: c.failures}).wait(); wait < c.most*3/4 || wait > c.most {
				t.Errorf("%+v: %s", c, wait)
			}
		}
	}
}

func TestTailCountsOnlyReleasesForNews(t *testing.T) {
	for status, want := range map[string]bool{
		"":                                   false,
		"parker; park=0.0; release=none":     false,
		"parker; park=1.0; release=replay":   false,
		"parker; park=55.0; release=timeout": true,
		"parker; park=0.0; release=full":     true,
		"parker;release=stop":                true,
	} {
		header := http.Header{}
		if status != "" {
			header.Add("Parker-Status", "parker; park=1.0; release=replay")
			header.Add("Parker-Status", status)
		}
		if isNothingNew(header) != want {
			t.Errorf("%q: %v", status, !want)
		}
	}
}
