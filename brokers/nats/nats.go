// Package nats is the broker for several processes that share a NATS server with
// JetStream, or a cluster of such servers. Each event is a message in a stream that
// every process reads.
//
// # Data in NATS
//
// With the default options there is one stream, PARKER, with the subjects
//
//	parker.<channel>
//
// The channel name is one token. ASCII letters, digits, '-' and '_' are written as they
// are. Any other byte of its UTF-8 may be written as '=' and two hexadecimal digits. A
// dot, a space, '*', '>' and '=' must be written so: rooms/7 can be rooms=2F7 or
// rooms/7.
//
// If there is no stream, parker creates it with the limits of its options. It uses an
// existing stream as it is. The stream must cover the subjects, with the retention
// policy limits and the discard policy old. If it allows batch publishing
// (allow_batched, NATS 2.14), parker sends many events at a time, otherwise one after
// the other. Parker reads the whole stream, so do not store other data in it. To read
// it, each process creates a consumer, which the server removes soon after the process
// ends.
//
// A user with limited permissions needs the following, with the names of the stream and
// the subjects. The second is needed only if parker creates the stream, the third only
// if parker finds that the stream has lost messages:
//
//	publish    $JS.API.STREAM.INFO.PARKER
//	           $JS.API.STREAM.CREATE.PARKER
//	           $JS.API.STREAM.UPDATE.PARKER
//	           $JS.API.CONSUMER.CREATE.PARKER.>
//	           $JS.API.CONSUMER.MSG.NEXT.PARKER.>
//	           parker.>
//	subscribe  _INBOX.>
//
// The server's max_payload limits the size of a message. It must be some thousand bytes
// larger than parker's max_message. The server's default, 1 MiB, is enough for parker's
// default, 1 MB.
//
// # Publishing from applications
//
// Applications publish a message to the subject:
//
//	nats pub parker.rooms=2F7 ''
//	nats pub parker.rooms=2F7 '{"a":1}' -H 'Content-Type: application/json'
//
// The first wakes the requests that wait on the channel, the second sends them a
// message. The header may have these fields, as for parker's hook:
//
//	Content-Type     the message's content type, at most 255 bytes; default:
//	                 application/json if the message is JSON, else text/plain;
//	                 charset=utf-8
//	Parker-Event     the type of the event on a stream (SSE), at most 255 bytes
//	Parker-Id        the publisher's own name for the event, at most 255 bytes; while the
//	                 event is remembered, a second message with this ID on the channel
//	                 is ignored
//	Parker-Expires   how many seconds the event is remembered, such as 0.5; 0: not at all
//
// Parker adds two more fields to its own messages, Parker-Node and Parker-Number. Other
// fields are ignored. A malformed message is skipped with a warning in the log.
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
// Every process has a copy of the remembered events, so it answers without asking NATS.
// While NATS is unreachable, a publication wakes the waiting requests of the process
// that published it. All processes receive the event when NATS is back.
type Broker struct {
	*replica.Broker `json:"-"`

	// The URLs of the servers: `nats://host:4222`, `tls://host:4222`, or for WebSocket
	// `ws://host` and `wss://host`. A URL may contain a user and a password, or a token:
	// `nats://user:password@host:4222`. List several servers of a cluster, so that the
	// others are tried if one is down. Global placeholders such as {env.NATS_URL} are
	// replaced. Default: `nats://127.0.0.1:4222`.
	URLs []string `json:"urls,omitempty"`

	// A file with the user's JWT and key, as written by `nsc`. Only one of credentials,
	// user, token and nkey can be given. Global placeholders are replaced in all of
	// them. Default: none.
	Credentials string `json:"credentials,omitempty"`

	// The user to log in as, and the password. Default: the URL's, or none.
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`

	// The token to log in with. Default: the URL's, or none.
	Token string `json:"token,omitempty"`

	// A file with the seed of the user's NKey. Default: none.
	NKey string `json:"nkey,omitempty"`

	// TLS options. If set, TLS is used whatever the URL says.
	TLS *client.TLS `json:"tls,omitempty"`

	// The name of the stream. Default: PARKER.
	Stream string `json:"stream,omitempty"`

	// The prefix of the subjects, one or more tokens. Processes with the same stream and
	// subject share their events. Default: parker.
	Subject string `json:"subject,omitempty"`

	// How many events the stream keeps, at least 1000, for processes that start or were
	// disconnected. Parker's own history limits what clients can catch up on. This
	// option and the ones below apply only if parker creates the stream. Default: 100000.
	HistoryEvents int `json:"history_events,omitempty"`

	// How long the stream keeps them, at least 1m. Default: 1h.
	HistoryAge caddy.Duration `json:"history_age,omitempty"`

	// How many servers of a cluster store the stream, 1 to 5. With 3, one may fail.
	// Default: 1.
	Replicas int `json:"replicas,omitempty"`

	// Where the servers store the stream: `file` or `memory`. In memory it is lost when
	// all of them have stopped. Default: file.
	Storage string `json:"storage,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*Broker) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "parker.brokers.nats",
		New: func() caddy.Module { return new(Broker) },
	}
}

// Provision checks the options and joins the copy of the stream. It does not need the
// servers to be reachable.
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

// Cleanup leaves the copy of the stream.
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
