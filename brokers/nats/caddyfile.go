package nats

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-parker/parker/brokers/internal/client"
	"github.com/caddy-parker/parker/internal/option"
)

// UnmarshalCaddyfile sets up the broker from Caddyfile tokens. Syntax:
//
//	nats {
//	    url         <url...>
//	    credentials <file>
//	    user        <name> <password>
//	    token       <secret>
//	    nkey        <seed file>
//	    tls {
//	        ca          <file...>
//	        cert        <file> <key file>
//	        server_name <name>
//	        insecure_skip_verify
//	    }
//	    stream   <name>
//	    subject  <prefix>
//	    history  <events> [<age>]
//	    replicas <number>
//	    storage  file|memory
//	}
func (b *Broker) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the broker's name
	given, err := option.Read(d, option.Options{
		"url":         option.Strings(&b.URLs),
		"credentials": client.Text(&b.Credentials),
		"user":        option.Sequence(client.Text(&b.User), client.Text(&b.Password)),
		"token":       client.Text(&b.Token),
		"nkey":        client.Text(&b.NKey),
		"tls":         b.readTLS,
		"stream":      client.Text(&b.Stream),
		"subject":     client.Text(&b.Subject),
		"history": option.Sequence(
			option.Integer(&b.HistoryEvents, leastEvents),
			option.Optional(option.Duration(&b.HistoryAge, leastAge)),
		),
		"replicas": option.Integer(&b.Replicas, 1),
		"storage":  option.OneOf(&b.Storage, "file", "memory"),
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
