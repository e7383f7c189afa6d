// Package caddyinternals reads what Caddy keeps but does not export, as of Caddy v2.11.
// All that parker relies on beyond Caddy's API is here, with a test for each that fails
// once Caddy changes it. Where something is no longer found, callers do without it.
package caddyinternals

import (
	"context"
	"net/http"
	"reflect"
	"unsafe"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// StatusClientClosed is the status that reverse_proxy writes when the request's context
// has been canceled, so that access logs show that the client has left.
const StatusClientClosed = 499

// Canceled reports whether reverse_proxy wrote an answer because the request's context
// was canceled. A backend's own 499 has a Via field, which reverse_proxy adds.
func Canceled(status int, header http.Header) bool {
	return status == StatusClientClosed && len(header["Via"]) == 0
}

// RouteGroups returns the set in which Caddy remembers which route groups a request has
// been through. A request that goes through them again would skip their routes. It is nil
// if the server keeps none.
func RouteGroups(ctx context.Context) map[string]struct{} {
	groups, _ := ctx.Value(caddy.CtxKey("route_group")).(map[string]struct{})
	return groups
}

// Unhandled reports whether a request has reached the end of the server's routes, where
// Caddy answers it with an empty 200.
func Unhandled(ctx context.Context) bool {
	unhandled, _ := caddyhttp.GetVar(ctx, "unhandled").(bool)
	return unhandled
}

// Placeholders calls yield for each placeholder that handlers have set for a request, as
// forward_auth does with the answer that it got.
func Placeholders(replacer *caddy.Replacer, yield func(name string, value any)) {
	names := reflect.ValueOf(replacer).Elem().FieldByName("static")
	if names.Kind() != reflect.Map {
		return
	}
	for _, name := range names.MapKeys() {
		value, _ := replacer.Get(name.String())
		yield(name.String(), value)
	}
}

// SiteBlock returns the block of a Caddyfile in which a directive stands, which must not
// be changed. ok is false if it is not known.
func SiteBlock(h httpcaddyfile.Helper) (block *caddyfile.ServerBlock, ok bool) {
	field := reflect.ValueOf(&h).Elem().FieldByName("parentBlock")
	if !field.IsValid() || field.Type() != reflect.TypeFor[caddyfile.ServerBlock]() {
		return nil, false
	}
	return (*caddyfile.ServerBlock)(unsafe.Pointer(field.UnsafeAddr())), true
}
