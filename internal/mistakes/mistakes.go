// Package mistakes warns in Caddy's log of what a configuration says and surely does not
// mean, such as an option that is taken for a channel. What cannot be known for sure, it
// does not mention.
//
// Most of it shows where a Caddyfile is adapted, and is told with file and line: see
// [Warn]. That writes wake nobody shows when all of a configuration is known: see
// [Meetings].
package mistakes

import (
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"go.uber.org/zap"
)

// Templated is a directive in whose values placeholders are replaced for each request.
type Templated interface {
	// Templates returns these values.
	Templates() []string
}

// warning is what is told of a mistake.
type warning struct {
	message string
	at      string // file and line
	hint    string // what it does as it stands, and how it may be meant
}

// Warn warns of mistakes in a directive, and in the site block around it. The directive
// has been read without an error, and the matcher is its own.
func Warn(h httpcaddyfile.Helper, matcher caddy.ModuleMap, directive caddyfile.Unmarshaler) {
	seen := seenBy(h)
	site, known := siteOf(h)
	warnings := optionsTakenForChannels(h, directive)
	if known {
		if templated, ok := directive.(Templated); ok {
			warnings = append(warnings, unknownPlaceholders(h, site, templated.Templates())...)
		}
		own, overlapping := overlaps(h, site, matcher, directive, seen.holders[site.key])
		warnings = append(warnings, overlapping...)
		if own != nil {
			seen.holders[site.key] = append(seen.holders[site.key], *own)
		}
		if !seen.sites[site.key] {
			seen.sites[site.key] = true
			warnings = append(warnings, unreachable(site)...)
		}
	}
	notePosition(h, matcher, directive)
	for _, w := range warnings {
		// A snippet may be imported many times.
		if !seen.warnings[w] {
			seen.warnings[w] = true
			caddy.Log().Named("parker").Warn(w.message, zap.String("at", w.at), zap.String("hint", w.hint))
		}
	}
}

// seen is what was looked at while one Caddyfile is adapted.
type seen struct {
	sites    map[string]bool     // by their keys
	holders  map[string][]holder // by the sites' keys
	warnings map[warning]bool
}

// seenKey is where it is in the state of an adaptation.
const seenKey = "parker.mistakes"

func seenBy(h httpcaddyfile.Helper) *seen {
	if s, ok := h.State[seenKey].(*seen); ok {
		return s
	}
	s := &seen{sites: make(map[string]bool), holders: make(map[string][]holder), warnings: make(map[warning]bool)}
	h.State[seenKey] = s
	positions.clear() // they are of another Caddyfile
	return s
}

// place is where a token stands.
func place(token caddyfile.Token) string { return fmt.Sprintf("%s:%d", token.File, token.Line) }

// quoted lists texts for people to read.
func quoted(texts []string) string {
	var list []string
	for _, text := range texts {
		list = append(list, fmt.Sprintf("%q", text))
	}
	return strings.Join(list, ", ")
}
