package mistakes

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

// unknownPlaceholders finds placeholders in a directive's values that nothing sets.
func unknownPlaceholders(h httpcaddyfile.Helper, s site, templates []string) (warnings []warning) {
	if !onlyKnownModules() || s.has(func(d directive) bool { return d.name == "invoke" }) {
		return nil // other modules, or a named route, may set any placeholder
	}
	var missing []string
	for _, template := range templates {
		for _, name := range placeholdersIn(template) {
			if !isKnown(name) && !s.maps(name) && !slices.Contains(missing, name) {
				missing = append(missing, name)
			}
		}
	}
	for _, name := range missing {
		warnings = append(warnings, warning{
			message: "unknown placeholder",
			at:      placeOf(h, "{"+name+"}"),
			hint:    fmt.Sprintf("{%s} is not a placeholder of Caddy, and no map of the site sets it, so it is always empty. See https://caddyserver.com/docs/caddyfile/concepts#placeholders", name),
		})
	}
	return warnings
}

// placeholdersIn returns the names of the placeholders in a text.
func placeholdersIn(template string) (names []string) {
	// The error is that there are too many braces. Then there are no names.
	_, _ = caddy.NewEmptyReplacer().ReplaceFunc(template, func(name string, _ any) (any, error) {
		names = append(names, name)
		return nil, nil
	})
	return names
}

// isKnown reports whether Caddy may set a placeholder. Whether it sets one of a request
// depends on the request.
func isKnown(name string) bool {
	for _, prefix := range []string{"http.", "env.", "file.", "tls."} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	_, known := caddy.NewReplacer().Get(name)
	return known
}

// onlyKnownModules reports whether all handlers and matchers of this build belong to
// Caddy or parker, so that the placeholders that they set are known.
func onlyKnownModules() bool {
	for _, namespace := range []string{"http.handlers", "http.matchers"} {
		for _, module := range caddy.GetModules(namespace) {
			if !isOwn(module.New()) {
				return false
			}
		}
	}
	return true
}

// isOwn reports whether a module belongs to Caddy or parker.
func isOwn(module any) bool {
	t := reflect.TypeOf(module)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return strings.HasPrefix(t.PkgPath(), "github.com/caddyserver/caddy/v2/") || strings.HasPrefix(t.PkgPath()+"/", "github.com/caddy-parker/parker/")
}

// has reports whether such is true for a directive anywhere in the site.
func (s site) has(such func(directive) bool) bool {
	return slices.ContainsFunc(s.directives, func(d directive) bool { return d.holds(such) })
}

// maps reports whether a map of the site sets a placeholder.
func (s site) maps(name string) bool {
	return s.has(func(d directive) bool { return d.name == "map" && slices.Contains(d.args, "{"+name+"}") })
}

// placeOf returns the position of a text in a directive, or that of the directive if it
// does not contain the text.
func placeOf(h httpcaddyfile.Helper, text string) string {
	h.Reset()
	for h.Next() {
		if strings.Contains(h.Val(), text) {
			return place(h.Token())
		}
	}
	h.Reset()
	h.Next()
	return place(h.Token())
}
