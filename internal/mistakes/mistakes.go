// Package mistakes logs warnings about parts of a configuration that are valid but
// certainly not meant, such as an option that is used as a channel. If a mistake is not
// certain, no warning is logged.
//
// Most mistakes are found while a Caddyfile is adapted. Their warnings contain file and
// line, see [Warn]. Writes that wake nobody are found when the whole configuration is
// loaded, see [Meetings].
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

// warning is a warning about a mistake.
type warning struct {
	message string
	at      string // file and line
	hint    string // what the configuration does now, and how to correct it
}

// Warn logs warnings about mistakes in a directive, and in the site block that contains
// it. The directive must have been parsed without an error. matcher is its own matcher.
func Warn(h httpcaddyfile.Helper, matcher caddy.ModuleMap, directive caddyfile.Unmarshaler) {
	seen := seenBy(h)
	site, known := siteOf(h)
	warnings := append(optionsTakenForChannels(h, directive), bodiesThatAreNotHeld(h, matcher, directive)...)
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
		seen.warn(w)
	}
}

// seen holds what was checked so far while a Caddyfile is adapted.
type seen struct {
	sites    map[string]bool     // by their keys
	holders  map[string][]holder // by the sites' keys
	warnings map[warning]bool
}

// seenKey is the key of a seen in the helper's state.
const seenKey = "parker.mistakes"

func seenBy(h httpcaddyfile.Helper) *seen {
	if s, ok := h.State[seenKey].(*seen); ok {
		return s
	}
	s := &seen{sites: make(map[string]bool), holders: make(map[string][]holder), warnings: make(map[warning]bool)}
	h.State[seenKey] = s
	positions.clear() // they belong to another Caddyfile
	return s
}

// warn logs a warning. It does so once, though a snippet may be imported many times.
func (s *seen) warn(w warning) {
	if !s.warnings[w] {
		s.warnings[w] = true
		caddy.Log().Named("parker").Warn(w.message, zap.String("at", w.at), zap.String("hint", w.hint))
	}
}

// place returns the file and line of a token.
func place(token caddyfile.Token) string { return fmt.Sprintf("%s:%d", token.File, token.Line) }

// quoted returns a list of quoted texts for a message.
func quoted(texts []string) string {
	var list []string
	for _, text := range texts {
		list = append(list, fmt.Sprintf("%q", text))
	}
	return strings.Join(list, ", ")
}
