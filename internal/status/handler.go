package status

import (
	"context"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/eventstream"
	"github.com/caddy-parker/parker/internal/field"
	"github.com/caddy-parker/parker/internal/hook"
	"github.com/caddy-parker/parker/internal/hub"
	"github.com/caddy-parker/parker/internal/option"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// Handler serves a page that shows what parker does: the parked requests, the last five
// minutes, and the busiest channels. Serve it on an internal address, as the page shows
// names of channels.
//
// While it is configured, figures of the last minutes are kept, so that the page can
// show them when it is opened.
type Handler struct {
	// The tokens that open the page. A client sends one in an Authorization: Bearer
	// field or, as browsers can ask for that, as the password of any user name. Global
	// placeholders such as {env.TOKEN} are replaced. Default: no token is required.
	Tokens []string `json:"tokens,omitempty"`

	// The addresses that may see the page, as CIDR ranges or single addresses. They are
	// compared with the address of the direct peer. Unix sockets are always allowed.
	// Default: loopback addresses.
	Allow []string `json:"allow,omitempty"`

	gate          *hook.Gate
	configuration context.Context
	stopping      context.Context
	joined        bool
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.parker_status", New: func() caddy.Module { return new(Handler) }}
}

// Provision sets up the handler and starts keeping figures.
func (h *Handler) Provision(ctx caddy.Context) (err error) {
	board, err := hub.Of(ctx)
	if err != nil {
		return err
	}
	if h.gate, err = hook.NewGate(h.Tokens, h.Allow); err != nil {
		return err
	}
	h.gate.Browsers, h.gate.Directive = true, "parker_status"
	h.configuration, h.stopping = ctx, board.Stopping
	processWide.join(false)
	h.joined = true
	return nil
}

// Cleanup stops keeping figures, unless another configuration needs them.
func (h *Handler) Cleanup() error {
	if h.joined {
		processWide.leave(false)
	}
	return nil
}

// ServeHTTP answers with the page, or with the event stream that the page reads. It does
// not call the next handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	refusal := h.gate.Admit(w, r)
	if refusal == nil && r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		refusal = hook.MethodNotAllowed("GET and HEAD show the page.")
	}
	if refusal != nil {
		refusal.Answer(w, r)
		return nil
	}
	w.Header().Add("Vary", "Accept")
	if field.Accepts(r.Header, eventstream.MediaType) {
		Stream(w, r, h.configuration, h.stopping)
	} else {
		servePage(w, r)
	}
	return nil
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	parker_status [<matcher>] {
//	    token <secret...>
//	    allow <range...>|private_ranges
//	}
//
// Both options may repeat.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	_, err := option.Read(d, option.Options{
		"token": option.Secrets(&h.Tokens),
		"allow": option.Addresses(&h.Allow),
	}, "token", "allow")
	return err
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ caddyfile.Unmarshaler       = (*Handler)(nil)
)
