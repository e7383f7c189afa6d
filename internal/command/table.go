package command

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/term"

	"github.com/caddy-parker/parker/internal/status"
)

// write writes the figures as lines of text.
func (f *figures) write(w io.Writer) {
	now, broker := f.newest, f.newest.Broker
	fmt.Fprintf(w, "parker at %s, %s", f.address, f.now.Format(time.TimeOnly))
	if f.trouble != nil {
		fmt.Fprintf(w, "  -  %v", f.trouble)
	}
	fmt.Fprintf(w, "\n\n%10s %10s %10s %12s %10s %10s %15s\n", "PARKED", "STREAMS", "GROUPS", "RELEASED/S", "ASKS/S", "SHARED/S", "WAITED PER ASK")
	fmt.Fprintf(w, "%10s %10s %10s %12s %10s %10s %15s\n", comma(now.Requests), comma(now.Streams), comma(now.Groups),
		rate(now.Released), rate(now.Asks), rate(now.Saved), waitedPerAsk(f.past))
	if slices.ContainsFunc(f.past, status.Sample.Compares) {
		fmt.Fprintf(w, "\n%12s %18s %11s %13s\n", "UNCHANGED/S", "UNKNOWN CLIENTS/S", "MEMORIES", "PAGE LOADS/S")
		fmt.Fprintf(w, "%12s %18s %11s %13s\n", rate(now.Unchanged), rate(now.Unknown), comma(now.Memories), rate(now.PageLoads))
	}
	reachable := "reachable"
	if !broker.Reachable {
		reachable = "NOT REACHABLE"
	}
	fmt.Fprintf(w, "\nbroker %s, %.1f s behind, %s events waiting to be sent, history %s\n", reachable, broker.Lag, comma(broker.Waiting), humanize.Bytes(uint64(max(broker.HistoryBytes, 0))))
	fmt.Fprintf(w, "\n%10s %10s   %s\n", "PARKED", "STREAMS", ofChannels(now))
	for _, c := range now.Busiest {
		fmt.Fprintf(w, "%10s %10s   %s\n", comma(c.Requests), comma(c.Streams), c.Channel)
	}
}

func ofChannels(now status.Now) string {
	if now.Channels > len(now.Busiest) {
		return fmt.Sprintf("CHANNEL (%d of %s)", len(now.Busiest), comma(now.Channels))
	}
	return "CHANNEL"
}

func comma(n int) string { return humanize.Comma(int64(n)) }

// rate formats a number per second, with one decimal if it is less than 10.
func rate(n float64) string {
	if n > 0 && n < 10 {
		return fmt.Sprintf("%.1f", n)
	}
	return humanize.Comma(int64(n + .5))
}

// waitedPerAsk returns how long clients waited for each ask that was sent to the backend.
// Samples are one second apart, so their counts are seconds of waiting.
func waitedPerAsk(samples []status.Sample) string {
	var waited, asks float64
	for _, s := range samples {
		waited += float64(s.Requests + s.Streams)
		asks += s.Asks
	}
	switch {
	case waited == 0:
		return "-"
	case asks == 0:
		return "> " + seconds(waited)
	}
	return seconds(waited / asks)
}

// seconds formats a number of seconds, in minutes or hours if there are many.
func seconds(n float64) string {
	switch {
	case n < 600:
		return rate(n) + " s"
	case n < 7200:
		return rate(n/60) + " min"
	}
	return rate(n/3600) + " h"
}

// screen is the screen of a terminal. Its earlier content comes back when it is closed.
type screen struct {
	terminal int
	out      io.Writer
	opened   bool
}

// Control sequences (ECMA-48, and xterm's private modes).
const (
	openScreen  = "\x1b[?1049h\x1b[?25l\x1b[?7l" // alternate screen, no cursor, no wrapping
	closeScreen = "\x1b[?7h\x1b[?25h\x1b[?1049l"
	home        = "\x1b[H"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
)

// draw draws as many lines as fit on the screen.
func (s *screen) draw(write func(io.Writer)) {
	var text bytes.Buffer
	write(&text)
	lines := strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
	if _, height, err := term.GetSize(s.terminal); err == nil && height > 0 {
		lines = lines[:min(len(lines), height)]
	}
	begin := home
	if !s.opened {
		s.opened = true
		begin = openScreen + home
	}
	io.WriteString(s.out, begin+strings.Join(lines, clearLine+"\n")+clearLine+clearBelow)
}

func (s *screen) close() {
	if s.opened {
		io.WriteString(s.out, closeScreen)
	}
}
