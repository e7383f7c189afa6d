package advise

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Caddyfile returns a Caddyfile for the polls of a report, with the evidence for each line
// in comments. It is empty if there is nothing to hold.
//
// Upstream is the address of the application, and host that of the site, both as they
// stand in a Caddyfile.
func Caddyfile(report Report, upstream, host string) string {
	polls := slices.DeleteFunc(slices.Clone(report.Polls), func(p Poll) bool { return !p.Hold })
	if len(polls) == 0 {
		return ""
	}
	polls = ofOneHost(polls)
	w := &writer{}
	for i := range polls {
		w.evidence(&polls[i])
	}
	w.line("%s {", host)
	w.indent = "\t"
	written := make(map[string]bool)
	for i := range polls {
		w.publishers(&polls[i], i, written)
		w.poll(&polls[i], i)
	}
	w.line("reverse_proxy %s", upstream)
	w.indent = ""
	w.line("}")
	if slices.ContainsFunc(polls, func(p Poll) bool { return p.watch() > 0 }) {
		w.line("")
		w.comment("The hook, for what no write through Caddy explains. What publishes there makes watch unnecessary.")
		w.line("http://127.0.0.1:9080 {")
		w.line("\tparker_publish")
		w.line("}")
	}
	for i := range polls {
		w.gain(&polls[i])
	}
	return w.text.String()
}

// ofOneHost returns the polls of the host that was polled most.
func ofOneHost(polls []Poll) []Poll {
	return slices.DeleteFunc(slices.Clone(polls), func(p Poll) bool { return p.Host != polls[0].Host })
}

type writer struct {
	text   strings.Builder
	indent string
}

func (w *writer) line(format string, values ...any) {
	if text := fmt.Sprintf(format, values...); text != "" {
		w.text.WriteString(w.indent + text)
	}
	w.text.WriteByte('\n')
}

// comment writes a comment. A line break in it must not end it.
func (w *writer) comment(format string, values ...any) {
	w.line("# %s", strings.Join(strings.Fields(fmt.Sprintf(format, values...)), " "))
}

// evidence writes what the advice for a poll is based on.
func (w *writer) evidence(p *Poll) {
	w.comment("%s: %s by %s, each every %s%s. %s of %s meant nothing new.", p.title(), count(p.Asks, "poll"), count(p.Clients, "client"),
		rounded(p.Every), seldom(p.Asks), grouped(p.Same), grouped(p.Asks))
	w.comment("  %s", p.Reason)
	for _, f := range p.Fields {
		w.comment("  %s: %s.", f.describe(), f.Role)
	}
	switch p.Waiting {
	case ByTimer:
		w.comment("  The page polls by a timer and does not wait for its answer.")
	case AfterAnswer:
		w.comment("  The page polls again after the answer.")
	}
	for _, publisher := range p.Publishers {
		w.comment("  After %s there was a change: %d of %d times, usually seen within %s%s.", publisher.title(), publisher.Followed, publisher.Writes,
			rounded(publisher.Within), seldom(publisher.Followed))
	}
	switch {
	case p.Changes == 0:
		w.comment("  No change was seen, so it is not known who publishes: see the hook below. Until then, watch finds changes.")
	case p.Unknown > 0:
		w.comment("  No write explains %d of %d changes%s. They need a source, the hook below, or watch.", p.Unknown, p.Changes, p.apart())
	}
	w.sharing(p)
	for _, warning := range p.Warnings {
		w.comment("  Note: %s", warning)
	}
}

func (w *writer) sharing(p *Poll) {
	s := p.Sharing
	switch {
	case p.Public:
		w.comment("  Other clients got the same news %d times, and others %d times.", s.Same, s.Different)
		if s.NoStore {
			w.comment("  Its answers say no-store or private: share public logs a warning about that.")
		}
		if s.SetCookie {
			w.comment("  Its answers set cookies, which share public takes out.")
		}
	case s.Different > 0:
		w.comment("  Other clients got other news %d times, so nothing is shared.", s.Different)
	case s.Same > 0:
		w.comment("  Other clients got the same news, but only %s: see share public.", count(s.Same, "time"))
	}
}

// publishers writes a parker_notify for each kind of write, unless it is there already.
func (w *writer) publishers(p *Poll, number int, written map[string]bool) {
	for i, publisher := range p.Publishers {
		line := strings.Join(append([]string{publisher.Path}, publisher.Channels...), " ")
		if publisher.Call != nil {
			line += callText(publisher.Call)
		}
		if written[line] {
			continue
		}
		written[line] = true
		matcher := publisher.Path
		if publisher.Call != nil || needsExpression(publisher.Path) {
			matcher = fmt.Sprintf("@write%d_%d", number+1, i+1)
			w.matcher(matcher, "", publisher.Path, publisher.Call)
		}
		w.line("%s", strings.Join(slices.Concat([]string{"parker_notify", matcher}, publisher.Channels), " "))
	}
}

func (w *writer) poll(p *Poll, number int) {
	matcher := p.Path
	if p.Call != nil || needsExpression(p.Path) {
		matcher = fmt.Sprintf("@poll%d", number+1)
		w.matcher(matcher, "", p.Path, p.Call)
	}
	first := strings.Join(slices.Concat([]string{"parker", matcher}, p.Channels), " ")
	options := p.options()
	if len(options) == 0 {
		w.line("%s", first)
		return
	}
	w.line("%s {", first)
	for _, option := range options {
		w.line("\t%s", option)
	}
	w.line("}")
}

// options returns the lines of the block of a poll.
func (p *Poll) options() []string {
	var lines []string
	if p.Method != "GET" {
		lines = append(lines, "methods "+p.Method)
	}
	if p.Waiting == ByTimer {
		lines = append(lines, "timer")
	}
	if watch := p.watch(); watch > 0 {
		lines = append(lines, "watch "+watch.String())
	}
	if p.Public {
		lines = append(lines, "share public")
	}
	var ignored []string
	for _, f := range p.Fields {
		if f.In == string(inQuery) && (f.Role == BusterRole || f.Role == CounterRole) {
			ignored = append(ignored, f.Name)
		}
	}
	if len(ignored) > 0 {
		lines = append(lines, "ignore_query "+strings.Join(ignored, " "))
	}
	if len(p.NothingNew) > 0 {
		lines = append(lines, "nothing_new {")
		lines = append(lines, indented(p.NothingNew)...)
		lines = append(lines, "}")
	}
	return lines
}

// watch returns at what interval parker must ask, so that no client gets news later than
// without it. It is 0 if writes explain all changes.
func (p *Poll) watch() time.Duration {
	if p.Changes > 0 && p.Unknown*10 <= p.Changes {
		return 0
	}
	return min(max(p.Every.Round(100*time.Millisecond), 100*time.Millisecond), 50*time.Second)
}

// matcher writes a named matcher for a path and a call.
func (w *writer) matcher(name, method, path string, c *Call) {
	w.line("%s {", name)
	if method != "" {
		w.line("\tmethod %s", method)
	}
	if needsExpression(path) {
		w.line("\tpath_regexp ^%s$", strings.ReplaceAll(strings.ReplaceAll(path, ".", `\.`), "*", "[^/]+"))
	} else {
		w.line("\tpath %s", path)
	}
	if c != nil {
		w.line("\t%s", strings.TrimSpace(callText(c)))
	}
	w.line("}")
}

// callText returns the line of a matcher for a call.
func callText(c *Call) string {
	switch place(c.In) {
	case inQuery:
		return " query " + c.Name + "=" + c.Value
	case inForm:
		return " parker_body form " + c.Name + " " + c.Value
	}
	pointer := c.Name
	if c.Batch {
		pointer = "/*" + pointer
	}
	return " parker_body json " + pointer + " " + c.Value
}

// needsExpression reports whether Caddy's path matcher cannot express a path: a * at its end
// also matches longer paths, which only matters if there is more after it.
func needsExpression(path string) bool {
	i := strings.Index(path, "*")
	return i >= 0 && i < len(path)-1
}

// gain writes what parker would have brought.
func (w *writer) gain(p *Poll) {
	g := p.Gain
	text := fmt.Sprintf("%s: parker would have spared the application about %s of %s asks", p.title(), grouped(g.Spared), grouped(g.Asks))
	if g.Time >= time.Millisecond {
		text += fmt.Sprintf(" (%s of its time)", rounded(g.Time))
	}
	if g.Sooner > 0 {
		text += fmt.Sprintf(", and news would have come %s sooner on average", rounded(g.Sooner))
	}
	w.comment("%s. It costs up to %s at once.", text, count(g.Parked, "held request"))
}
