// Package pageload watches a site for page loads.
package pageload

import (
	"context"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/asker"
	"github.com/caddy-parker/parker/internal/field"
	"github.com/caddy-parker/parker/internal/hub"
	"github.com/caddy-parker/parker/internal/identity"
	"github.com/caddy-parker/parker/internal/memory"
	"github.com/caddy-parker/parker/internal/poll"
	"github.com/caddy-parker/parker/internal/response"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// Handler watches for page loads: requests of browsers for documents. A page that was just
// loaded has nothing, whatever parker remembers to have given to its browser, and whatever
// the browser has in its cache. So parked polls of that browser end, and for ten seconds
// its polls are held for at most 250 ms.
//
// All page loads of a site with the rule `unchanged` must pass this handler. In a Caddyfile,
// the directive `parker` sees to that. An HTML document that passes it must be validated
// before a browser or a proxy uses it again: `Cache-Control: no-cache` takes the place of
// its lifetime. Otherwise a page could be loaded without a request.
type Handler struct{ hub hub.Hub }

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.parker_page_loads", New: func() caddy.Module { return new(Handler) }}
}

// Provision joins the app.
func (h *Handler) Provision(ctx caddy.Context) (err error) {
	h.hub, err = hub.Of(ctx)
	return err
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	parker_page_loads
func (*Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

// ServeHTTP notes page loads, and passes all requests on.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if !memory.IsPageLoad(r) && !memory.IsVisit(r) || isNoted(r) {
		return next.ServeHTTP(w, r)
	}
	load := Note(h.hub, r)
	// The request is changed in place, because Caddy's placeholders refer to the pointer.
	own := r.Context()
	*r = *r.WithContext(context.WithValue(own, notedKey{}, true))
	defer func() { *r = *r.WithContext(own) }()
	document := response.Pass(w, r, response.Options{Attend: func(w http.ResponseWriter, _ *http.Request, status int) *response.Live {
		load.Answered(w.Header())
		if isDocument(status, w.Header()) {
			mustValidate(status, w.Header())
		}
		return nil
	}})
	defer document.Close()
	return next.ServeHTTP(document, r)
}

// notedKey marks a request that a [Handler] has noted.
type notedKey struct{}

// isNoted reports whether a handler further out or an older configuration has noted a
// request, if it is a page load.
func isNoted(r *http.Request) bool {
	return r.Context().Value(notedKey{}) != nil || asker.IsAsk(r) || poll.HandoverOf(r) != nil
}

// IsNew reports whether a request is a page load that is not noted yet.
func IsNew(r *http.Request) bool { return memory.IsPageLoad(r) && !isNoted(r) }

// Note notes a page load.
func Note(h hub.Hub, r *http.Request) *memory.Load {
	return h.Memories.Loaded(memory.LoaderOf(r, identity.AddressOf(r)), memory.IsPrefetch(r))
}

// isDocument reports whether an answer is an HTML document, or says that the browser's is
// still valid.
func isDocument(status int, header http.Header) bool {
	if status == http.StatusNotModified {
		return true
	}
	kind := strings.ToLower(header.Get("Content-Type"))
	return status == http.StatusOK && (strings.HasPrefix(kind, "text/html") || strings.HasPrefix(kind, "application/xhtml+xml"))
}

// mustValidate makes a stored answer need validation before it is used (RFC 9111, section
// 5.2.2.4), if it could be used without (section 4.2). A 304 updates the answer that the
// browser has, which may have a date or a lifetime that the 304 does not say.
func mustValidate(status int, header http.Header) {
	_, dated := header["Last-Modified"]
	_, lives := header["Expires"]
	dated = dated || status == http.StatusNotModified
	kept := []string{"no-cache"}
	for _, directive := range field.List(header["Cache-Control"]) {
		switch name, _, _ := strings.Cut(strings.ToLower(directive), "="); name {
		case "no-cache", "no-store":
			return
		case "max-age", "s-maxage", "immutable", "stale-while-revalidate", "stale-if-error":
			lives = true
		default:
			kept = append(kept, name)
		}
	}
	if dated || lives {
		header.Del("Expires")
		header["Cache-Control"] = []string{strings.Join(kept, ", ")}
	}
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ caddyfile.Unmarshaler       = (*Handler)(nil)
)
