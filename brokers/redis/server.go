package redis

import (
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/caddy-parker/parker/brokers/internal/client"
)

// server is a parsed URL.
type server struct {
	host, port         string // host is the path if unix is set
	unix, tls          bool
	username, password string
	database           int
}

// Errors in a URL. They never quote it, as it may contain a password.
var (
	errURL       = errors.New("invalid URL; special characters in a user or a password must be percent-encoded")
	errScheme    = errors.New("it must begin with redis://, rediss:// or unix://")
	errHost      = errors.New("missing host")
	errSocket    = errors.New("it must have the path of a socket and nothing else, such as unix:///run/redis/redis.sock")
	errDatabase  = errors.New("only a database number may follow the host")
	errDiffer    = errors.New("the URLs must differ only in the host")
	errDatabases = errors.New("a cluster has only database 0")
	errSockets   = errors.New("a socket cannot be combined with TLS, a cluster or sentinels")
)

func parseServer(text string) (server, error) {
	u, err := url.Parse(text)
	if err != nil {
		return server{}, errURL
	}
	s := server{host: u.Hostname(), port: u.Port(), tls: u.Scheme == "rediss", username: u.User.Username()}
	s.password, _ = u.User.Password()
	switch {
	case u.Scheme == "unix":
		s.unix, s.host = true, u.Path
		if u.Host != "" || u.Path == "" || u.RawQuery != "" || u.Fragment != "" {
			return server{}, errSocket
		}
		return s, nil
	case u.Scheme != "redis" && u.Scheme != "rediss":
		return server{}, errScheme
	case s.host == "":
		return server{}, errHost
	}
	database := strings.TrimPrefix(u.Path, "/")
	if database != "" {
		s.database, err = strconv.Atoi(database)
	}
	if err != nil || s.database < 0 || u.RawQuery != "" || u.Fragment != "" {
		return server{}, errDatabase
	}
	return s, nil
}

// servers returns the addresses in the URLs, and everything else that the URLs have in
// common.
func (b *Broker) servers() (at server, addresses []string, err error) {
	urls := b.URLs
	if len(urls) == 0 {
		urls = []string{defaultURL}
	}
	for i, text := range urls {
		if text, err = client.Replace(text); err != nil {
			return server{}, nil, err
		}
		s, err := parseServer(text)
		if err != nil {
			return server{}, nil, err
		}
		addresses = append(addresses, s.address(b.Sentinel != ""))
		s.host, s.port = "", ""
		if i > 0 && s != at {
			return server{}, nil, errDiffer
		}
		at = s
	}
	if at.database > 0 && b.Cluster {
		return server{}, nil, errDatabases
	}
	if at.unix && (b.Cluster || b.Sentinel != "" || b.TLS != nil) {
		return server{}, nil, errSockets
	}
	return at, addresses, nil
}

func (s server) address(sentinel bool) string {
	switch {
	case s.unix:
		return s.host
	case s.port != "":
		return net.JoinHostPort(s.host, s.port)
	case sentinel:
		return net.JoinHostPort(s.host, "26379")
	}
	return net.JoinHostPort(s.host, "6379")
}
