// Package caddyinternals reads what Caddy keeps but does not export, as of Caddy v2.11.
// All that parker relies on beyond Caddy's API is here, with a test for each that fails
// once Caddy changes it. Where something is no longer found, callers do without it.
package caddyinternals

import (
	"context"
	"net/http"
	"reflect"
	"sync"
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

// The fields of a replacer for the placeholders that handlers have set, and their lock.
var (
	placeholders     = offsetOf[caddy.Replacer, map[string]any]("static")
	placeholdersLock = offsetOf[caddy.Replacer, *sync.RWMutex]("mapMutex")
)

// Placeholders calls yield for each placeholder that handlers have set for a request, as
// forward_auth does with the answer that it got. yield must not use the replacer.
func Placeholders(replacer *caddy.Replacer, yield func(name string, value any)) {
	if placeholders < 0 || placeholdersLock < 0 {
		return
	}
	lock := *(**sync.RWMutex)(unsafe.Add(unsafe.Pointer(replacer), placeholdersLock))
	lock.RLock()
	defer lock.RUnlock()
	for name, value := range *(*map[string]any)(unsafe.Add(unsafe.Pointer(replacer), placeholders)) {
		yield(name, value)
	}
}

// offsetOf returns where in a struct the field is, or a negative number if it has none of
// that name and type. It is determined once, because to look for a field takes long.
func offsetOf[Struct, Field any](name string) int {
	field, ok := reflect.TypeFor[Struct]().FieldByName(name)
	if !ok || field.Type != reflect.TypeFor[Field]() {
		return -1
	}
	return int(field.Offset)
}

var parentBlock = offsetOf[httpcaddyfile.Helper, caddyfile.ServerBlock]("parentBlock")

// SiteBlock returns the block of a Caddyfile in which a directive stands, which must not
// be changed. ok is false if it is not known.
func SiteBlock(h httpcaddyfile.Helper) (block *caddyfile.ServerBlock, ok bool) {
	if parentBlock < 0 {
		return nil, false
	}
	return (*caddyfile.ServerBlock)(unsafe.Add(unsafe.Pointer(&h), parentBlock)), true
}
