// Package redis is the broker for several processes that share a Redis server, a Redis
// Cluster, or a server behind sentinels. Each event is an entry in a stream that every
// process reads.
//
// # Data in Redis
//
// With the default prefix the keys are
//
//	parker:epoch          a text that changes when the stream is lost
//	parker:events:0       a stream with one entry for each event
//
// Parker trims the stream. It needs Redis 6.2 or later, or a compatible server. With
// maxmemory, choose a policy that does not evict keys without an expiry. A user for
// parker needs only
//
//	ACL SETUSER parker on >secret ~parker:* &parker:* +get +set +exists +xadd +xread
//	    +xrange +xtrim +xinfo|stream +watch +multi +exec +psubscribe +ping
//
// If Redis loses events, all waiting requests are told that events may be lost. This
// covers an emptied server, and a server that comes back with fewer entries than a
// process has read.
//
// # Publishing from applications
//
// Applications publish by adding an entry to the stream:
//
//	redis-cli XADD parker:events:0 '*' channel rooms/7
//	redis-cli XADD parker:events:0 '*' channel rooms/7 body '{"a":1}' type application/json
//
// The first wakes the requests that wait on the channel, the second sends them a message.
// The fields are:
//
//	channel   required: 1 to 255 bytes of UTF-8 without control characters
//	body      the message, at most 64 MiB; if missing or empty, the event only wakes
//	type      the message's content type, at most 255 bytes; default: application/json
//	          if the body is JSON, else text/plain; charset=utf-8
//	event     the type of the event on a stream (SSE), at most 255 bytes
//	id        the publisher's own name for the event, at most 255 bytes; while the event
//	          is remembered, a second entry with this ID on the channel is ignored
//	expires   how many seconds the event is remembered, such as 0.5; 0: not at all
//
// Parker adds two more fields to its own entries, node and number. If a field is given
// twice, the last value is used. Other fields are ignored. Let the server choose the ID
// of the entry: parker cannot read past an ID whose time is after the year 2109 or whose
// counter is above 4,194,303. Any other malformed entry is skipped with a warning in the
// log.
//
// An event that matters only to requests that wait at the moment need not be stored. An
// application can send it to a Pub/Sub channel, with the prefix before the channel name:
//
//	redis-cli PUBLISH parker:rooms/7 ''
//	redis-cli PUBLISH parker:rooms/7 '{"a":1}'
//
// A process that is not connected at that moment does not receive it.
package redis

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

// Broker carries events between processes through a stream in Redis.
//
// Every process has a copy of the remembered events, so it answers without asking Redis.
// While Redis is unreachable, a publication wakes the waiting requests of the process
// that published it. All processes receive the event when Redis is back.
type Broker struct {
	*replica.Broker `json:"-"`

	// The URL of the server: `redis://host:6379`, `rediss://host:6379` with TLS, or
	// `unix:///run/redis/redis.sock`. A URL may contain a user, a password and a database
	// number: `redis://user:password@host:6379/1`. Several URLs are allowed for a cluster
	// or for sentinels. Global placeholders such as {env.REDIS_URL} are replaced.
	// Default: `redis://127.0.0.1:6379`.
	URLs []string `json:"urls,omitempty"`

	// The user to log in as. Global placeholders are replaced. Default: the URL's, or
	// Redis's default user if there is only a password.
	Username string `json:"username,omitempty"`

	// The password to log in with. Global placeholders such as {env.PASSWORD} and
	// {file./run/secrets/redis} are replaced. Default: the URL's, or none.
	Password string `json:"password,omitempty"`

	// TLS options. If set, TLS is used whatever the URL says.
	TLS *client.TLS `json:"tls,omitempty"`

	// Whether the server is a Redis Cluster. The URLs then name one or more of its nodes.
	// Default: false.
	Cluster bool `json:"cluster,omitempty"`

	// The name of a master that sentinels monitor. The URLs are then those of the
	// sentinels, and a user and password in them are used for the sentinels only.
	// Default: none.
	Sentinel string `json:"sentinel,omitempty"`

	// The number of the database. Default: the URL's, or 0.
	Database int `json:"database,omitempty"`

	// The prefix of parker's keys and Pub/Sub channels. Processes with the same prefix
	// share their events. Default: parker.
	Prefix string `json:"prefix,omitempty"`

	// How many events the stream keeps, at least 1000, for processes that start or were
	// disconnected. Parker's own history limits what clients can catch up on.
	// Default: 100000.
	HistoryEvents int `json:"history_events,omitempty"`

	// How long the stream keeps them, at least 1m. Default: 1h.
	HistoryAge caddy.Duration `json:"history_age,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*Broker) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "parker.brokers.redis",
		New: func() caddy.Module { return new(Broker) },
	}
}

// Provision checks the options and joins the copy of the stream. It does not need the
// server to be reachable.
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
)
