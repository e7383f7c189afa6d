package caddytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Redis is a redis-server process. It keeps its address and its files across restarts.
type Redis struct {
	// URL is the URL for clients, and Socket the path of a unix socket. Neither names a
	// user.
	URL, Socket string

	// CA, Certificate and Key are files of a server that uses TLS. Clients can use the
	// same certificate.
	CA, Certificate, Key string

	port      int
	arguments []string
	log       *Log
	process   *exec.Cmd
	ended     chan struct{}
}

const noRedis = "Redis is not installed; on Debian: apt-get install redis-server redis-tools"

// StartRedis runs a server until the test ends. It keeps nothing on disk unless the
// arguments say otherwise, such as --appendonly yes.
func StartRedis(t testing.TB, arguments ...string) *Redis {
	t.Helper()
	r := newRedis(t, arguments)
	r.Restart(t)
	return r
}

// StartRedisTLS runs a server that uses TLS at its URL and requires a client
// certificate.
func StartRedisTLS(t testing.TB) *Redis {
	t.Helper()
	ca, certificate, key := writeCertificate(t)
	port := strconv.Itoa(LastingPort(t))
	r := StartRedis(t, "--tls-port", port, "--tls-ca-cert-file", ca, "--tls-cert-file", certificate, "--tls-key-file", key)
	r.URL, r.CA, r.Certificate, r.Key = "rediss://127.0.0.1:"+port, ca, certificate, key
	return r
}

// writeCertificate creates a self-signed certificate for localhost and 127.0.0.1.
func writeCertificate(t testing.TB) (ca, certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		BasicConstraintsValid: true,
		IsCA:                  true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certificate, key = filepath.Join(dir, "certificate.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{
		certificate: {Type: "CERTIFICATE", Bytes: signed},
		key:         {Type: "PRIVATE KEY", Bytes: encoded},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, certificate, key
}

func newRedis(t testing.TB, arguments []string) *Redis {
	t.Helper()
	SkipShort(t)
	// Socket paths are short; those of test directories may not be.
	dir, err := os.MkdirTemp("", "pk")
	if err != nil {
		t.Fatal(err)
	}
	r := &Redis{port: LastingPort(t), Socket: filepath.Join(dir, "redis"), log: new(Log)}
	r.URL = "redis://" + r.Address()
	r.arguments = append([]string{
		"--port", strconv.Itoa(r.port), "--bind", "127.0.0.1", "--unixsocket", r.Socket,
		"--dir", t.TempDir(), "--save", "", "--appendonly", "no",
	}, arguments...)
	t.Cleanup(func() {
		r.Stop()
		os.RemoveAll(dir)
		if t.Failed() && testing.Verbose() {
			t.Logf("the log of Redis:\n%s", r.log)
		}
	})
	return r
}

// Address returns the host and port of the server.
func (r *Redis) Address() string { return fmt.Sprintf("127.0.0.1:%d", r.port) }

// Restart starts the server again. If it runs, it is stopped first.
func (r *Redis) Restart(t testing.TB) {
	t.Helper()
	r.Stop()
	r.start(t)
	Await(t, "Redis answers at "+r.Address(), func() bool {
		select {
		case <-r.ended:
			t.Fatalf("Redis has ended:\n%s", r.log)
		default:
		}
		answer, err := r.cli("PING")
		return err == nil && answer == "PONG"
	})
}

func (r *Redis) start(t testing.TB) {
	t.Helper()
	r.process = exec.Command(Need(t, noRedis, "redis-server"), r.arguments...)
	r.process.Stdout, r.process.Stderr = r.log, r.log
	if err := r.process.Start(); err != nil {
		t.Fatal(err)
	}
	process, ended := r.process, make(chan struct{})
	r.ended = ended
	go func() {
		process.Wait()
		close(ended)
	}()
}

// Stop stops the server as a supervisor would.
func (r *Redis) Stop() { r.end(syscall.SIGTERM) }

// Kill kills the server. Data that it has not written to disk is lost.
func (r *Redis) Kill() { r.end(syscall.SIGKILL) }

func (r *Redis) end(signal syscall.Signal) {
	if r.process == nil {
		return
	}
	r.process.Process.Signal(signal)
	r.process.Process.Signal(syscall.SIGCONT)
	<-r.ended
	r.process = nil
}

// Pause suspends the server: connections stay open but get no answer.
func (r *Redis) Pause() { r.process.Process.Signal(syscall.SIGSTOP) }

// Resume continues a paused server.
func (r *Redis) Resume() { r.process.Process.Signal(syscall.SIGCONT) }

// Do runs a command with redis-cli and returns its output. An error fails the test.
func (r *Redis) Do(t testing.TB, command ...string) string {
	t.Helper()
	answer, err := r.cli(command...)
	if err != nil {
		t.Fatalf("redis-cli %s: %v: %s", strings.Join(command, " "), err, answer)
	}
	return answer
}

func (r *Redis) cli(command ...string) (string, error) {
	cli := exec.Command("redis-cli", append([]string{"-e", "-p", strconv.Itoa(r.port)}, command...)...)
	if at := slices.Index(r.arguments, "--requirepass"); at >= 0 {
		cli.Env = append(os.Environ(), "REDISCLI_AUTH="+r.arguments[at+1])
	}
	answer, err := cli.CombinedOutput()
	return strings.TrimSuffix(string(answer), "\n"), err
}

// StartRedisSentinel runs a sentinel that watches a master under the name mymaster,
// until the test ends.
func StartRedisSentinel(t testing.TB, master *Redis) *Redis {
	t.Helper()
	config := filepath.Join(t.TempDir(), "sentinel.conf")
	text := fmt.Sprintf("sentinel monitor mymaster 127.0.0.1 %d 1\nsentinel down-after-milliseconds mymaster 1000\n", master.port)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &Redis{port: LastingPort(t), log: new(Log)}
	s.arguments = []string{config, "--sentinel", "--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", t.TempDir()}
	t.Cleanup(s.Stop)
	s.Restart(t)
	Await(t, "the sentinel knows the master's replica", func() bool {
		return strings.Contains(s.Do(t, "SENTINEL", "REPLICAS", "mymaster"), "127.0.0.1")
	})
	s.URL = "redis://" + s.Address()
	return s
}

// StartRedisCluster runs a Redis Cluster of masters until the test ends.
func StartRedisCluster(t testing.TB, servers int) []*Redis {
	t.Helper()
	cluster := make([]*Redis, servers)
	create := []string{"--cluster", "create"}
	for i := range cluster {
		cluster[i] = StartRedis(t, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(LastingPort(t)))
		create = append(create, cluster[i].Address())
	}
	cluster[0].Do(t, append(create, "--cluster-yes")...)
	for _, r := range cluster {
		Await(t, "the cluster is ready at "+r.Address(), func() bool {
			return strings.Contains(r.Do(t, "CLUSTER", "INFO"), "cluster_state:ok")
		})
	}
	return cluster
}
