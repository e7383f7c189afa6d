package nats

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/caddy-parker/parker/brokers/internal/client"
)

// target is the result of a broker's options.
type target struct {
	options nats.Options
	stream  jetstream.StreamConfig // used to create the stream
	prefix  string                 // of the subjects

	name     string // identifies the stream, without secrets
	settings string // a digest of everything else, including secrets
}

// Limits and defaults.
const (
	defaultStream    = "PARKER"
	defaultPrefix    = "parker"
	maxNameBytes     = 128 // of the stream's name and of the subjects' prefix
	leastEvents      = 1000
	defaultEvents    = 100_000
	leastAge         = time.Minute
	defaultAge       = time.Hour
	maxReplicas      = 5
	duplicatesWindow = 30 * time.Second // in the server; readers detect duplicates for longer
)

// Errors in a URL. They never quote it, as it may contain a secret.
var (
	errURL    = errors.New("invalid URL; special characters in a user or a secret must be percent-encoded")
	errScheme = errors.New("it must begin with nats://, tls://, ws:// or wss://")
	errHost   = errors.New("missing host")
	errBehind = errors.New("only a port may follow the host")
	errMixed  = errors.New("WebSocket URLs cannot be mixed with others")
	errPlain  = errors.New("with the option tls, it must begin with wss://")
	errTwice  = errors.New("credentials are given both in the URL and as options")
)

// check validates the options. If one is invalid, it returns the name of that option.
func (b *Broker) check() (option string, err error) {
	for _, text := range b.URLs {
		if _, err := parseServer(text); err != nil && !strings.Contains(text, "{") {
			return "url", err
		}
	}
	age := time.Duration(b.HistoryAge)
	switch {
	case invalidName(b.Stream, ".*>/\\"):
		return "stream", fmt.Errorf("the name must be at most %d bytes of printable ASCII without spaces, '.', '*', '>', '/' and '\\'", maxNameBytes)
	case invalidName(b.Subject, "*>") || slices.Contains(strings.Split(cmp.Or(b.Subject, defaultPrefix), "."), "") || strings.HasPrefix(b.Subject, "$"):
		return "subject", fmt.Errorf("it must be one or more tokens separated by dots, at most %d bytes of printable ASCII without spaces, '*' and '>', and must not begin with '$'", maxNameBytes)
	case b.HistoryEvents != 0 && b.HistoryEvents < leastEvents:
		return "history", fmt.Errorf("bad number '%d': the least is %d", b.HistoryEvents, leastEvents)
	case age != 0 && age < leastAge:
		return "history", fmt.Errorf("bad duration '%s': the least is %s", age, leastAge)
	case b.Replicas < 0 || b.Replicas > maxReplicas:
		return "replicas", fmt.Errorf("bad number '%d': must be from 1 to %d", b.Replicas, maxReplicas)
	case b.Storage != "" && b.Storage != "file" && b.Storage != "memory":
		return "storage", fmt.Errorf("'%s' is none of: file, memory", b.Storage)
	}
	return b.checkLogin()
}

// checkLogin refuses more than one way to log in.
func (b *Broker) checkLogin() (option string, err error) {
	earlier := ""
	for _, way := range []struct {
		option string
		given  bool
	}{
		{"credentials", b.Credentials != ""},
		{"user", b.User != "" || b.Password != ""},
		{"token", b.Token != ""},
		{"nkey", b.NKey != ""},
	} {
		if way.given && earlier != "" {
			return way.option, fmt.Errorf("%s is given already", earlier)
		}
		if way.given {
			earlier = way.option
		}
	}
	return "", nil
}

func invalidName(text, forbidden string) bool {
	return len(text) > maxNameBytes || strings.ContainsAny(text, forbidden) || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

func parseServer(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errURL
	case !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme):
		return nil, errScheme
	case u.Hostname() == "":
		return nil, errHost
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" || strings.Contains(u.Host, ","):
		return nil, errBehind
	}
	u.Path = ""
	return u, nil
}

func ofWebSocket(u *url.URL) bool { return strings.HasPrefix(u.Scheme, "ws") }

// target evaluates the options. It reads the files that they name.
func (b *Broker) target() (t target, err error) {
	t.options = nats.GetDefaultOptions()
	t.options.Name = "parker"
	digest := sha256.New()
	servers, err := b.servers(digest)
	if err != nil {
		return target{}, fmt.Errorf("url: %w", err)
	}
	var addresses []string
	for _, u := range servers {
		t.options.Servers = append(t.options.Servers, u.String())
		addresses = append(addresses, u.Host)
	}
	if err := b.logIn(&t.options, digest); err != nil {
		return target{}, err
	}
	if b.TLS != nil {
		if t.options.TLSConfig, err = b.TLS.Config(digest); err != nil {
			return target{}, fmt.Errorf("tls: %w", err)
		}
		t.options.Secure = true
	}
	t.prefix = cmp.Or(b.Subject, defaultPrefix)
	t.stream = b.streamConfig()
	slices.Sort(addresses)
	t.name = fmt.Sprintf("nats %q %q %q", addresses, t.stream.Name, t.prefix)
	fmt.Fprintf(digest, "%d %v %d %v\n", t.stream.MaxMsgs, t.stream.MaxAge, t.stream.Replicas, t.stream.Storage)
	t.settings = fmt.Sprintf("%x", digest.Sum(nil))
	return t, nil
}

// servers parses the URLs and writes them to digest.
func (b *Broker) servers(digest io.Writer) (servers []*url.URL, err error) {
	urls := b.URLs
	if len(urls) == 0 {
		urls = []string{nats.DefaultURL}
	}
	for _, text := range urls {
		if text, err = client.Replace(text); err != nil {
			return nil, err
		}
		u, err := parseServer(text)
		switch {
		case err != nil:
			return nil, err
		case len(servers) > 0 && ofWebSocket(u) != ofWebSocket(servers[0]):
			return nil, errMixed
		case u.Scheme == "ws" && b.TLS != nil:
			return nil, errPlain
		case u.User != nil && b.Credentials+b.User+b.Password+b.Token+b.NKey != "":
			return nil, errTwice
		}
		if u.Port() == "" && !ofWebSocket(u) {
			u.Host = net.JoinHostPort(u.Hostname(), "4222")
		}
		servers = append(servers, u)
		fmt.Fprintf(digest, "%q\n", u)
	}
	return servers, nil
}

// logIn sets the credentials and writes them to digest.
func (b *Broker) logIn(o *nats.Options, digest io.Writer) error {
	var replaced [5]string
	for i, text := range []string{b.Credentials, b.NKey, b.User, b.Password, b.Token} {
		var err error
		if replaced[i], err = client.Replace(text); err != nil {
			return fmt.Errorf("%s: %w", []string{"credentials", "nkey", "user", "user", "token"}[i], err)
		}
	}
	fmt.Fprintf(digest, "%q\n", replaced)
	credentials, nkey := replaced[0], replaced[1]
	o.User, o.Password, o.Token = replaced[2], replaced[3], replaced[4]
	switch {
	case credentials != "":
		if err := useCredentials(o, credentials, digest); err != nil {
			return fmt.Errorf("credentials: %w", err)
		}
	case nkey != "":
		if err := useNKey(o, nkey, digest); err != nil {
			return fmt.Errorf("nkey: %w", err)
		}
	}
	return nil
}

// digestFile writes the content of a file to digest.
func digestFile(digest io.Writer, file string) error {
	text, err := os.ReadFile(file)
	if err == nil {
		fmt.Fprintf(digest, "%q\n", text)
	}
	return err
}

// useCredentials has the client read the file each time it connects. It returns an error
// if the file is not usable now.
func useCredentials(o *nats.Options, file string, digest io.Writer) error {
	if err := digestFile(digest, file); err != nil {
		return err
	}
	if err := nats.UserCredentials(file)(o); err != nil {
		return err
	}
	_, err := o.UserJWT()
	if err == nil {
		_, err = o.SignatureCB(nil)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// useNKey has the client sign with the seed in the file. It returns an error if the file
// is not usable now.
func useNKey(o *nats.Options, file string, digest io.Writer) error {
	if err := digestFile(digest, file); err != nil {
		return err
	}
	use, err := nats.NkeyOptionFromSeed(file)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return use(o)
}

// streamConfig returns the configuration for creating the stream.
func (b *Broker) streamConfig() jetstream.StreamConfig {
	storage := jetstream.FileStorage
	if b.Storage == "memory" {
		storage = jetstream.MemoryStorage
	}
	return jetstream.StreamConfig{
		Name:              cmp.Or(b.Stream, defaultStream),
		Description:       "parker's events",
		Subjects:          []string{cmp.Or(b.Subject, defaultPrefix) + ".>"},
		MaxMsgs:           int64(cmp.Or(b.HistoryEvents, defaultEvents)),
		MaxAge:            cmp.Or(time.Duration(b.HistoryAge), defaultAge),
		Replicas:          cmp.Or(b.Replicas, 1),
		Storage:           storage,
		Duplicates:        duplicatesWindow,
		AllowBatchPublish: true,
	}
}
