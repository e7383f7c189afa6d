package mistakes

import (
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

// watched holds, while a Caddyfile is adapted, the blocks in which a handler watches for
// page loads.
type watched map[string]bool

const watchedKey = "parker.page_loads"

// WatchPageLoads reports whether a parker directive must add a handler that watches for page
// loads. The option, if there is one, needs all page loads of the site. Then it is an error
// if the directive stands in a block that only some requests enter, unless the site itself
// has the directive parker_page_loads.
func WatchPageLoads(h httpcaddyfile.Helper, option string) (watch bool, err error) {
	site, known := siteOf(h)
	if !known {
		return true, nil
	}
	h.Reset()
	h.Next()
	if option != "" && site.path != "" {
		return false, h.Errf("%s must see all page loads of the site, but only requests for %s enter this block: put parker into a block whose address has no path", option, site.path)
	}
	if slices.ContainsFunc(site.directives, func(d directive) bool { return d.name == "parker_page_loads" && !d.matcher }) {
		return false, nil
	}
	within, _ := blocksAround(site.directives, place(h.Token()))
	block := site.key
	for _, d := range within {
		if option != "" && (d.name != "route" || d.matcher) {
			return false, h.Errf("%s must see all page loads of the site, but not all of them enter %s (%s): add the line parker_page_loads to the site block, outside of %[2]s", option, d.name, d.at)
		}
		block += d.at + "\n"
	}
	seen, ok := h.State[watchedKey].(watched)
	if !ok {
		seen = make(watched)
		h.State[watchedKey] = seen
	}
	watch = !seen[block]
	seen[block] = true
	return watch, nil
}
