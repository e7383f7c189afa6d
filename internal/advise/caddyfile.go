package advise

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Site is the site that a Caddyfile is for.
type Site struct {
	// Address is that of the site, as it stands in a Caddyfile. If it is empty, there is a
	// site for each host that was polled, and :80 for those without a name.
	Address string

	// Upstreams are the addresses of the application, as they stand in a Caddyfile. If there
	// are none, the sites have no reverse_proxy, and a comment says where it belongs.
	Upstreams []string

	// WithoutHook leaves out the hook: another Caddy of this machine may have its address.
	WithoutHook bool
}

// Caddyfile returns a Caddyfile for the polls of a report, with the evidence for each line
// in comments. It is empty if there is nothing to hold.
func Caddyfile(report Report, site Site) string {
	w := &writer{upstreams: site.Upstreams}
	var addresses []string
	polls := make(map[string][]Poll)
	for _, p := range report.Polls {
		if !p.Hold {
			continue
		}
		address := site.Address
		if address == "" {
			address = addressOf(p.Host)
		}
		if polls[address] == nil {
			addresses = append(addresses, address)
		}
		if !slices.ContainsFunc(polls[address], func(other Poll) bool { return p.sameMatcher(&other) }) {
			polls[address] = append(polls[address], p)
		}
	}
	hook := false
	for i, address := range addresses {
		if i > 0 {
			w.line("")
		}
		w.site(address, polls[address], len(addresses) > 1)
		hook = hook || slices.ContainsFunc(polls[address], func(p Poll) bool { return p.watch() > 0 })
	}
	if hook && !site.WithoutHook {
		w.line("")
		w.comment("The hook, for what no write through Caddy explains. What publishes there makes watch unnecessary.")
		w.line("http://127.0.0.1:9080 {")
		w.line("\tparker_publish")
		w.line("}")
	}
	for _, address := range addresses {
		for i := range polls[address] {
			w.gain(&polls[address][i])
		}
	}
	return w.text.String()
}

// sameMatcher reports whether two polls cannot be distinguished in one site: their hosts
// differ only.
func (p *Poll) sameMatcher(other *Poll) bool {
	return p.Method == other.Method && p.Path == other.Path && (p.Call == nil && other.Call == nil || p.Call != nil && other.Call != nil && *p.Call == *other.Call)
}

var hostName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$`)

// addressOf returns the address of the site for a host.
func addressOf(host string) string {
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil || len(host) > 253 || !hostName.MatchString(host) {
		return ":80"
	}
	return host
}

// site writes the site with an address. If there are several, the channels of each have its
// host in their names: otherwise a write at one would release the polls of another.
func (w *writer) site(address string, polls []Poll, several bool) {
	for i := range polls {
		w.evidence(&polls[i])
	}
	w.line("%s {", address)
	w.indent = "\t"
	written := make(map[string]bool)
	for i := range polls {
		p := polls[i]
		if several {
			p = p.withHost()
		}
		w.publishers(&p, i, written)
		w.poll(&p, i)
	}
	if len(w.upstreams) > 0 {
		w.line("reverse_proxy %s", strings.Join(w.upstreams, " "))
	} else {
		w.comment("Here belongs what passes requests to the application, such as your reverse_proxy or php_fastcgi.")
	}
	w.indent = ""
	w.line("}")
}

// withHost returns the poll with the host in the names of its channels.
func (p Poll) withHost() Poll {
	named := func(channels []string) []string {
		if len(channels) == 0 {
			return []string{"{host}{path}"}
		}
		var result []string
		for _, channel := range channels {
			result = append(result, "{host}/"+channel)
		}
		return result
	}
	p.Channels = named(p.Channels)
	p.Publishers = slices.Clone(p.Publishers)
	for i := range p.Publishers {
		p.Publishers[i].Channels = named(p.Publishers[i].Channels)
	}
	return p
}

type writer struct {
	text      strings.Builder
	indent    string
	upstreams []string
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

// detail writes a comment that belongs to the one before.
func (w *writer) detail(format string, values ...any) {
	w.line("#   %s", strings.Join(strings.Fields(fmt.Sprintf(format, values...)), " "))
}

// evidence writes what the advice for a poll is based on.
func (w *writer) evidence(p *Poll) {
	w.comment("%s: %s by %s, each every %s%s. %s of the last %s meant nothing new.", p.Title(), count(p.Asks, "poll"), count(p.Clients, "client"),
		p.Every, seldom(p.Asks), grouped(p.Same), grouped(p.Gain.Asks))
	w.detail("%s", p.Reason)
	for _, f := range p.Fields {
		w.detail("%s: %s.", f.describe(), f.Role)
	}
	switch p.Waiting {
	case ByTimer:
		w.detail("The page polls by a timer and does not wait for its answer.")
	case AfterAnswer:
		w.detail("The page polls again after the answer.")
	}
	for _, publisher := range p.Publishers {
		followed := "there was a change"
		if publisher.Refuses {
			followed = "polls were refused"
		}
		w.detail("After %s %s: %d of %d times, usually seen within %s%s.", publisher.Title(), followed, publisher.Followed, publisher.Writes,
			publisher.Within, seldom(publisher.Followed))
	}
	switch {
	case p.Changes == 0 && len(p.Publishers) > 0:
		w.detail("No news was seen, so it is not known who else publishes: see the hook below. Until then, watch finds changes.")
	case p.Changes == 0:
		w.detail("No change was seen, so it is not known who publishes: see the hook below. Until then, watch finds changes.")
	case p.Unknown > 0 && p.watch() == 0:
		w.detail("No write explains %d of %d changes%s. Such news would come at the timeout only. If they matter, use watch.", p.Unknown, p.Changes, p.apart())
	case p.Unknown > 0:
		w.detail("No write explains %d of %d changes%s. They need a source, the hook below, or watch.", p.Unknown, p.Changes, p.apart())
	}
	w.sharing(p)
	for _, warning := range p.Warnings {
		w.detail("Note: %s", warning)
	}
}

func (w *writer) sharing(p *Poll) {
	s := p.Sharing
	const how = " If you know that all get the same, use share public."
	switch {
	case p.Public:
		w.detail("Other clients got the same news %s, and never others%s. If an answer can ever be for one person, remove share public.", count(s.Same, "time"), seldom(s.Same))
		if s.NoStore {
			w.detail("Its answers say no-store: share public logs a warning about that.")
		}
	case len(p.ShareBy) > 0:
		w.detail("Clients with the same %s got the same news, and others got others (%s).", strings.Join(p.ShareBy, " and "), count(s.Different, "time"))
		w.detail("Look whether nothing else tells people apart before you use share: they would see what is meant for others.")
	case s.Different > 0:
		w.detail("Other clients did not get the same news %s, so nothing is shared.", count(s.Different, "time"))
	case s.Same == 0:
	case s.Unknown:
		w.detail("Other clients got the same news %s, but their cookies are not known, so nothing is shared.", count(s.Same, "time"))
	case s.Private:
		w.detail("Other clients got the same news %s, but its answers say that they are private, so nothing is shared.", count(s.Same, "time"))
	case s.Varies:
		w.detail("Other clients got the same news %s, but its answers depend on cookies, as Vary says, so nothing is shared.", count(s.Same, "time"))
	case s.SetCookie:
		w.detail("Other clients got the same news %s, but its answers set cookies that differ, so nothing is shared.", count(s.Same, "time"))
	default:
		w.detail("Other clients got the same news %s%s, which is not enough to share.%s", count(s.Same, "time"), seldom(s.Same), how)
	}
}

// publishers writes a parker_notify for each kind of write, unless it is there already.
func (w *writer) publishers(p *Poll, number int, written map[string]bool) {
	for i, publisher := range p.Publishers {
		line := strings.Join(append([]string{publisher.Path}, publisher.Channels...), " ")
		if publisher.Method == "GET" {
			line += " GET"
		}
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
		line = strings.Join(slices.Concat([]string{"parker_notify", matcher}, publisher.Channels), " ")
		if publisher.Method != "GET" {
			w.line("%s", line)
			continue
		}
		w.line("%s {", line)
		w.line("\tmethods GET")
		w.line("}")
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
	switch {
	case p.Public:
		lines = append(lines, "share public")
	case len(p.ShareBy) > 0:
		lines = append(lines, "share "+strings.Join(p.ShareBy, " "))
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
	if p.Changes > 0 && (p.Unknown*100 <= p.Changes || p.Unknown == 1 && p.Changes >= 20) {
		return 0
	}
	return min(max(p.Every.Duration().Round(100*time.Millisecond), 100*time.Millisecond), 50*time.Second)
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

// needsExpression reports whether Caddy's path matcher cannot express a path: a * in it also
// matches longer paths, which are other requests.
func needsExpression(path string) bool { return strings.Contains(path, "*") }

// gain writes what parker would have brought.
func (w *writer) gain(p *Poll) {
	g := p.Gain
	text := fmt.Sprintf("%s: parker would have spared the application about %s of %s asks", p.Title(), grouped(g.Spared), grouped(g.Asks))
	if g.Time.Duration() >= time.Millisecond {
		text += fmt.Sprintf(" (%s of its time)", g.Time)
	}
	if g.Sooner > 0 {
		text += fmt.Sprintf(", and news would have come %s sooner on average%s", g.Sooner, seldom(p.Changes-p.Unknown))
	}
	if p.watch() > 0 {
		text += ". Until something publishes, watch asks as often as a page does"
	}
	w.comment("%s. It costs up to %s at once, about %s of memory.", text, count(g.Parked, "held request"), size(g.Memory))
}
