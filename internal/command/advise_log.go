package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"golang.org/x/term"

	"github.com/caddy-parker/parker/internal/advise"
	"github.com/caddy-parker/parker/internal/advise/traffic"
)

// fromLogs reads recorded traffic and prints the advice.
func (a *advising) fromLogs() error {
	ctx, stop := untilInterrupted()
	defer stop()
	analysis := advise.New()
	reader := traffic.New()
	for _, name := range a.logs {
		if err := readLog(ctx, reader, name, analysis); err != nil {
			return err
		}
	}
	if err := a.ask(ctx, analysis); err != nil {
		return err
	}
	return a.print(analysis.Report(), advise.Site{Upstreams: a.to})
}

// readLog feeds an analysis with the requests of one file.
func readLog(ctx context.Context, reader *traffic.Reader, name string, analysis *advise.Analysis) error {
	file, size := os.Stdin, int64(0)
	if name != "-" {
		opened, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("--log: %w", err)
		}
		defer opened.Close()
		file = opened
	}
	if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
		size = info.Size()
	}
	bar := newBar(name, size)
	defer bar.clear()
	skipped := make(map[traffic.Why]int64) // the lines that were skipped, and the first of them
	first := make(map[traffic.Why]int64)
	requests := 0
	for o, err := range reader.Read(counting{file, bar}, func(s traffic.Skipped) {
		skipped[s.Why]++
		first[s.Why] = cmp.Or(first[s.Why], s.Number)
	}) {
		if err != nil && requests == 0 {
			return fmt.Errorf("--log %s: %w", name, err)
		}
		if err != nil { // such as a file that was cut: what comes before it is good
			bar.clear()
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
			break
		}
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		analysis.Add(o)
		requests++
	}
	bar.clear()
	fmt.Fprintf(os.Stderr, "%s: %s requests\n", name, comma(requests))
	for _, why := range slices.SortedFunc(maps.Keys(skipped), func(x, y traffic.Why) int { return cmp.Compare(first[x], first[y]) }) {
		fmt.Fprintf(os.Stderr, "  left out %s, first line or entry %d: %s\n", comma(int(skipped[why])), first[why], why)
	}
	return nil
}

// bar shows on a terminal how much of a file was read.
type bar struct {
	name        string
	size, read  int64 // in bytes; size is 0 if it is not known
	shown       time.Time
	onTerminal  bool
	everWritten bool
}

func newBar(name string, size int64) *bar {
	return &bar{name: name, size: size, onTerminal: term.IsTerminal(int(os.Stderr.Fd()))}
}

const barWidth = 40

func (b *bar) add(n int) {
	b.read += int64(n)
	if !b.onTerminal || time.Since(b.shown) < 100*time.Millisecond {
		return
	}
	b.shown, b.everWritten = time.Now(), true
	if b.size == 0 {
		fmt.Fprintf(os.Stderr, "\r%s: %s bytes%s", b.name, comma(int(b.read)), clearLine)
		return
	}
	done := int(min(b.read*barWidth/b.size, barWidth))
	fmt.Fprintf(os.Stderr, "\r%s: [%-*s] %s%s", b.name, barWidth, "########################################"[:done], percent(int(b.read), int(b.size)), clearLine)
}

func (b *bar) clear() {
	if b.everWritten {
		fmt.Fprint(os.Stderr, "\r"+clearLine)
		b.everWritten = false
	}
}

// counting tells the bar how much was read.
type counting struct {
	source io.Reader
	bar    *bar
}

func (c counting) Read(buffer []byte) (int, error) {
	n, err := c.source.Read(buffer)
	c.bar.add(n)
	return n, err
}
