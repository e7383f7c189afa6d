// Package nats is the broker of several processes that share a NATS server with
// JetStream, or a cluster of them: each event is a message of a stream there, which
// every process reads.
//
// # What is in NATS
//
// With the default options there is one stream, PARKER, whose subjects are
//
//	parker.<channel>
//
// The channel's name is one token. ASCII letters, digits, '-' and '_' stand in it as
// they are; any other byte of its UTF-8 may be written as '=' and two hexadecimal
// digits, and must be if it is a dot, a space, '*', '>' or '=': rooms/7 is rooms=2F7,
// or rooms/7 as it is.
//
// Parker makes the stream if there is none, with the limits of its options, and else
// uses it as it is. It needs a stream that covers the subjects, with limits as its
// retention policy and old as its discard policy. One that allows batch publishing
// (allow_batched, NATS 2.14) takes many events at a time, any other one after the
// other. All in the stream is read, so it is best one of parker's own. To read it, each
// process makes a consumer, which is gone soon after the process.
//
// A user whose permissions are limited needs these, with the names of the stream and
// the subjects; the second and the third only where parker makes the stream, or finds
// that it has lost messages:
//
//	publish    $JS.API.STREAM.INFO.PARKER
//	           $JS.API.STREAM.CREATE.PARKER
//	           $JS.API.STREAM.UPDATE.PARKER
//	           $JS.API.CONSUMER.CREATE.PARKER.>
//	           $JS.API.CONSUMER.MSG.NEXT.PARKER.>
//	           parker.>
//	subscribe  _INBOX.>
//
// A message can be as large as the server's max_payload lets it, which must be
// some thousand bytes more than parker's max_message. The server's default, 1 MiB, is
// enough for parker's default, 1 MB.
//
// # What applications can do
//
// They publish a message to the subject:
//
//	nats pub parker.rooms=2F7 ''
//	nats pub parker.rooms=2F7 '{"a":1}' -H 'Content-Type: application/json'
//
// The first wakes those who wait on the channel, the second is a message to them. The
// header may have the fields that parker's hook knows:
//
//	Content-Type     the message's content type, at most 255 bytes; default:
//	                 application/json if the message is JSON, else text/plain;
//	                 charset=utf-8
//	Parker-Event     the type of the event on a stream (SSE), at most 255 bytes
//	Parker-Id        the publisher's own name for the event, at most 255 bytes: a second
//	                 message with it on the channel is no event, while the first is
//	                 remembered
//	Parker-Expires   how many seconds the event is remembered, such as 0.5; 0: not at all
//
// Parker adds two more to what it publishes itself, Parker-Node and Parker-Number.
// Others are ignored. A message that is not like this is left out, and the log says
// so.
package nats

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/brokers/internal/client"
	"github.com/caddy-parker/parker/brokers/internal/replica"
)

func init() {
	caddy.RegisterModule(new(Broker))
}

// Broker carries events between processes through a stream of NATS JetStream.
//
// Every process has a copy of what the stream holds and parker remembers, so it
// answers without NATS. While NATS is away, what is published wakes the requests of
// the process where it was published, and is an event of all when NATS is back.
type Broker struct {
	*replica.Broker `json:"-"`

	// Where the servers are: `nats://host:4222`, `tls://host:4222`, or with WebSocket
	// `ws://host` and `wss://host`. A user and a password, or a token, may be in it:
	// `nats://user:password@host:4222`. Name all servers of a cluster, or several: one
	// after the other is tried. Global placeholders such as {env.NATS_URL} are
	// replaced. Default: `nats://127.0.0.1:4222`.
	URLs []string `json:"urls,omitempty"`

	// A file with the user's JWT and key, as `nsc` writes it. Only one of credentials,
	// user, token and nkey can be given. Global placeholders are replaced in all.
	// Default: none.
	Credentials string `json:"credentials,omitempty"`

	// The user to log in as, and the password. Default: the URL's, or none.
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`

	// The token to log in with. Default: the URL's, or none.
	Token string `json:"token,omitempty"`

	// A file with the seed of the user's NKey. Default: none.
	NKey string `json:"nkey,omitempty"`

	// How to speak TLS. If set, TLS is used whatever the URL says.
	TLS *client.TLS `json:"tls,omitempty"`

	// The name of the stream. Default: PARKER.
	Stream string `json:"stream,omitempty"`

	// How the subjects begin: one or more tokens. Processes with the same stream and
	// subject share their events. Default: parker.
	Subject string `json:"subject,omitempty"`

	// How many events the stream keeps, at least 1000, for processes that start or
	// were away. What clients can catch up on is up to parker's own history. It is for
	// a stream that parker makes, as are the further options. Default: 100000.
	HistoryEvents int `json:"history_events,omitempty"`

	// How long the stream keeps them, at least 1m. Default: 1h.
	HistoryAge caddy.Duration `json:"history_age,omitempty"`

	// How many servers of a cluster keep the stream: 1 to 5. With 3, one can fail.
	// Default: 1.
	Replicas int `json:"replicas,omitempty"`

	// Where they keep it: `file`, or `memory`, which is lost when they have all stopped.
	// Default: file.
	Storage string `json:"storage,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*Broker) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "parker.brokers.nats",
		New: func() caddy.Module { return new(Broker) },
	}
}

// Provision checks the options and joins the processes that share the stream. The
// servers may be away.
func (b *Broker) Provision(ctx caddy.Context) error {
	if option, err := b.check(); err != nil {
		return fmt.Errorf("%s: %w", option, err)
	}
	target, err := b.target()
	if err != nil {
		return err
	}
	logger := ctx.Logger()
	b.Broker = replica.Join(replica.Source{
		Name:     target.name,
		Settings: target.settings,
		Open:     func() (replica.Log, error) { return newLog(target, logger), nil },
	}, logger)
	return nil
}

// Cleanup leaves the processes that share the stream.
func (b *Broker) Cleanup() error {
	if b.Broker == nil {
		return nil
	}
	return b.Leave()
}

// Interface guards
var (
	_ brokers.Broker        = (*Broker)(nil)
	_ caddy.Provisioner     = (*Broker)(nil)
	_ caddy.CleanerUpper    = (*Broker)(nil)
	_ caddyfile.Unmarshaler = (*Broker)(nil)
	_ replica.Log           = (*log)(nil)
)
