package nats

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/caddy-parker/parker/brokers/internal/client"
	"github.com/caddy-parker/parker/internal/caddytest"
)

const secret = "s3cret/word"

// mustLogIn publishes and reads. With the wrong options the server must refuse it, and the
// log must not contain the secret.
func mustLogIn(t *testing.T, n *caddytest.NATS, right, wrong Broker) {
	t.Helper()
	l, logged := openLog(t, right)
	l.mustEpoch(t)
	r := l.tail(t, 0)
	r.awaitStep(t)
	l.mustAppend(t, wakeUps("a", 1, 1)...)
	r.awaitRead(t, 1)
	n.Restart(t) // it logs in again
	l.mustEpoch(t)
	mustNotTell(t, logged)

	l, logged = openLog(t, wrong)
	caddytest.Await(t, "the error says why", func() bool {
		_, err := l.Epoch(t.Context())
		if err == nil {
			t.Fatal("it is let in")
		}
		if strings.Contains(err.Error(), secret) {
			t.Fatal("the error tells the secret")
		}
		return strings.Contains(strings.ToLower(err.Error()), "authorization violation")
	})
	mustNotTell(t, logged)
}

func TestLogConnectsAsUser(t *testing.T) {
	n := caddytest.StartNATS(t, func(o *server.Options) { o.Username, o.Password = "parker", secret })
	t.Setenv("SECRET", secret)
	mustLogIn(t, n,
		Broker{URLs: []string{n.URL}, User: "parker", Password: "{env.SECRET}"},
		Broker{URLs: []string{n.URL}, User: "parker", Password: secret + "!"})
	url := func(password string) []string {
		return []string{"nats://parker:" + strings.ReplaceAll(password, "/", "%2F") + "@" + n.Address()}
	}
	mustLogIn(t, n, Broker{URLs: url(secret)}, Broker{URLs: url(secret + "!")})
}

func TestLogWorksWithDocumentedPermissions(t *testing.T) {
	t.Parallel()
	n := caddytest.StartNATS(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "parker", Password: secret, Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Allow: []string{
				"$JS.API.STREAM.INFO.PARKER",
				"$JS.API.STREAM.CREATE.PARKER",
				"$JS.API.STREAM.UPDATE.PARKER",
				"$JS.API.CONSUMER.CREATE.PARKER.>",
				"$JS.API.CONSUMER.MSG.NEXT.PARKER.>",
				"parker.>",
			}},
			Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}},
		}}}
	})
	l, logged := openLog(t, Broker{URLs: []string{n.URL}, User: "parker", Password: secret, Storage: "memory"})
	l.mustEpoch(t)
	r := l.tail(t, 0)
	r.awaitStep(t)
	l.mustAppend(t, wakeUps("a", 1, 10)...)
	r.awaitRead(t, 10)
	r.awaitStep(t)
	if complaints := logged.FilterMessage("NATS server reported an error"); complaints.Len() > 0 {
		t.Errorf("there are complaints: %v", complaints.All())
	}
	l, logged = openLog(t, Broker{URLs: []string{n.URL}, User: "parker", Password: secret, Stream: "OTHER"})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := l.Epoch(ctx); err == nil {
		t.Error("another stream is made")
	}
	caddytest.Await(t, "what is not permitted is logged", func() bool {
		return logged.FilterMessage("NATS server reported an error").Len() == 1
	})
}

func TestLogConnectsWithToken(t *testing.T) {
	n := caddytest.StartNATS(t, func(o *server.Options) { o.Authorization = secret })
	file := filepath.Join(t.TempDir(), "token")
	write(t, file, secret)
	mustLogIn(t, n,
		Broker{URLs: []string{n.URL}, Token: "{file." + file + "}"},
		Broker{URLs: []string{n.URL}, Token: secret + "!"})
	url := func(token string) []string {
		return []string{"nats://" + strings.ReplaceAll(token, "/", "%2F") + "@" + n.Address()}
	}
	mustLogIn(t, n, Broker{URLs: url(secret)}, Broker{URLs: url(secret + "!")})
}

func TestLogConnectsWithNKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var publicKeys []string
	for _, name := range []string{"right", "wrong"} {
		pair, err := nkeys.CreateUser()
		if err != nil {
			t.Fatal(err)
		}
		seed, _ := pair.Seed()
		write(t, filepath.Join(dir, name), string(seed))
		public, _ := pair.PublicKey()
		publicKeys = append(publicKeys, public)
	}
	n := caddytest.StartNATS(t, func(o *server.Options) { o.Nkeys = []*server.NkeyUser{{Nkey: publicKeys[0]}} })
	mustLogIn(t, n,
		Broker{URLs: []string{n.URL}, NKey: filepath.Join(dir, "right")},
		Broker{URLs: []string{n.URL}, NKey: filepath.Join(dir, "wrong")})
}

func TestLogConnectsWithCredentials(t *testing.T) {
	t.Parallel()
	operator, _ := nkeys.CreateOperator()
	operatorKey, _ := operator.PublicKey()
	account := func(limits jwt.JetStreamLimits) (pair nkeys.KeyPair, key, token string) {
		pair, _ = nkeys.CreateAccount()
		key, _ = pair.PublicKey()
		claims := jwt.NewAccountClaims(key)
		claims.Limits.JetStreamLimits = limits
		token, err := claims.Encode(operator)
		if err != nil {
			t.Fatal(err)
		}
		return pair, key, token
	}
	mine, myKey, myToken := account(jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1})
	_, systemKey, systemToken := account(jwt.JetStreamLimits{})
	stranger, _, _ := account(jwt.JetStreamLimits{})
	resolver := new(server.MemAccResolver)
	resolver.Store(myKey, myToken)
	resolver.Store(systemKey, systemToken)
	claims := jwt.NewOperatorClaims(operatorKey)
	token, err := claims.Encode(operator)
	if err != nil {
		t.Fatal(err)
	}
	claims, err = jwt.DecodeOperatorClaims(token)
	if err != nil {
		t.Fatal(err)
	}
	n := caddytest.StartNATS(t, func(o *server.Options) {
		o.TrustedOperators = []*jwt.OperatorClaims{claims}
		o.AccountResolver = resolver
		o.SystemAccount = systemKey
	})
	credentials := func(account nkeys.KeyPair) string {
		user, _ := nkeys.CreateUser()
		key, _ := user.PublicKey()
		token, err := jwt.NewUserClaims(key).Encode(account)
		if err != nil {
			t.Fatal(err)
		}
		seed, _ := user.Seed()
		text, err := jwt.FormatUserConfig(token, seed)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "parker.creds")
		write(t, file, string(text))
		return file
	}
	mustLogIn(t, n,
		Broker{URLs: []string{n.URL}, Credentials: credentials(mine)},
		Broker{URLs: []string{n.URL}, Credentials: credentials(stranger)})
}

func TestTLSChecksBothSides(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	authority := newAuthority(t, dir, "ca")
	newAuthority(t, dir, "other")
	pair := authority.sign(t, dir, "server", "nats.internal")
	authority.sign(t, dir, "client", "parker")
	file := func(name string) string { return filepath.Join(dir, name) }

	n := caddytest.StartNATS(t, func(o *server.Options) {
		pool := x509.NewCertPool()
		pool.AddCert(authority.certificate)
		o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
		o.TLSTimeout = 2
	})
	right := func() Broker {
		return Broker{URLs: []string{n.URL}, TLS: &client.TLS{
			CA: []string{file("other.pem"), file("ca.pem")}, Certificate: file("client.pem"), Key: file("client.key"), ServerName: "nats.internal",
		}}
	}
	l, _ := openLog(t, right())
	l.mustEpoch(t)
	l.mustAppend(t, wakeUps("a", 1, 1)...)
	l.tail(t, 0).awaitRead(t, 1)

	unchecked := right()
	unchecked.TLS.CA, unchecked.TLS.ServerName, unchecked.TLS.InsecureSkipVerify = nil, "", true
	l, _ = openLog(t, unchecked)
	l.mustEpoch(t)

	for name, spoil := range map[string]func(*Broker){
		"certificate signed by unknown authority": func(b *Broker) { b.TLS.CA = b.TLS.CA[:1] },
		"not other.internal":                      func(b *Broker) { b.TLS.ServerName = "other.internal" },
		"certificate required":                    func(b *Broker) { b.TLS.Certificate, b.TLS.Key = "", "" },
	} {
		wrong := right()
		spoil(&wrong)
		l, _ := openLog(t, wrong)
		caddytest.Await(t, "the error says "+name, func() bool {
			_, err := l.Epoch(t.Context())
			if err == nil {
				t.Fatal("it is let in")
			}
			return strings.Contains(err.Error(), name)
		})
	}
}

func TestTLSIsRequiredIfConfigured(t *testing.T) {
	t.Parallel()
	n := caddytest.StartNATS(t)
	l, _ := openLog(t, Broker{URLs: []string{n.URL}, TLS: new(client.TLS)})
	caddytest.Await(t, "the error says so", func() bool {
		_, err := l.Epoch(t.Context())
		if err == nil {
			t.Fatal("it is let in")
		}
		return strings.Contains(err.Error(), "secure connection not available")
	})
}

func TestLogConnectsThroughWebSocket(t *testing.T) {
	n := caddytest.StartNATS(t, func(o *server.Options) {
		o.Websocket.Host, o.Websocket.Port, o.Websocket.NoTLS = "127.0.0.1", -1, true
	})
	l, _ := openLog(t, Broker{URLs: []string{n.WebSocketURL()}})
	l.mustEpoch(t)
	l.mustAppend(t, wakeUps("a", 1, 100)...)
	l.tail(t, 0).awaitRead(t, 100)
}

// authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, dir, name string) authority {
	t.Helper()
	a := authority{}
	template := &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.certificate, a.key = makeCertificate(t, dir, name, template, a)
	return a
}

// sign creates a certificate for a name and writes it and its key to files.
func (a authority) sign(t *testing.T, dir, file, name string) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv6loopback}}
	makeCertificate(t, dir, file, template, a)
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, file+".pem"), filepath.Join(dir, file+".key"))
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// makeCertificate signs it by the authority, or by itself if there is no authority.
func makeCertificate(t *testing.T, dir, file string, template *x509.Certificate, by authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.Subject = big.NewInt(1), pkix.Name{CommonName: file}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if by.key == nil {
		by = authority{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.certificate, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, file+".pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, filepath.Join(dir, file+".key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate, key
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
