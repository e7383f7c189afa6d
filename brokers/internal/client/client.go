// Package client holds what brokers with a server share to connect to it: secrets,
// TLS and the parsing of these options.
package client

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-parker/parker/internal/option"
)

// Replace replaces global placeholders, such as {env.PASSWORD}. A placeholder that is
// unknown or empty is an error.
func Replace(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	return caddy.NewReplacer().ReplaceOrErr(text, true, true)
}

// Text reads one argument that must not be empty.
func Text(target *string) option.Reader {
	read := option.Text(target)
	return func(d *caddyfile.Dispenser) error {
		if err := read(d); err != nil || *target == "" {
			return d.ArgErr()
		}
		return nil
	}
}

// TLS configures TLS connections to servers.
type TLS struct {
	// PEM files with the certificates of the authorities to trust. Default: the
	// system's trust store.
	CA []string `json:"ca,omitempty"`

	// PEM files with the client certificate and its key. Default: none.
	Certificate string `json:"certificate,omitempty"`
	Key         string `json:"key,omitempty"`

	// The server name to verify the servers' certificates against. Default: the host
	// in the URL, or the host under which another server announced the server.
	ServerName string `json:"server_name,omitempty"`

	// Do not verify the servers' certificates. For tests only: anyone on the network
	// path can then read and change the traffic. Default: false.
	InsecureSkipVerify bool `json:"insecure_skip_verify,omitempty"`
}

// Read sets up the TLS options from Caddyfile tokens. Syntax:
//
//	tls {
//	    ca          <file...>
//	    cert        <file> <key file>
//	    server_name <name>
//	    insecure_skip_verify
//	}
func (t *TLS) Read(d *caddyfile.Dispenser) error {
	_, err := option.Read(d, option.Options{
		"ca":                   option.Strings(&t.CA),
		"cert":                 option.Sequence(Text(&t.Certificate), Text(&t.Key)),
		"server_name":          Text(&t.ServerName),
		"insecure_skip_verify": option.Flag(&t.InsecureSkipVerify),
	})
	return err
}

// Config reads the files and returns the TLS configuration. It writes everything that
// the configuration depends on to digest. If t is nil, it returns the default.
func (t *TLS) Config(digest io.Writer) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if t == nil {
		return config, nil
	}
	config.ServerName, config.InsecureSkipVerify = t.ServerName, t.InsecureSkipVerify
	fmt.Fprintf(digest, "%q %t\n", t.ServerName, t.InsecureSkipVerify)
	if len(t.CA) > 0 {
		config.RootCAs = x509.NewCertPool()
	}
	for _, name := range t.CA {
		pem, err := readFile(name, digest)
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca: no certificate in %s", name)
		}
	}
	if t.Certificate == "" && t.Key == "" {
		return config, nil
	}
	certificate, err := readFile(t.Certificate, digest)
	if err != nil {
		return nil, fmt.Errorf("cert: %w", err)
	}
	key, err := readFile(t.Key, digest)
	if err != nil {
		return nil, fmt.Errorf("cert: %w", err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("cert: %s and %s: %w", t.Certificate, t.Key, err)
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
}

// readFile reads a file and writes its content to digest.
func readFile(name string, digest io.Writer) ([]byte, error) {
	text, err := os.ReadFile(name)
	if err == nil {
		fmt.Fprintf(digest, "%q\n", text)
	}
	return text, err
}
