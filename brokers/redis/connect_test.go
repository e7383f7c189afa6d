package redis

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/brokers/internal/client"
	"github.com/caddy-parker/parker/brokers/internal/replica"
	"github.com/caddy-parker/parker/internal/caddytest"
)

// tryAll calls all methods of the log.
func tryAll(t *testing.T, b *Broker, servers ...*caddytest.Redis) {
	t.Helper()
	servers[0].Do(t, "FLUSHALL")
	tryLog(t, open(t, b), servers...)
}

func tryLog(t *testing.T, l *log, servers ...*caddytest.Redis) {
	t.Helper()
	epochOf(t, l)
	heard := listen(t, l, servers...)
	r := read(t, l, 0)
	add(t, l, "a")
	add(t, l, "b", "c")
	r.await(t, 3)
	servers[0].Do(t, "PUBLISH", "parker:d", "")
	if e := <-heard; e.Channel != "d" {
		t.Errorf("heard %s", plain(e))
	}
}

// refused fails the test unless the log cannot be opened and the error has no secret.
func refused(t *testing.T, b *Broker, reason string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), caddytest.Patience)
	defer cancel()
	if _, err := open(t, b).Epoch(ctx); err == nil || !strings.Contains(err.Error(), reason) || strings.Contains(err.Error(), "secret") {
		t.Errorf("the error is %v instead of %s", err, reason)
	}
}

func TestLogConnectsThroughSocket(t *testing.T) {
	t.Parallel()
	server := caddytest.StartRedis(t)
	tryAll(t, &Broker{URLs: []string{"unix://" + server.Socket}}, server)
}

func TestLogWorksWithOlderProtocol(t *testing.T) {
	t.Parallel()
	server := caddytest.StartRedis(t)
	l := openAt(t, server)
	l.options.AlwaysRESP2 = true
	tryLog(t, l, server)
	server.Do(t, "XTRIM", "parker:events:0", "MAXLEN", "0")
	read(t, l, 0).awaitInStep(t, 1)
}

func TestLogIsSeparateInEachDatabase(t *testing.T) {
	t.Parallel()
	server := caddytest.StartRedis(t)
	tryAll(t, &Broker{URLs: []string{server.URL + "/3"}}, server)
	tryAll(t, &Broker{URLs: []string{server.URL}, Database: 4}, server)
	epochOf(t, open(t, &Broker{URLs: []string{server.URL + "/5"}}))
	if keys := server.Do(t, "INFO", "keyspace"); !strings.Contains(keys, "db4:keys=2") || !strings.Contains(keys, "db5:keys=2") {
		t.Errorf("the keys are %s", keys)
	}
}

func TestLogConnectsWithPassword(t *testing.T) {
	t.Setenv("PARKER_TEST_PASSWORD", "a secret")
	server := caddytest.StartRedis(t, "--requirepass", "a secret")
	tryAll(t, &Broker{URLs: []string{server.URL}, Password: "{env.PARKER_TEST_PASSWORD}"}, server)
	tryAll(t, &Broker{URLs: []string{strings.Replace(server.URL, "//", "//:a%20secret@", 1)}}, server)
	tryAll(t, &Broker{URLs: []string{"unix://:a%20secret@" + server.Socket}}, server)
	refused(t, &Broker{URLs: []string{server.URL}}, "NOAUTH")
	refused(t, &Broker{URLs: []string{server.URL}, Password: "another secret"}, "WRONGPASS")
}

// The user has the permissions that the package documentation lists.
func TestLogWorksWithDocumentedPermissions(t *testing.T) {
	t.Parallel()
	server := caddytest.StartRedis(t)
	server.Do(t, "ACL", "SETUSER", "parker", "on", ">secret", "~parker:*", "&parker:*",
		"+get", "+set", "+exists", "+xadd", "+xread", "+xrange", "+xtrim", "+xinfo|stream",
		"+watch", "+multi", "+exec", "+psubscribe", "+ping")
	b := &Broker{URLs: []string{server.URL}, Username: "parker", Password: "secret"}
	tryAll(t, b, server)
	tryAll(t, &Broker{URLs: []string{strings.Replace(server.URL, "//", "//parker:secret@", 1)}}, server)
	refused(t, &Broker{URLs: []string{server.URL}, Username: "nobody", Password: "secret"}, "WRONGPASS")
	l := open(t, b)
	before := epochOf(t, l)
	server.Do(t, "DEL", "parker:events:0")
	read(t, l, 0).awaitError(t, noticed)
	if epochOf(t, l) == before {
		t.Error("the log is not begun anew")
	}
	for line := range strings.SplitSeq(server.Do(t, "CLIENT", "LIST"), "\n") {
		if strings.Contains(line, "name=parker") && !strings.Contains(line, "user=parker") {
			t.Errorf("a connection is without the user: %s", line)
		}
	}
	if denied := server.Do(t, "ACL", "LOG"); strings.Contains(denied, "command") {
		t.Errorf("what was denied: %s", denied)
	}
}

func TestTLSChecksBothSides(t *testing.T) {
	t.Parallel()
	server := caddytest.StartRedisTLS(t)
	whole := client.TLS{CA: []string{server.CA}, Certificate: server.Certificate, Key: server.Key}
	tryAll(t, &Broker{URLs: []string{server.URL}, TLS: &whole}, server)
	tryAll(t, &Broker{URLs: []string{strings.Replace(server.URL, "rediss://127.0.0.1", "redis://localhost", 1)}, TLS: &whole}, server)

	noAuthority, noCertificate, otherName := whole, whole, whole
	noAuthority.CA = nil
	refused(t, &Broker{URLs: []string{server.URL}, TLS: &noAuthority}, "x509: certificate signed by unknown authority")
	refused(t, &Broker{URLs: []string{server.URL}}, "x509: certificate signed by unknown authority")
	noCertificate.Certificate, noCertificate.Key = "", ""
	refused(t, &Broker{URLs: []string{server.URL}, TLS: &noCertificate}, "") // it may be a reset that arrives before the alert
	otherName.ServerName = "example.com"
	refused(t, &Broker{URLs: []string{server.URL}, TLS: &otherName}, "not example.com")
	noAuthority.InsecureSkipVerify = true
	tryAll(t, &Broker{URLs: []string{server.URL}, TLS: &noAuthority}, server)
}

func TestLogReconnectsWhenServerIsBack(t *testing.T) {
	t.Parallel()
	server := caddytest.StartRedis(t)
	l := openAt(t, server)
	server.Stop()
	begin := time.Now()
	if _, err := l.Epoch(t.Context()); err == nil {
		t.Error("there is an epoch")
	}
	if err := l.Append(t.Context(), make([]replica.Entry, 2)); err == nil {
		t.Error("entries are appended")
	}
	read(t, l, 0).awaitError(t, noticed)
	if err := l.Listen(t.Context(), func(replica.Entry) {}); err == nil {
		t.Error("listening ends without an error")
	}
	if took := time.Since(begin); took > noticed {
		t.Errorf("the errors took %s", took)
	}
	server.Restart(t)
	epochOf(t, l)
	r := read(t, l, 0)
	add(t, l, "a")
	r.await(t, 1)
}

func TestLogNoticesSilentServer(t *testing.T) {
	t.Parallel()
	server := caddytest.StartRedis(t)
	l := openAt(t, server)
	epochOf(t, l)
	heard := listen(t, l, server)
	r := read(t, l, 0)
	r.awaitInStep(t, 1)
	server.Pause()
	for what, try := range map[string]func(context.Context) error{
		"epoch":  func(ctx context.Context) error { _, err := l.Epoch(ctx); return err },
		"append": func(ctx context.Context) error { return l.Append(ctx, make([]replica.Entry, 2)) },
		"tail":   func(ctx context.Context) error { return l.Tail(ctx, 0, func(replica.Batch) {}) },
		"listen": func(ctx context.Context) error { return l.Listen(ctx, func(replica.Entry) {}) },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		begin := time.Now()
		if err := try(ctx); err == nil {
			t.Errorf("%s succeeds", what)
		}
		if took := time.Since(begin); took > noticed {
			t.Errorf("%s ended after %s", what, took)
		}
		cancel()
	}
	r.awaitError(t, noticed)
	begin := time.Now()
	for range heard {
		t.Error("there is something to be heard")
	}
	if took := time.Since(begin); took > noticed {
		t.Errorf("listening ended after %s", took)
	}
	server.Resume()
	epochOf(t, l)
	r = read(t, l, 0)
	add(t, l, "a")
	r.await(t, 1)
}

func TestTailEndsWithItsContextAtOnce(t *testing.T) {
	t.Parallel()
	server := caddytest.StartRedis(t)
	l := openAt(t, server)
	epochOf(t, l)
	const readers = 20
	var all []*reader
	for range readers {
		all = append(all, read(t, l, 0))
	}
	for _, r := range all {
		r.awaitInStep(t, 1)
	}
	begin := time.Now()
	for _, r := range all {
		r.stop()
		<-r.ended
	}
	// Waiting for an answer would take half a second for each.
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("reading ended %d times in %s", readers, took)
	}
}

func TestLogCloseLeavesNothing(t *testing.T) {
	t.Parallel()
	server := caddytest.StartRedis(t)
	connections := func() int { return strings.Count(server.Do(t, "CLIENT", "LIST"), "name=parker") }
	l := openAt(t, server)
	epochOf(t, l)
	listen(t, l, server)
	r := read(t, l, 0)
	r.awaitInStep(t, 1)
	if n := connections(); n != 3 {
		t.Errorf("there are %d connections", n)
	}
	r.stop()
	<-r.ended
	l.Close()
	caddytest.Await(t, "the others are closed", func() bool { return connections() <= 1 })
	if _, err := l.Epoch(t.Context()); err == nil {
		t.Error("a closed log has an epoch")
	}
	l.Close()
}

func TestLogWorksWithCluster(t *testing.T) {
	t.Parallel()
	cluster := caddytest.StartRedisCluster(t, 3)
	l := open(t, &Broker{URLs: []string{cluster[0].URL, cluster[1].URL}, Cluster: true})
	before := epochOf(t, l)
	heard := listen(t, l, cluster...)
	reader := read(t, l, 0)
	add(t, l, "a")
	add(t, l, "b", "c")
	last := reader.await(t, 3)[2].Offset
	for _, server := range cluster {
		server.Do(t, "PUBLISH", "parker:d", "")
		if e := <-heard; e.Channel != "d" {
			t.Errorf("heard %s", plain(e))
		}
	}
	r := read(t, l, last)
	add(t, l, "d")
	r.await(t, 1)
	// One server loses all its data.
	for _, server := range cluster {
		if strings.Contains(server.Do(t, "KEYS", "*"), "parker:events:0") {
			server.Do(t, "FLUSHALL")
		}
	}
	reader.awaitError(t, noticed)
	r.awaitError(t, noticed)
	if epochOf(t, l) == before {
		t.Error("the epoch stays")
	}
	again := read(t, l, 0)
	again.awaitInStep(t, 1)
	if again.floor == 0 {
		t.Error("the stream has not been made again")
	}
}

func TestLogFindsMasterThroughSentinels(t *testing.T) {
	t.Parallel()
	first := caddytest.StartRedis(t)
	host, port, _ := strings.Cut(first.Address(), ":")
	second := caddytest.StartRedis(t, "--replicaof", host+" "+port, "--repl-diskless-sync-delay", "0")
	sentinel := caddytest.StartRedisSentinel(t, first)
	l := open(t, &Broker{URLs: []string{sentinel.URL}, Sentinel: "mymaster"})
	before := epochOf(t, l)
	r := read(t, l, 0)
	add(t, l, "a", "b")
	b := r.await(t, 2)[1]
	caddytest.Await(t, "the replica has all", func() bool { return second.Do(t, "XLEN", "parker:events:0") == "3" })
	first.Kill()
	r.awaitError(t, noticed)
	// The other takes over.
	caddytest.Await(t, "there is a master again", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return l.Append(ctx, []replica.Entry{{Channel: "c"}}) == nil
	})
	if epochOf(t, l) != before {
		t.Error("the epoch is another, but nothing was lost")
	}
	read(t, l, b.Offset).await(t, 1)
}

// A former master that is cut off from the sentinels does not know that it was replaced.
func TestTailLeavesFormerMaster(t *testing.T) {
	t.Parallel()
	first := caddytest.StartRedis(t)
	host, port, _ := strings.Cut(first.Address(), ":")
	second := caddytest.StartRedis(t, "--replicaof", host+" "+port, "--repl-diskless-sync-delay", "0")
	sentinel := caddytest.StartRedisSentinel(t, first)
	l := open(t, &Broker{URLs: []string{sentinel.URL}, Sentinel: "mymaster"})
	epochOf(t, l)
	r := read(t, l, 0)
	r.awaitInStep(t, 1)
	caddytest.Await(t, "the replica has all", func() bool { return second.Do(t, "XLEN", "parker:events:0") == "1" })
	first.Do(t, "ACL", "SETUSER", "default", "-slaveof", "-replicaof", "-client|kill")
	sentinel.Do(t, "SENTINEL", "FAILOVER", "mymaster")
	if err := r.awaitError(t, caddytest.Patience); !errors.Is(err, errSwitched) {
		t.Errorf("reading ended with %v", err)
	}
}
