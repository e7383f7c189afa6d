package hook

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/field"
	"github.com/caddy-parker/parker/internal/hub"
	"github.com/caddy-parker/parker/internal/option"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// Handler is the hook: the endpoint at which applications publish events and look up
// waiting requests.
//
// `POST /<channel>` publishes the request's body as a message. Without a body it
// only wakes the waiting requests. `GET /<channel>` returns the number of waiting
// requests, and `GET /` lists the channels. Serve it on an internal address.
type Handler struct {
	// The tokens that are accepted, each in an Authorization field with the scheme
	// Bearer. Global placeholders such as {env.TOKEN} are replaced. Default: no token
	// is required.
	Tokens []string `json:"tokens,omitempty"`

	// The addresses that may use the hook, as CIDR ranges or single addresses. They
	// are compared with the address of the direct peer. Unix sockets are always
	// allowed. Default: loopback addresses.
	Allow []string `json:"allow,omitempty"`

	hook *Hook
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.parker_publish", New: func() caddy.Module { return new(Handler) }}
}

// Provision sets up the hook and joins the app.
func (h *Handler) Provision(ctx caddy.Context) error {
	board, err := hub.Of(ctx)
	if err != nil {
		return err
	}
	h.hook, err = New(board, h.Tokens, h.Allow, board.MaxMessage)
	return err
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	parker_publish [<matcher>] {
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

// ServeHTTP answers the request as the hook does. It never calls the next handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	field.RestoreOwn(r) // another handler of parker may have run before
	h.hook.ServeHTTP(w, r)
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ caddyfile.Unmarshaler       = (*Handler)(nil)
)
