package mistakes

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

// unknownPlaceholders finds those in a directive's values that nothing sets.
func unknownPlaceholders(h httpcaddyfile.Helper, s site, templates []string) (warnings []warning) {
	if !onlyKnownModules() || s.has(func(d directive) bool { return d.name == "invoke" }) {
		return nil // others, or a named route, may set what they like
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
			message: "a placeholder stands for nothing",
			at:      placeOf(h, "{"+name+"}"),
			hint:    fmt.Sprintf("{%s} is none of Caddy's, and no map of the site sets it, so it is always empty. Caddy's are at https://caddyserver.com/docs/caddyfile/concepts#placeholders", name),
		})
	}
	return warnings
}

// placeholdersIn returns the names of those in a text.
func placeholdersIn(template string) (names []string) {
	// The error is that there are too many braces, of which no names are known.
	_, _ = caddy.NewEmptyReplacer().ReplaceFunc(template, func(name string, _ any) (any, error) {
		names = append(names, name)
		return nil, nil
	})
	return names
}

// isKnown reports whether a placeholder is one that Caddy may set. Of those of a request
// that depends on the request.
func isKnown(name string) bool {
	for _, prefix := range []string{"http.", "env.", "file.", "tls."} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	_, known := caddy.NewReplacer().Get(name)
	return known
}

// onlyKnownModules reports whether all handlers and matchers of this build are Caddy's own
// or parker's, so that it is known which placeholders they set.
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

// isOwn reports whether a module is one of Caddy's own or of parker.
func isOwn(module any) bool {
	t := reflect.TypeOf(module)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return strings.HasPrefix(t.PkgPath(), "github.com/caddyserver/caddy/v2/") || strings.HasPrefix(t.PkgPath()+"/", "github.com/caddy-parker/parker/")
}

// has reports whether a directive anywhere in the site is such.
func (s site) has(such func(directive) bool) bool {
	return slices.ContainsFunc(s.directives, func(d directive) bool { return d.holds(such) })
}

// maps reports whether a map of the site sets a placeholder.
func (s site) maps(name string) bool {
	return s.has(func(d directive) bool { return d.name == "map" && slices.Contains(d.args, "{"+name+"}") })
}

// placeOf returns where a directive has a text.
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
