// Package main is Caddy's standard build with parker in it: what
// xcaddy build --with github.com/caddy-parker/parker makes.
package main

import (
	_ "time/tzdata"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-parker/parker"
	_ "github.com/caddy-parker/parker/brokers/nats"
	_ "github.com/caddy-parker/parker/brokers/redis"
)

func main() {
	caddycmd.Main()
}
