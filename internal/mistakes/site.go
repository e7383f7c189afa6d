package mistakes

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-parker/parker/internal/caddyinternals"
)

// site is a site block of a Caddyfile.
type site struct {
	key        string // identifies the site
	path       string // of an address of the site, or ""
	directives []directive

	// reordered is true if the Caddyfile changes the order of directives.
	reordered bool
}

// directive is a line of a block, with its own block: a directive, or an option of a
// directive.
type directive struct {
	name    string
	at      string   // file and line
	args    []string // the other words of the line, with the matcher if Caddy has not removed it
	block   []directive
	matcher bool // it has a matcher, or may have had one
}

// siteOf returns the site block that contains a directive. known is false if the block is
// not known, and for a named route, which may be part of several sites.
func siteOf(h httpcaddyfile.Helper) (s site, known bool) {
	block, ok := caddyinternals.SiteBlock(h)
	if !ok || h.IsNamedRoute() {
		return site{}, false
	}
	for _, key := range block.Keys {
		s.key += place(key) + " " + key.Text + "\n"
		if address, err := httpcaddyfile.ParseAddress(key.Text); err == nil && address.Path != "" {
			s.path = address.Path
		}
	}
	for _, segment := range block.Segments {
		s.directives = append(s.directives, parse(segment))
	}
	s.reordered = h.Option("order") != nil
	return s, s.key != ""
}

// parse parses a directive and its block.
func parse(segment caddyfile.Segment) directive {
	d := caddyfile.NewDispenser(slices.Clone(segment))
	d.Next()
	parsed := directive{name: d.Val(), at: place(d.Token()), args: d.RemainingArgs()}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		parsed.block = append(parsed.block, parse(d.NextSegment()))
	}
	parsed.matcher = parsed.name == "handle_path" || lostToken(segment) ||
		len(parsed.args) > 0 && (parsed.args[0] == "*" || strings.HasPrefix(parsed.args[0], "/") || strings.HasPrefix(parsed.args[0], "@"))
	return parsed
}

// lostToken reports whether Caddy may have removed a matcher from a directive. Caddy
// does that in place when it parses the matcher, which leaves the last token twice.
func lostToken(segment caddyfile.Segment) bool {
	if len(segment) < 2 {
		return false
	}
	last, before := segment[len(segment)-1], segment[len(segment)-2]
	return last.Text == before.Text && last.File == before.File && last.Line == before.Line
}

// holds reports whether such is true for a directive, or for one in its block.
func (d directive) holds(such func(directive) bool) bool {
	return such(d) || slices.ContainsFunc(d.block, func(inner directive) bool { return inner.holds(such) })
}
