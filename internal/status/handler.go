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

// Handler is a page on which people see what parker does: what is parked now, the
// last five minutes, and the busiest channels. Serve it on an internal address, as
// names of channels are on it.
//
// As long as it is configured, figures are remembered for the page to begin with.
type Handler struct {
	// The tokens that open the page, each presented as an Authorization: Bearer
	// field or, as browsers ask for that, as the password for any user name. Global
	// placeholders such as {env.TOKEN} are replaced. Default: none is asked for.
	Tokens []string `json:"tokens,omitempty"`

	// The addresses that may see the page, as CIDR ranges or single addresses,
	// compared with the direct peer's. Unix sockets may always. Default: loopback
	// addresses.
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

// Provision has figures remembered from now on.
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

// Cleanup forgets them, unless another configuration has use for them.
func (h *Handler) Cleanup() error {
	if h.joined {
		processWide.leave(false)
	}
	return nil
}

// ServeHTTP answers with the page, or with the event stream that it listens to. It
// ends the route.
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
