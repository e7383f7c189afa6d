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

// target is what a broker's options come to.
type target struct {
	layout
	options rueidis.ClientOption
	cluster bool

	name     string // which stream this is; no secrets
	settings string // a digest of all else, secrets too
}

// Bounds and defaults.
const (
	defaultURL    = "redis://127.0.0.1:6379"
	defaultPrefix = "parker"
	maxPrefix     = 64            // bytes
	leastEvents   = 2 * mostCount // so the stream keeps more than is read at a time
	defaultEvents = 100_000
	leastAge      = trimEvery
	defaultAge    = time.Hour
)

var errURLs = errors.New("more than one needs the option cluster or sentinel")

// check refuses what makes no sense, and names the option.
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
		return "database", fmt.Errorf("bad number %d: it is positive, and a cluster has only 0", b.Database)
	case len(b.Prefix) > maxPrefix || strings.ContainsFunc(b.Prefix, func(r rune) bool { return r == ' ' || !unicode.IsPrint(r) }):
		return "prefix", fmt.Errorf("it has at most %d bytes, printable and without spaces", maxPrefix)
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

// target puts the options together. It reads the files that they name.
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

// logIn sets what the user and the password are. Those in a URL are for who answers
// there: sentinels, if there are some.
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
		return errors.New("url: the user and the password are given twice, in the URL and beside it")
	case !given:
		o.Username, o.Password = at.username, at.password
	}
	return nil
}
