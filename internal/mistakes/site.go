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
	key        string // tells it from others
	directives []directive

	// reordered says that the Caddyfile has an order of directives of its own.
	reordered bool
}

// directive is one line of a block, with the block behind it: a directive, or one of the
// options of one.
type directive struct {
	name    string
	at      string   // file and line
	args    []string // what stands on the line, with the matcher if it is still there
	block   []directive
	matcher bool // it has a matcher, or may have had one
}

// siteOf returns the block in which a directive stands. That of a named route is not
// known: it is part of several.
func siteOf(h httpcaddyfile.Helper) (s site, known bool) {
	block, ok := caddyinternals.SiteBlock(h)
	if !ok || h.IsNamedRoute() {
		return site{}, false
	}
	for _, key := range block.Keys {
		s.key += place(key) + " " + key.Text + "\n"
	}
	for _, segment := range block.Segments {
		s.directives = append(s.directives, parse(segment))
	}
	s.reordered = h.Option("order") != nil
	return s, s.key != ""
}

// parse reads a directive and all that is in its block.
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

// lostToken reports whether a matcher may have been taken out of a directive: Caddy does
// so where it reads one, in place, which leaves the last token twice.
func lostToken(segment caddyfile.Segment) bool {
	if len(segment) < 2 {
		return false
	}
	last, before := segment[len(segment)-1], segment[len(segment)-2]
	return last.Text == before.Text && last.File == before.File && last.Line == before.Line
}

// holds reports whether a directive, or one in its block, is such.
func (d directive) holds(such func(directive) bool) bool {
	return such(d) || slices.ContainsFunc(d.block, func(inner directive) bool { return inner.holds(such) })
}
