package mistakes

import (
	"encoding/json"
	"fmt"
	"net/http"
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
	within []string // the positions of the blocks that contain it, outermost first
	paths  []string // the paths of its own matcher, or nil if it matches all paths

	methods []string // the methods of the requests that it holds
}

// Holding is a directive that holds requests.
type Holding interface {
	// HoldsMethods returns the methods of the requests that are held.
	HoldsMethods() []string
}

// bodiesThatAreNotHeld finds a directive whose matcher looks into the bodies of requests, but
// which holds only requests that have none.
func bodiesThatAreNotHeld(h httpcaddyfile.Helper, matcher caddy.ModuleMap, directive caddyfile.Unmarshaler) []warning {
	holding, ok := directive.(Holding)
	if _, looks := matcher["parker_body"]; !ok || !looks || !slices.Equal(holding.HoldsMethods(), []string{http.MethodGet}) {
		return nil
	}
	h.Reset()
	h.Next()
	return []warning{{
		message: "requests with a body are not held",
		at:      place(h.Token()),
		hint:    "parker_body matches by the body, but only GET is held: add 'methods POST'",
	}}
}

// overlaps compares a parker directive with those before it in the site. It returns a
// warning for each of them that certainly holds some of the same requests.
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
	if found != 1 || !known {
		return nil, nil // in a snippet that is imported more than once, or with another matcher than path
	}
	for _, block := range within {
		own.within = append(own.within, block.at)
	}
	own.paths = paths
	for _, other := range before {
		if own.shares(other) {
			warnings = append(warnings, warning{
				message: "two parker directives hold the same requests",
				at:      own.at,
				hint: fmt.Sprintf("a request that passes both this directive and %s is held only by the one nearer to the backend, with its channels and options: give them matchers that do not overlap, or put each in its own handle",
					other.at),
			})
		}
	}
	return own, warnings
}

// shares reports whether a request can certainly pass both. The matchers of the blocks
// around the inner one are not known.
func (a holder) shares(b holder) bool {
	if len(a.within) > len(b.within) {
		a, b = b, a
	}
	sameMethod := slices.ContainsFunc(a.methods, func(method string) bool { return slices.Contains(b.methods, method) })
	if a.at == b.at || !sameMethod || !slices.Equal(a.within, b.within[:len(a.within)]) {
		return false // other methods, or blocks of which a request may enter only one
	}
	if a.paths == nil || b.paths == nil && len(a.within) == len(b.within) {
		return true
	}
	return b.paths != nil && slices.ContainsFunc(a.paths, func(x string) bool {
		return slices.ContainsFunc(b.paths, func(y string) bool { return sites.FitBoth(strings.ToLower(x), strings.ToLower(y)) })
	})
}

// blocksAround returns the blocks that contain the directive at a position, outermost first,
// and how often the position occurs.
func blocksAround(directives []directive, at string) (within []directive, found int) {
	for _, d := range directives {
		if d.at == at {
			found++
		}
		if !isContainer(d) {
			continue
		}
		if inner, foundInside := blocksAround(d.block, at); foundInside > 0 {
			within = append([]directive{d}, inner...)
			found += foundInside
		}
	}
	return within, found
}

// onlyPaths returns the paths of a matcher, or nil if it matches all paths. known is
// false if the matcher depends on anything else.
func onlyPaths(matcher caddy.ModuleMap) (paths []string, known bool) {
	if len(matcher) == 0 {
		return nil, true
	}
	return paths, len(matcher) == 1 && json.Unmarshal(matcher["path"], &paths) == nil && !slices.Contains(paths, "")
}
