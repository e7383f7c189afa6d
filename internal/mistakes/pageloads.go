package mistakes

import (
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

// watched holds, while a Caddyfile is adapted, the blocks in which a handler watches for
// page loads.
type watched map[string]bool

const watchedKey = "parker.page_loads"

// WatchPageLoads reports whether a parker directive must add a handler that watches for page
// loads. It warns if the directive stands in a block that only some requests enter, unless the
// site itself has the directive parker_page_loads. If the option, which may be empty, holds
// polls because all page loads of the site are seen, that is an error.
func WatchPageLoads(h httpcaddyfile.Helper, option string) (watch bool, err error) {
	site, known := siteOf(h)
	if !known {
		return true, nil
	}
	h.Reset()
	h.Next()
	watches := slices.ContainsFunc(site.directives, func(d directive) bool { return d.name == "parker_page_loads" && !d.matcher })
	within, _ := blocksAround(site.directives, place(h.Token()))
	if hint := unseen(site, within, watches); hint != "" && option != "" {
		return false, h.Errf("%s must see all page loads of the site, but %s", option, hint)
	} else if hint != "" {
		seenBy(h).warn(warning{
			message: "page loads are not seen",
			at:      place(h.Token()),
			hint:    "with unchanged, the first poll of a page that is loaded again may be held, so that the page shows nothing: " + hint,
		})
	}
	if watches {
		return false, nil
	}
	block := site.key
	for _, d := range within {
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

// unseen says why not all page loads of a site are seen, and what to do. It returns "" if they
// are. within holds the blocks around the directive that should see them.
func unseen(site site, within []directive, watches bool) (hint string) {
	if site.path != "" {
		return fmt.Sprintf("only requests for %s enter this block: put parker into a block whose address has no path", site.path)
	}
	for _, d := range within {
		if !watches && (d.name != "route" || d.matcher) {
			return fmt.Sprintf("not all of them enter %s (%s): add the line parker_page_loads to the site block, outside of %[1]s", d.name, d.at)
		}
	}
	return ""
}
