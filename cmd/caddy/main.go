// Command caddy is Caddy with its standard modules, parker, and the Redis and NATS brokers.
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
