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

// Meetings knows on which channels the handlers of one configuration wait, and on which
// they publish when they see a write. The zero value is ready.
type Meetings struct {
	mu        sync.Mutex // guards both below
	waiters   []party
	notifiers []party
}

// party is a handler and its channels.
type party struct {
	handler  caddyhttp.MiddlewareHandler
	channels []string // none: the request's path is the channel

	own  []string // the patterns that its own path matcher lets through
	path []string // and those that are let through to it; nil: any
}

// Waits notes a handler whose requests wait on channels: none stands for the request's
// path.
func (m *Meetings) Waits(handler caddyhttp.MiddlewareHandler, channels []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiters = append(m.waiters, party{handler: handler, channels: channels})
}

// Publishes notes a handler that publishes on channels when it sees a write: none stands
// for the request's path.
func (m *Meetings) Publishes(handler caddyhttp.MiddlewareHandler, channels []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.notifiers = append(m.notifiers, party{handler: handler, channels: channels})
}

// Warn warns of handlers that publish where surely no handler of the configuration waits.
// A configuration that lets nobody wait may do so for others. A handler that names no
// channel may stand there only for answers that announce with Parker-Publish, so it is
// left out where writes are published by another.
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
			"no parker waits on a channel on which this parker_notify publishes: name the same channel in both. If it is there only for answers with Parker-Publish, all is well"))...)
	}
}

// patternsOf returns how the channels of handlers look, unless they may be any.
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

// meet reports whether a channel may be among both.
func meet(a, b []string) bool {
	return slices.ContainsFunc(a, func(x string) bool {
		return slices.ContainsFunc(b, func(y string) bool { return sites.FitBoth(x, y) })
	})
}

// patterns returns how the channels of a handler look, or nil if they may be any.
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

// findPaths looks for the handlers in the routes, and for the paths that come to them.
func (m *Meetings) findPaths(app *caddyhttp.App) {
	for _, server := range app.Servers {
		walk := walk{parties: [][]party{m.waiters, m.notifiers}}
		walk.routes(server.Routes, nil)
	}
}

// walk goes through the routes of a server in the order in which a request does.
type walk struct {
	parties   [][]party
	rewritten bool // what is further on may see another path than matchers saw
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

// mayRewrite reports whether a handler may hand on a request for another path.
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

// pathsOf returns the patterns of which one must fit the path, or nil if the matchers do
// not say.
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

// noted is where a Caddyfile has directives whose mistakes show only when it is loaded. It
// is of the Caddyfile that was adapted last, and forgotten with the first configuration
// that is loaded.
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

// positionKey is what a directive can be found by in the configuration made of it.
func positionKey(paths, channels []string) string {
	lower := make([]string, len(paths))
	for i, path := range paths {
		lower[i] = strings.ToLower(path)
	}
	slices.Sort(lower)
	return strings.Join(lower, " ") + "\n" + strings.Join(channels, "\n")
}

// notePosition remembers where a parker_notify stands.
func notePosition(h httpcaddyfile.Helper, matcher caddy.ModuleMap, directive caddyfile.Unmarshaler) {
	h.Reset()
	h.Next()
	templated, ok := directive.(Templated)
	if h.Val() != "parker_notify" || !ok {
		return
	}
	var paths []string
	// A matcher without paths, or none, has no key of them.
	_ = json.Unmarshal(matcher["path"], &paths)
	positions.add(positionKey(paths, templated.Templates()), place(h.Token()))
}
