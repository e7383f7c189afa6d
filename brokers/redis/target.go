package redis

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/redis/rueidis"

	"github.com/caddy-parker/parker/brokers/internal/client"
)

// target is the result of a broker's options.
type target struct {
	layout
	options rueidis.ClientOption
	cluster bool

	name     string // identifies the stream, without secrets
	settings string // a digest of everything else, including secrets
}

// Limits and defaults.
const (
	defaultURL    = "redis://127.0.0.1:6379"
	defaultPrefix = "parker"
	maxPrefix     = 64            // bytes
	leastEvents   = 2 * mostCount // so that the stream keeps more entries than one read returns
	defaultEvents = 100_000
	leastAge      = trimEvery
	defaultAge    = time.Hour
)

var errURLs = errors.New("more than one URL requires the option cluster or sentinel")

// check validates the options. If one is invalid, it returns the name of that option.
func (b *Broker) check() (option string, err error) {
	for _, url := range b.URLs {
		if _, err := parseServer(url); err != nil && !hasPlaceholder(url) {
			return "url", err
		}
	}
	age := time.Duration(b.HistoryAge)
	switch {
	case b.Cluster && b.Sentinel != "":
		return "cluster", errors.New("cluster and sentinel exclude each other")
	case len(b.URLs) > 1 && !b.Cluster && b.Sentinel == "":
		return "url", errURLs
	case b.Database < 0 || b.Database > 0 && b.Cluster:
		return "database", fmt.Errorf("bad number %d: must not be negative, and must be 0 for a cluster", b.Database)
	case len(b.Prefix) > maxPrefix || strings.ContainsFunc(b.Prefix, func(r rune) bool { return r == ' ' || !unicode.IsPrint(r) }):
		return "prefix", fmt.Errorf("it must be at most %d bytes of printable characters without spaces", maxPrefix)
	case b.HistoryEvents != 0 && b.HistoryEvents < leastEvents:
		return "history", fmt.Errorf("bad number %d: the least is %d", b.HistoryEvents, leastEvents)
	case age != 0 && age < leastAge:
		return "history", fmt.Errorf("bad duration '%s': the least is %s", age, leastAge)
	}
	return "", nil
}

func hasPlaceholder(text string) bool {
	return strings.Contains(text, "{")
}

// target evaluates the options. It reads the files that they name.
func (b *Broker) target() (t target, err error) {
	at, addresses, err := b.servers()
	if err != nil {
		return target{}, fmt.Errorf("url: %w", err)
	}
	t.layout = layout{
		prefix: cmp.Or(b.Prefix, defaultPrefix),
		events: cmp.Or(b.HistoryEvents, defaultEvents),
		age:    cmp.Or(time.Duration(b.HistoryAge), defaultAge),
	}
	t.options, t.cluster = clientOptions(), b.Cluster
	o := &t.options
	o.InitAddress, o.SelectDB = addresses, cmp.Or(b.Database, at.database)
	o.Sentinel.MasterSet = b.Sentinel
	o.ForceSingleClient = !b.Cluster && b.Sentinel == ""
	if at.unix {
		o.DialCtxFn = dialUnix
	}
	if err := b.logIn(o, at); err != nil {
		return target{}, err
	}
	digest := sha256.New()
	if at.tls || b.TLS != nil {
		if o.TLSConfig, err = b.TLS.Config(digest); err != nil {
			return target{}, fmt.Errorf("tls: %w", err)
		}
		o.Sentinel.TLSConfig = o.TLSConfig
	}
	t.name = fmt.Sprintf("redis %q %d %q %q", slices.Sorted(slices.Values(addresses)), o.SelectDB, b.Sentinel, t.prefix)
	fmt.Fprintf(digest, "%q %q %q %q %t %t %v", o.Username, o.Password, o.Sentinel.Username, o.Sentinel.Password, at.tls, t.cluster, t.layout)
	t.settings = fmt.Sprintf("%x", digest.Sum(nil))
	return t, nil
}

func dialUnix(ctx context.Context, path string, dialer *net.Dialer, _ *tls.Config) (net.Conn, error) {
	return dialer.DialContext(ctx, "unix", path)
}

// logIn sets the user and the password. Those in a URL are for the server at that URL,
// which may be a sentinel.
func (b *Broker) logIn(o *rueidis.ClientOption, at server) (err error) {
	if o.Username, err = client.Replace(b.Username); err != nil {
		return fmt.Errorf("username: %w", err)
	}
	if o.Password, err = client.Replace(b.Password); err != nil {
		return fmt.Errorf("password: %w", err)
	}
	switch given := b.Username != "" || b.Password != ""; {
	case b.Sentinel != "":
		o.Sentinel.Username, o.Sentinel.Password = at.username, at.password
		o.Sentinel.ClientName, o.Sentinel.Dialer = o.ClientName, o.Dialer
	case given && (at.username != "" || at.password != ""):
		return errors.New("url: credentials are given both in the URL and as options")
	case !given:
		o.Username, o.Password = at.username, at.password
	}
	return nil
}
