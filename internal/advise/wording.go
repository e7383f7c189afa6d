package advise

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Title names a poll by its method and path, and the call if it is one of several.
func (p *Poll) Title() string { return titleOf(p.Method, p.Path, p.Call) }

// Title names a kind of write as [Poll.Title] does.
func (p *Publisher) Title() string { return titleOf(p.Method, p.Path, p.Call) }

func titleOf(method, path string, c *Call) string {
	if c == nil {
		return method + " " + path
	}
	return method + " " + path + " (" + strings.TrimPrefix(c.Name, "/") + " " + c.Value + ")"
}

// Interval says how often a client asks. It is a dash if that is not known.
func (p *Poll) Interval() string {
	if p.Every == 0 {
		return "-"
	}
	return p.Every.String()
}

// ChangedAfter says, on one line, after what the answers changed.
func (p *Poll) ChangedAfter() string {
	switch {
	case p.Already:
		return "parker handles it already"
	case p.Streams:
		return "an event stream already"
	case p.Held:
		return "held by the backend already"
	case !p.Hold:
		return "nothing to hold"
	case len(p.Publishers) > 0:
		var parts []string
		for _, publisher := range p.Publishers[:min(2, len(p.Publishers))] {
			parts = append(parts, fmt.Sprintf("%s (%s of %s, within %s)", publisher.Title(), grouped(publisher.Followed), grouped(publisher.Writes), publisher.Within))
		}
		if more := len(p.Publishers) - len(parts); more > 0 {
			parts = append(parts, fmt.Sprintf("%d more", more))
		}
		return strings.Join(parts, ", ")
	}
	return "nothing seen: publish by the hook, a source, or watch"
}

// Notes returns, for each poll that a Caddyfile leaves out, a line that says why.
func Notes(report Report) []string {
	var notes []string
	for i := range report.Polls {
		if p := &report.Polls[i]; !p.Hold {
			notes = append(notes, p.Title()+": "+strings.Join(append([]string{p.Reason}, p.Warnings...), " "))
		}
	}
	return notes
}

// size writes a number of bytes as people read it.
func size(bytes int) string {
	if bytes < 1e6 {
		return grouped(bytes/1000) + " KB"
	}
	return grouped(bytes/1e6) + " MB"
}

// apart says how long after each other the changes came that no write explains.
func (p *Poll) apart() string {
	if p.Apart == 0 {
		return ""
	}
	return ", which came every " + p.Apart.String() + " or so"
}

func (f *Field) describe() string {
	switch place(f.In) {
	case inPath:
		number, _ := strconv.Atoi(f.Name)
		return "segment " + strconv.Itoa(number) + " of the path, counted from 0"
	case inQuery:
		return f.Name + " in the query"
	}
	return strings.TrimPrefix(f.Name, "/") + " in the body"
}

// seldom says that little was seen.
func seldom(n int) string {
	if n > 3 {
		return ""
	}
	return " (seen " + map[int]string{0: "never", 1: "once", 2: "twice", 3: "three times"}[n] + " only)"
}

func count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return grouped(n) + " " + thing
}

// grouped writes a number with commas.
func grouped(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// rounded writes a time span as people read it.
func rounded(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + "s"
	}
	return d.Round(time.Millisecond).String()
}
