package advise

import (
	"strconv"
	"strings"
	"time"
)

// title names a poll.
func (p *Poll) title() string { return titleOf(p.Method, p.Path, p.Call) }

func (p *Publisher) title() string { return titleOf(p.Method, p.Path, p.Call) }

func titleOf(method, path string, c *Call) string {
	if c == nil {
		return method + " " + path
	}
	return method + " " + path + " (" + strings.TrimPrefix(c.Name, "/") + " " + c.Value + ")"
}

// apart says how long after each other the changes came that no write explains.
func (p *Poll) apart() string {
	if p.Apart == 0 {
		return ""
	}
	return ", which came every " + rounded(p.Apart) + " or so"
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
