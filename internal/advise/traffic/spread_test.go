package traffic

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/advise"
)

// beginnings returns the paths and when they began, in milliseconds after 10:00.
func beginnings(observations []advise.Observation) (result []string) {
	from := time.Date(2026, 11, 30, 10, 0, 0, 0, time.UTC)
	for _, o := range observations {
		result = append(result, fmt.Sprint(o.Path, " ", o.Begun.Sub(from).Milliseconds()))
	}
	return result
}

func TestReadSpacesRequestsOfOneSecondEvenly(t *testing.T) {
	for name, c := range map[string]struct {
		log  string
		want []string
	}{
		"combined": {
			line(1, "/a", "") + line(2, "/b", "") + line(2, "/c", "") + line(2, "/d", "") + line(2, "/e", "") + line(4, "/f", ""),
			[]string{"/a 1000", "/b 2000", "/c 2250", "/d 2500", "/e 2750", "/f 4000"},
		},
		"when they have ended": { // the write was slower than the poll before it
			line(1, "/poll", " 0.001") + line(1, "/write", " 0.100") + line(1, "/poll", " 0.001") + line(1, "/held", " 0.900"),
			[]string{"/held 850", "/poll 999", "/write 1150", "/poll 1499"},
		},
		"a longer one between, in Apache's log": {
			line(2, "/a", "") + line(2, "/b", "") + line(1, "/long", " 1500000") + line(2, "/c", "") + line(2, "/d", ""),
			[]string{"/long 1000", "/a 2000", "/b 2250", "/c 2500", "/d 2750"},
		},
		"Caddy's": {
			caddyLine(`1796032805.25`, `"2026/11/30 10:00:05"`, "1.25,", "0.125,") + "\n" + caddyLine(`1796032805.25`, `"2026/11/30 10:00:05"`, "1.25,", "0.125,", "/news", "/other"),
			[]string{"/news 4875", "/other 5375"},
		},
		"milliseconds": {
			strings.Replace(line(1, "/a", "")+line(1, "/b", ""), ":01 ", ":01.123 ", 2),
			[]string{"/a 1123", "/b 1123"},
		},
	} {
		observations, _ := readAll(t, c.log)
		if got := beginnings(observations); !slices.Equal(got, c.want) {
			t.Errorf("%s: read %q, want %q", name, got, c.want)
		}
	}
}

func TestReadSpacesRequestsAgainAfterTimeInTheFuture(t *testing.T) {
	future := strings.Replace(line(0, "/future", ""), "2026", "2126", 1)
	observations, _ := readAll(t, future+line(1, "/a", "")+line(1, "/b", ""))
	if got := beginnings(observations[:2]); !slices.Equal(got, []string{"/a 1000", "/b 1500"}) {
		t.Errorf("read %q", got)
	}
}

func TestReadKeepsMemoryOfOneSecondBounded(t *testing.T) {
	reading := &reading{order: order{yield: func(advise.Observation) bool { return true }}}
	begun, long := time.Now(), strings.Repeat("x", maxLine)
	for range 100 {
		reading.take(advise.Observation{Begun: begun, Step: time.Second, Path: long}, false)
		if reading.spread.bytes > maxSpreadBytes || len(reading.spread.waits) > maxSpreadBytes/maxLine {
			t.Fatalf("%d observations of one second wait, with %d bytes", len(reading.spread.waits), reading.spread.bytes)
		}
	}
}

func TestReadStopsWithinSecondWhenNoMoreAreWanted(t *testing.T) {
	seen := 0
	for range New().Read(strings.NewReader(strings.Repeat(line(1, "/", ""), 10)), nil) {
		if seen++; seen == 3 {
			break
		}
	}
	if seen != 3 {
		t.Errorf("%d observations", seen)
	}
}
