package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// progress is a progress bar on a terminal. If there is no terminal, it shows nothing.
type progress struct {
	terminal io.Writer // nil if there is none
	what     string    // the text that is shown
	at       time.Time // when it was drawn
}

// newProgress returns a progress bar on complaints, if that is a terminal.
func newProgress(complaints io.Writer) *progress {
	if file, ok := complaints.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return &progress{terminal: file}
	}
	return new(progress)
}

const (
	barWidth  = 30
	redraw    = 100 * time.Millisecond // the shortest time between two updates
	clearLine = "\r\x1b[K"             // ECMA-48
)

// show draws the bar.
func (p *progress) show(what string, done, all int) {
	if p.terminal == nil || what == p.what && time.Since(p.at) < redraw {
		return
	}
	p.what, p.at = what, time.Now()
	full := 0
	if all > 0 {
		full = min(int(float64(done)/float64(all)*barWidth), barWidth)
	}
	fmt.Fprintf(p.terminal, "%s%-22s [%s%s]", clearLine, what, strings.Repeat("#", full), strings.Repeat(" ", barWidth-full))
}

// clear removes the bar.
func (p *progress) clear() {
	if p.terminal != nil && p.what != "" {
		io.WriteString(p.terminal, clearLine)
	}
}
