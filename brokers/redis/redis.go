// Package redis is the broker of several processes that share a Redis server, a
// cluster of them, or one behind sentinels: each event goes through a stream there,
// which every process reads.
//
// # What is in Redis
//
// With the default prefix there are
//
//	parker:epoch          a text that changes when the stream is lost
//	parker:events:0       a stream with one entry for each event
//
// Parker trims the stream. Redis 6.2 or later is needed, or a server that is like
// it. With maxmemory, choose a policy that leaves keys without an expiry alone. A user
// for parker needs no more than
//
//	ACL SETUSER parker on >secret ~parker:* &parker:* +get +set +exists +xadd +xread
//	    +xrange +xtrim +xinfo|stream +watch +multi +exec +psubscribe +ping
//
// Where Redis loses what it had, all who wait are told that something may be lost.
// That holds for an emptied server as well as for one that comes back with less than
// it had taken, when a process has read more.
//
// # What applications can do
//
// They publish by adding an entry to the stream:
//
//	redis-cli XADD parker:events:0 '*' channel rooms/7
//	redis-cli XADD parker:events:0 '*' channel rooms/7 body '{"a":1}' type application/json
//
// The first wakes those who wait on the channel, the second is a message to them. The
// fields are:
//
//	channel   needed: 1 to 255 bytes of UTF-8 without control characters
//	body      the message, at most 64 MiB; without it, or empty, those who wait are woken
//	type      the message's content type, at most 255 bytes; default: application/json
//	          if the body is JSON, else text/plain; charset=utf-8
//	event     the type of the event on a stream (SSE), at most 255 bytes
//	id        the publisher's own name for the event, at most 255 bytes: a second entry
//	          with it on the channel is no event, while the first is remembered
//	expires   how many seconds the event is remembered, such as 0.5; 0: not at all
//
// Parker adds two more to what it publishes itself, node and number. Of a field that
// is given twice the last counts. Others are ignored. Let the server choose the ID of
// the entry: parker reads no further than to an ID whose time is after the year 2109,
// or whose count is above 4,194,303. An entry that is otherwise not like this is left
// out, and the log says so.
//
// What only concerns those who wait at the moment need not be kept. An application
// can publish it to a Pub/Sub channel, with the prefix in front of parker's channel:
//
//	redis-cli PUBLISH parker:rooms/7 ''
//	redis-cli PUBLISH parker:rooms/7 '{"a":1}'
//
// A process that is not connected at that moment never hears of it.
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
// Every process has a copy of what the stream holds and parker remembers, so it
// answers without Redis. While Redis is away, what is published wakes the requests of
// the process where it was published, and is an event of all when Redis is back.
type Broker struct {
	*replica.Broker `json:"-"`

	// Where the server is: `redis://host:6379`, `rediss://host:6379` with TLS, or
	// `unix:///run/redis/redis.sock`. A user, a password and the number of a database
	// may be in it: `redis://user:password@host:6379/1`. There may be several for a
	// cluster or for sentinels. Global placeholders such as {env.REDIS_URL} are
	// replaced. Default: `redis://127.0.0.1:6379`.
	URLs []string `json:"urls,omitempty"`

	// The user to log in as. Global placeholders are replaced. Default: the URL's, or
	// with a password Redis's default user.
	Username string `json:"username,omitempty"`

	// The password to log in with. Global placeholders such as {env.PASSWORD} and
	// {file./run/secrets/redis} are replaced. Default: the URL's, or none.
	Password string `json:"password,omitempty"`

	// How to speak TLS. If set, TLS is used whatever the URL says.
	TLS *client.TLS `json:"tls,omitempty"`

	// The server is a Redis Cluster, of which the URLs name one or more nodes.
	// Default: false.
	Cluster bool `json:"cluster,omitempty"`

	// The name of a master that sentinels watch. The URLs are the sentinels', and
	// what user and password they hold are for these. Default: none.
	Sentinel string `json:"sentinel,omitempty"`

	// The number of the database. Default: the URL's, or 0.
	Database int `json:"database,omitempty"`

	// How the names of parker's keys and Pub/Sub channels begin. Processes with the
	// same prefix share their events. Default: parker.
	Prefix string `json:"prefix,omitempty"`

	// How many events the stream keeps, at least 1000, for processes that start or
	// were away. What clients can catch up on is up to parker's own history.
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

// Provision checks the options and joins the processes that share the stream. The
// server may be away.
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
)
