// Package client is what brokers with a server have in common about reaching it:
// secrets and TLS, and how their options are read.
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

// Replace replaces global placeholders, such as {env.PASSWORD}. One that stands for
// nothing is an error.
func Replace(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	return caddy.NewReplacer().ReplaceOrErr(text, true, true)
}

// Text reads one text that is not empty.
func Text(target *string) option.Reader {
	read := option.Text(target)
	return func(d *caddyfile.Dispenser) error {
		if err := read(d); err != nil || *target == "" {
			return d.ArgErr()
		}
		return nil
	}
}

// TLS is how to speak TLS with servers.
type TLS struct {
	// Files with the certificates, in PEM, of the authorities that may have signed the
	// servers'. Default: the system's.
	CA []string `json:"ca,omitempty"`

	// Files with a certificate and its key, in PEM, to log in with. Default: none.
	Certificate string `json:"certificate,omitempty"`
	Key         string `json:"key,omitempty"`

	// The name that the servers' certificates must be for. Default: the host's, of the
	// URL or as other servers say.
	ServerName string `json:"server_name,omitempty"`

	// Do not check the servers' certificates. Whoever is in between can then read and
	// change everything. For tests. Default: false.
	InsecureSkipVerify bool `json:"insecure_skip_verify,omitempty"`
}

// Read reads it from Caddyfile tokens. Syntax:
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

// Config reads the files, and writes to the digest all that it depends on. Of nil it is
// the default.
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
			return nil, fmt.Errorf("ca: there is no certificate in %s", name)
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

// readFile reads a file, and writes to the digest what is in it.
func readFile(name string, digest io.Writer) ([]byte, error) {
	text, err := os.ReadFile(name)
	if err == nil {
		fmt.Fprintf(digest, "%q\n", text)
	}
	return text, err
}
