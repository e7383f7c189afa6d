package redis

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-parker/parker/brokers/internal/client"
	"github.com/caddy-parker/parker/internal/option"
)

// UnmarshalCaddyfile sets up the broker from Caddyfile tokens. Syntax:
//
//	redis {
//	    url      <url...>
//	    username <name>
//	    password <secret>
//	    tls {
//	        ca          <file...>
//	        cert        <file> <key file>
//	        server_name <name>
//	        insecure_skip_verify
//	    }
//	    cluster
//	    sentinel <master>
//	    database <number>
//	    prefix   <text>
//	    history  <events> [<age>]
//	}
func (b *Broker) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the broker's name
	given, err := option.Read(d, option.Options{
		"url":      option.Strings(&b.URLs),
		"username": client.Text(&b.Username),
		"password": client.Text(&b.Password),
		"tls":      b.readTLS,
		"cluster":  option.Flag(&b.Cluster),
		"sentinel": client.Text(&b.Sentinel),
		"database": option.Integer(&b.Database, 0),
		"prefix":   client.Text(&b.Prefix),
		"history": option.Sequence(
			option.Integer(&b.HistoryEvents, leastEvents),
			option.Optional(option.Duration(&b.HistoryAge, leastAge)),
		),
	})
	if err != nil {
		return err
	}
	if option, err := b.check(); err != nil {
		return given[option].Errf("%s: %w", option, err)
	}
	return nil
}

func (b *Broker) readTLS(d *caddyfile.Dispenser) error {
	b.TLS = new(client.TLS)
	return b.TLS.Read(d)
}
