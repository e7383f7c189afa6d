package sites

import "github.com/caddyserver/caddy/v2/modules/caddyhttp"

// InNamedRoute reports whether a handler is part of one of a server's named routes. Then
// a different route may follow it for each invoke.
func InNamedRoute(server *caddyhttp.Server, handler caddyhttp.MiddlewareHandler) bool {
	for _, route := range server.NamedRoutes {
		if holds(caddyhttp.RouteList{*route}, handler) {
			return true
		}
	}
	return false
}

func holds(routes caddyhttp.RouteList, handler caddyhttp.MiddlewareHandler) bool {
	for _, route := range routes {
		for _, h := range route.Handlers {
			if h == handler {
				return true
			}
			if subroute, ok := h.(*caddyhttp.Subroute); ok && holds(subroute.Routes, handler) {
				return true
			}
		}
	}
	return false
}
