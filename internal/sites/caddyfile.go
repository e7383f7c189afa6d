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
	sites  []string // of its block
	paths  []string // that its matcher lets through; nil: all
	shared bool     // the operator means other sites to have the same channels
	at     string   // file and line
}

// claims is where the claims of a Caddyfile are in the state of its adaptation.
const claims = "parker.claims"

// Claim notes a directive that names no channel, and refuses it if a directive of
// another site block would have the same channels, unless both are meant to be shared.
// The matcher is the directive's own. A named route is no site: which ones invoke it, its
// requests show.
func Claim(h httpcaddyfile.Helper, matcher caddy.ModuleMap, shared bool) error {
	if h.IsNamedRoute() {
		return nil
	}
	c := claim{sites: sitesOf(h), paths: pathsOf(matcher), shared: shared, at: fmt.Sprintf("%s:%d", h.File(), h.Line())}
	before, _ := h.State[claims].([]claim)
	for _, other := range before {
		if c.conflicts(other) {
			return h.Errf("%s and %s (%s) would hear each other, as neither names its channels: name them apart in parker and parker_notify, such as %s, or say across_sites in the parker of each if it is meant",
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

// sitesOf returns the sites of the block in which a directive stands, sorted. If the
// block is not known, all directives are taken for one site's.
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

// pathsOf returns the paths that a matcher lets through, or nil if it does not say.
func pathsOf(matcher caddy.ModuleMap) []string {
	var paths []string
	if json.Unmarshal(matcher["path"], &paths) != nil {
		return nil
	}
	return paths
}

// overlap reports whether a path may fit both patterns of Caddy's path matcher, which
// disregards case.
func overlap(a, b []string) bool {
	if len(a) == 0 || len(b) == 0 {
		return true
	}
	return slices.ContainsFunc(a, func(x string) bool {
		return slices.ContainsFunc(b, func(y string) bool { return FitBoth(strings.ToLower(x), strings.ToLower(y)) })
	})
}

// FitBoth reports whether a path may fit two patterns, by the literal text that they
// begin with: of one that is only text, the other's must be the beginning.
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

// literal returns what a pattern begins with, and whether that is all of it.
func literal(pattern string) (start string, whole bool) {
	if at := strings.IndexAny(pattern, `*?[\{%`); at >= 0 {
		return pattern[:at], false
	}
	return pattern, true
}
