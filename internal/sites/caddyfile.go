package sites

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-parker/parker/internal/caddyinternals"
)

// claim is a directive whose channels are named by the path alone.
type claim struct {
	sites  []string // the addresses of its site block
	paths  []string // the paths of its matcher, or nil if it matches all paths
	shared bool     // other sites may share its channels
	at     string   // file and line
}

// claims is the key of the claims in the helper's state.
const claims = "parker.claims"

// Claim records a directive without named channels. It returns an error if a directive of
// another site block would have the same channels, unless both are shared. matcher is the
// directive's own matcher. A directive in a named route is ignored, because the sites
// that invoke it are only known from its requests.
func Claim(h httpcaddyfile.Helper, matcher caddy.ModuleMap, shared bool) error {
	if h.IsNamedRoute() {
		return nil
	}
	c := claim{sites: sitesOf(h), paths: pathsOf(matcher), shared: shared, at: fmt.Sprintf("%s:%d", h.File(), h.Line())}
	before, _ := h.State[claims].([]claim)
	for _, other := range before {
		if c.conflicts(other) {
			return h.Errf("%s and %s (%s) would share channels, because neither names its channels: give them different channels in parker and parker_notify, such as %s, or add across_sites to the parker of each if they are meant to share them",
				c.name(), other.name(), other.at, ApartBy(slices.Concat(c.sites, other.sites)...))
		}
	}
	h.State[claims] = append(before, c)
	return nil
}

func (c claim) name() string {
	if slices.Contains(c.sites, "") {
		return "all hosts"
	}
	return strings.Join(c.sites, ", ")
}

func (c claim) conflicts(other claim) bool {
	return !(c.shared && other.shared) && !slices.Equal(c.sites, other.sites) && overlap(c.paths, other.paths)
}

// sitesOf returns the sorted sites of the block that contains a directive, or nil if the
// block is not known. Then all directives count as those of one site.
func sitesOf(h httpcaddyfile.Helper) []string {
	block, ok := caddyinternals.SiteBlock(h)
	if !ok {
		return nil
	}
	defaultPorts := []string{fmt.Sprint(h.Option("http_port")), fmt.Sprint(h.Option("https_port"))}
	var sites []string
	for _, key := range block.Keys {
		site := key.Text
		if address, err := httpcaddyfile.ParseAddress(key.Text); err == nil {
			site = address.Host
			if address.Port != "" && !slices.Contains(defaultPorts, address.Port) {
				site = net.JoinHostPort(address.Host, address.Port)
			}
		}
		sites = append(sites, siteOf(site))
	}
	slices.Sort(sites)
	return slices.Compact(sites)
}

// pathsOf returns the paths of a matcher, or nil if it has no path matcher.
func pathsOf(matcher caddy.ModuleMap) []string {
	var paths []string
	if json.Unmarshal(matcher["path"], &paths) != nil {
		return nil
	}
	return paths
}

// overlap reports whether a path may match patterns of both lists. Like Caddy's path
// matcher it ignores case.
func overlap(a, b []string) bool {
	if len(a) == 0 || len(b) == 0 {
		return true
	}
	return slices.ContainsFunc(a, func(x string) bool {
		return slices.ContainsFunc(b, func(y string) bool { return FitBoth(strings.ToLower(x), strings.ToLower(y)) })
	})
}

// FitBoth reports whether a path may match both patterns. It compares only the literal
// text at the start of each pattern.
func FitBoth(a, b string) bool {
	startA, wholeA := literal(a)
	startB, wholeB := literal(b)
	switch {
	case wholeA && wholeB:
		return a == b
	case wholeA:
		return strings.HasPrefix(startA, startB)
	case wholeB:
		return strings.HasPrefix(startB, startA)
	}
	return strings.HasPrefix(startA, startB) || strings.HasPrefix(startB, startA)
}

// literal returns the literal text at the start of a pattern, and whether that is the
// whole pattern.
func literal(pattern string) (start string, whole bool) {
	if at := strings.IndexAny(pattern, `*?[\{%`); at >= 0 {
		return pattern[:at], false
	}
	return pattern, true
}
