// Package reload finds the new server for a request. A reload replaces all servers, but
// requests that are in progress stay in the old ones.
package reload

import (
	"net"
	"net/http"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Of returns the server of the configuration in force that listens at the address at
// which the request arrived. It returns nil if there is none, or if it is the request's
// own server.
func Of(r *http.Request) http.Handler {
	app, err := caddy.ActiveContext().AppIfConfigured("http")
	if err != nil {
		return nil
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return nil
	}
	own, _ := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	var found *caddyhttp.Server
	best := none
	for _, server := range app.(*caddyhttp.App).Servers {
		for _, listen := range server.Listen {
			if m := match(listen, local); m > best {
				found, best = server, m
			}
		}
	}
	if found == nil || found == own {
		return nil
	}
	return found
}

// How well the address of a server matches that of a connection. Two servers can listen
// on the same port of different hosts.
const (
	none = iota
	samePort
	sameHost
)

func match(listen string, local net.Addr) int {
	address, err := caddy.ParseNetworkAddress(listen)
	if err != nil {
		return none
	}
	if address.IsUnixNetwork() {
		if local.Network() == address.Network && local.String() == address.Host {
			return sameHost
		}
		return none
	}
	host, portText, err := net.SplitHostPort(local.String())
	if err != nil {
		return none
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || uint(port) < address.StartPort || uint(port) > address.EndPort {
		return none
	}
	if ip := net.ParseIP(host); ip != nil && ip.Equal(net.ParseIP(address.Host)) {
		return sameHost
	}
	return samePort
}
