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
	context.AfterFunc(ctx, stop) // a second Ctrl+C ends the process, also while nothing comes
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
	left := leftOut{make(map[traffic.Why]int), make(map[traffic.Why]int64)}
	requests := 0
	for o, err := range reader.Read(counting{file, bar}, left.note) {
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
	left.write(os.Stderr)
	return nil
}

// leftOut counts the lines or entries of a file that say nothing about a request.
type leftOut struct {
	count map[traffic.Why]int
	first map[traffic.Why]int64 // number of the first one
}

func (l *leftOut) note(s traffic.Skipped) {
	l.count[s.Why]++
	l.first[s.Why] = cmp.Or(l.first[s.Why], s.Number)
}

func (l *leftOut) write(w io.Writer) {
	for _, why := range slices.SortedFunc(maps.Keys(l.first), func(x, y traffic.Why) int { return cmp.Compare(l.first[x], l.first[y]) }) {
		fmt.Fprintf(w, "  left out %s, first line or entry %d: %s\n", comma(l.count[why]), l.first[why], why)
	}
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
