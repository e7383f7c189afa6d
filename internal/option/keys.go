package option

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Keys reads the values by which requests are distinguished. At least one of them
// must contain a placeholder. Otherwise all clients would have the same values, as with
// header.Cookie if the braces are forgotten.
func Keys(keys *[]string) Reader {
	return func(d *caddyfile.Dispenser) error {
		if err := Strings(keys)(d); err != nil {
			return err
		}
		for _, word := range []string{"public", "off"} {
			if slices.Contains(*keys, word) {
				return d.Errf("'%s' cannot be one of the values", word)
			}
		}
		if !slices.ContainsFunc(*keys, HasPlaceholder) {
			return d.Err("the values contain no placeholder, so they would be the same for all requests")
		}
		return nil
	}
}

// HasPlaceholder reports whether a text may contain a placeholder.
func HasPlaceholder(text string) bool { return strings.Contains(text, "{") }
