package mistakes

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-parker/parker/internal/sites"
)

// Meetings records the channels on which the handlers of a configuration wait, and those
// on which they publish writes. The zero value is ready to use.
type Meetings struct {
	mu        sync.Mutex // guards both below
	waiters   []party
	notifiers []party
}

// party is a handler and its channels.
type party struct {
	handler  caddyhttp.MiddlewareHandler
	channels []string // if empty, the request's path is the channel

	own  []string // the patterns of its own path matcher
	path []string // the patterns of the paths that can reach it, or nil if any path can
}

// Waits records a handler whose requests wait on channels. If channels is empty, they
// wait on the request's path.
func (m *Meetings) Waits(handler caddyhttp.MiddlewareHandler, channels []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiters = append(m.waiters, party{handler: handler, channels: channels})
}

// Publishes records a handler that publishes writes on channels. If channels is empty,
// it publishes on the request's path.
func (m *Meetings) Publishes(handler caddyhttp.MiddlewareHandler, channels []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.notifiers = append(m.notifiers, party{handler: handler, channels: channels})
}

// Warn logs a warning for each handler that publishes on channels on which certainly no
// handler of the configuration waits. It logs none if no handler waits at all. A
// handler without channels may be there only for answers with Parker-Publish, so it is
// skipped if another handler publishes writes.
func (m *Meetings) Warn(app *caddyhttp.App, logger *zap.Logger) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := positions.take()
	m.findPaths(app)
	waits, unknown := patternsOf(m.waiters)
	if unknown || len(waits) == 0 {
		return
	}
	var alone []party
	for _, notifier := range m.notifiers {
		if publishes := notifier.patterns(); publishes != nil && !meet(publishes, waits) {
			alone = append(alone, notifier)
		}
	}
	for _, notifier := range alone {
		if len(notifier.channels) == 0 && len(alone) < len(m.notifiers) {
			continue
		}
		fields := []zap.Field{zap.Strings("publishes", notifier.patterns()), zap.Strings("waits", waits)}
		if places := at[positionKey(notifier.own, notifier.channels)]; len(places) > 0 {
			fields = append(fields, zap.String("at", strings.Join(places, ", ")))
		}
		logger.Warn("writes wake nobody", append(fields, zap.String("hint",
			"no parker directive waits on a channel on which this parker_notify publishes: name the same channel in both. Ignore this if it is there only for answers with Parker-Publish"))...)
	}
}

// patternsOf returns the patterns of the handlers' channels. unknown is true if a
// handler may have any channel.
func patternsOf(parties []party) (patterns []string, unknown bool) {
	for _, p := range parties {
		of := p.patterns()
		if of == nil {
			return nil, true
		}
		patterns = append(patterns, of...)
	}
	return patterns, false
}

// meet reports whether a channel may match patterns of both lists.
func meet(a, b []string) bool {
	return slices.ContainsFunc(a, func(x string) bool {
		return slices.ContainsFunc(b, func(y string) bool { return sites.FitBoth(x, y) })
	})
}

// patterns returns the patterns of a handler's channels, or nil if they may be any.
func (p party) patterns() (patterns []string) {
	if len(p.channels) > 0 {
		for _, channel := range p.channels {
			patterns = append(patterns, strings.ToLower(channel))
		}
		return patterns
	}
	for _, pattern := range p.path {
		patterns = append(patterns, strings.ToLower(strings.TrimPrefix(pattern, "/")))
	}
	return patterns
}

// findPaths searches the routes for the handlers, and determines the paths that can
// reach them.
func (m *Meetings) findPaths(app *caddyhttp.App) {
	for _, server := range app.Servers {
		walk := walk{parties: [][]party{m.waiters, m.notifiers}}
		walk.routes(server.Routes, nil)
	}
}

// walk visits the routes of a server in the order in which a request does.
type walk struct {
	parties   [][]party
	rewritten bool // the path may have been rewritten after the matchers
}

func (w *walk) routes(routes caddyhttp.RouteList, path []string) {
	for _, route := range routes {
		own := pathsOf(route.MatcherSets)
		through := own
		if own == nil {
			through = path
		}
		for _, handler := range route.Handlers {
			if subroute, ok := handler.(*caddyhttp.Subroute); ok {
				w.routes(subroute.Routes, through)
				continue
			}
			w.handler(handler, own, through)
		}
	}
}

func (w *walk) handler(handler caddyhttp.MiddlewareHandler, own, through []string) {
	for _, parties := range w.parties {
		for i := range parties {
			if parties[i].handler == handler && !w.rewritten {
				parties[i].own, parties[i].path = own, through
			}
		}
	}
	w.rewritten = w.rewritten || mayRewrite(handler)
}

// mayRewrite reports whether a handler may change the path of a request.
func mayRewrite(handler caddyhttp.MiddlewareHandler) bool {
	module, ok := handler.(caddy.Module)
	if !ok || !isOwn(handler) {
		return true
	}
	switch module.CaddyModule().ID {
	case "http.handlers.rewrite", "http.handlers.invoke", "http.handlers.reverse_proxy":
		return true
	}
	return false
}

// pathsOf returns the patterns of which one must match the path, or nil if a matcher set
// has no path matcher.
func pathsOf(sets caddyhttp.MatcherSets) (paths []string) {
	for _, set := range sets {
		var patterns []string
		for _, matcher := range set {
			switch matcher := matcher.(type) {
			case *caddyhttp.MatchPath:
				patterns = *matcher
			case caddyhttp.MatchPath:
				patterns = matcher
			}
		}
		if patterns == nil {
			return nil
		}
		paths = append(paths, patterns...)
	}
	return paths
}

// noted holds the positions, in the Caddyfile that was adapted last, of directives whose
// mistakes are found only when the configuration is loaded. It is cleared when a
// configuration is loaded.
type noted struct {
	mu sync.Mutex // guards at
	at map[string][]string
}

var positions noted

func (n *noted) clear() { n.take() }

func (n *noted) add(key, at string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.at == nil {
		n.at = make(map[string][]string)
	}
	if !slices.Contains(n.at[key], at) {
		n.at[key] = append(n.at[key], at)
	}
}

func (n *noted) take() map[string][]string {
	n.mu.Lock()
	defer n.mu.Unlock()
	at := n.at
	n.at = nil
	return at
}

// positionKey returns the key by which a directive's position is found again when the
// configuration is loaded.
func positionKey(paths, channels []string) string {
	lower := make([]string, len(paths))
	for i, path := range paths {
		lower[i] = strings.ToLower(path)
	}
	slices.Sort(lower)
	return strings.Join(lower, " ") + "\n" + strings.Join(channels, "\n")
}

// notePosition records the position of a parker_notify directive.
func notePosition(h httpcaddyfile.Helper, matcher caddy.ModuleMap, directive caddyfile.Unmarshaler) {
	h.Reset()
	h.Next()
	templated, ok := directive.(Templated)
	if h.Val() != "parker_notify" || !ok {
		return
	}
	var paths []string
	// Without a path matcher there is nothing to unmarshal, and paths stays empty.
	_ = json.Unmarshal(matcher["path"], &paths)
	positions.add(positionKey(paths, templated.Templates()), place(h.Token()))
}
