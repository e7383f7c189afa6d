package mistakes

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-parker/parker/internal/sites"
)

// holder is a parker directive of a site.
type holder struct {
	at     string
	within []string // the places of the blocks that it stands in, from the outside in
	paths  []string // that its own matcher lets through; nil: all

	methods []string // of the requests that it holds
}

// Holding is a directive that holds requests.
type Holding interface {
	// HoldsMethods returns their methods.
	HoldsMethods() []string
}

// overlaps finds the parker directives before one that surely let through requests which
// that one is to hold as well.
func overlaps(h httpcaddyfile.Helper, s site, matcher caddy.ModuleMap, directive caddyfile.Unmarshaler, before []holder) (own *holder, warnings []warning) {
	h.Reset()
	h.Next()
	holding, ok := directive.(Holding)
	if !ok {
		return nil, nil
	}
	own = &holder{at: place(h.Token()), methods: holding.HoldsMethods()}
	within, found := blocksAround(s.directives, own.at)
	paths, known := onlyPaths(matcher)
	if len(found) != 1 || !known {
		return nil, nil // in a snippet that is imported again, or by more than its path
	}
	own.within, own.paths = within, paths
	for _, other := range before {
		if own.shares(other) {
			warnings = append(warnings, warning{
				message: "two parker directives hold the same requests",
				at:      own.at,
				hint: fmt.Sprintf("a request that passes this one and %s is held by the one nearer to the backend alone, with its channels and options: give each a matcher that leaves the other's requests out, or put each in a handle",
					other.at),
			})
		}
	}
	return own, warnings
}

// shares reports whether a request surely can pass both. What blocks around the inner one
// let through is not known.
func (a holder) shares(b holder) bool {
	if len(a.within) > len(b.within) {
		a, b = b, a
	}
	sameMethod := slices.ContainsFunc(a.methods, func(method string) bool { return slices.Contains(b.methods, method) })
	if a.at == b.at || !sameMethod || !slices.Equal(a.within, b.within[:len(a.within)]) {
		return false // of other methods, or in blocks of which a request may enter only one
	}
	if a.paths == nil || b.paths == nil && len(a.within) == len(b.within) {
		return true
	}
	return b.paths != nil && slices.ContainsFunc(a.paths, func(x string) bool {
		return slices.ContainsFunc(b.paths, func(y string) bool { return sites.FitBoth(strings.ToLower(x), strings.ToLower(y)) })
	})
}

// blocksAround returns the blocks around the directive at a place, and each time that the
// place is found.
func blocksAround(directives []directive, at string) (within, found []string) {
	for _, d := range directives {
		if d.at == at {
			found = append(found, d.at)
		}
		if !isContainer(d) {
			continue
		}
		if inner, foundInside := blocksAround(d.block, at); len(foundInside) > 0 {
			within = append([]string{d.at}, inner...)
			found = append(found, foundInside...)
		}
	}
	return within, found
}

// onlyPaths returns the paths that a matcher lets through, nil for all. It is not known
// if the matcher goes by anything else.
func onlyPaths(matcher caddy.ModuleMap) (paths []string, known bool) {
	if len(matcher) == 0 {
		return nil, true
	}
	return paths, len(matcher) == 1 && json.Unmarshal(matcher["path"], &paths) == nil && !slices.Contains(paths, "")
}
