package redis

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-parker/parker/brokers"
	"github.com/caddy-parker/parker/brokers/internal/client"
	"github.com/caddy-parker/parker/internal/caddytest"
)

func parse(text string) (*Broker, error) {
	b := new(Broker)
	return b, b.UnmarshalCaddyfile(caddyfile.NewTestDispenser(text))
}

func TestCaddyfileSetsAllOptions(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"redis": `{}`,
		`redis {
			url {env.REDIS_URL}
		}`: `{"urls":["{env.REDIS_URL}"]}`,
		`redis {
			url redis://a:1 redis://b
			username u
			password {file./run/secrets/redis}
			tls {
				ca a.pem b.pem
				cert c.pem k.pem
				server_name n
				insecure_skip_verify
			}
			sentinel m
			database 2
			prefix p
			history 1000 1m
		}`: `{"urls":["redis://a:1","redis://b"],"username":"u","password":"{file./run/secrets/redis}",
			"tls":{"ca":["a.pem","b.pem"],"certificate":"c.pem","key":"k.pem","server_name":"n","insecure_skip_verify":true},
			"sentinel":"m","database":2,"prefix":"p","history_events":1000,"history_age":60000000000}`,
		`redis {
			cluster
			tls
		}`: `{"tls":{},"cluster":true}`,
	} {
		b, err := parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, _ := json.Marshal(b)
		if want = strings.NewReplacer("\n", "", "\t", "").Replace(want); string(got) != want {
			t.Errorf("%s\nis      %s\ninstead %s", text, got, want)
		}
	}
}

func TestCaddyfileRefusesInvalidOptionsWithLine(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("p", 65)
	for options, want := range map[string]string{
		"urls redis://a":                         "unrecognized subdirective 'urls'",
		"url":                                    "wrong argument count",
		"url a:6379":                             "url: it must begin with redis://",
		"url http://a":                           "url: it must begin with redis://",
		"url redis://":                           "url: missing host",
		"url redis://:6379":                      "url: missing host",
		"url redis://a/b":                        "url: only a database",
		"url redis://a/-1":                       "url: only a database",
		"url redis://a?db=1":                     "url: only a database",
		"url redis://:secret#1@a":                "url: invalid URL",
		"url redis://u:secret%@a":                "url: invalid URL",
		"url unix://run/redis":                   "url: it must have the path",
		"url redis://a redis://b":                "url: more than one",
		"cluster\nsentinel m":                    "cluster: cluster and sentinel exclude each other",
		"cluster on":                             "wrong argument count",
		"cluster\ndatabase 1":                    "database: bad number 1",
		"database -1":                            "database: bad number '-1'",
		"database x":                             "database: bad number 'x'",
		"prefix":                                 "wrong argument count",
		"prefix \"a b\"":                         "prefix: it must be at most 64 bytes",
		"prefix " + long:                         "prefix: it must be at most 64 bytes",
		"shards 2":                               "unrecognized subdirective 'shards'",
		"history 999":                            "history: bad number '999'",
		"history 1000 59s":                       "history: bad duration '59s'",
		"password \"\"":                          "wrong argument count",
		"password a b":                           "wrong argument count",
		"password a\npassword b":                 "password is given twice",
		"tls a.pem":                              "wrong argument count",
		"tls {\ncert a.pem\n}":                   "wrong argument count",
		"tls {\nca\n}":                           "wrong argument count",
		"tls {\nkey k.pem\n}":                    "unrecognized subdirective 'key'",
		"tls {\ninsecure_skip_verify yes\n}":     "wrong argument count",
		"sentinel m\nsentinel n":                 "sentinel is given twice",
		"url redis://a\nurl redis://b":           "url is given twice",
		"url redis://:secret@a redis://:x@b c:1": "url: it must begin with redis://",
	} {
		_, err := parse("redis {\n" + options + "\n}")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "Testfile:") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", options, err)
		}
	}
	if _, err := parse("redis a"); err == nil || !strings.Contains(err.Error(), "Testfile:1") {
		t.Errorf("a word beside the name: %v", err)
	}
}

func TestProvisionRefusesInvalidOptions(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PARKER_TEST_URL", "http://:secret@a")
	for _, test := range []struct {
		broker Broker
		want   string
	}{
		{Broker{URLs: []string{"{env.PARKER_TEST_URL}"}}, "url: it must begin with redis://"},
		{Broker{URLs: []string{"{env.PARKER_TEST_NOTHING}"}}, "url: "},
		{Broker{Password: "{env.PARKER_TEST_NOTHING}"}, "password: "},
		{Broker{Username: "{env.PARKER_TEST_NOTHING}"}, "username: "},
		{Broker{URLs: []string{"http://:secret@a"}}, "url: it must begin with redis://"},
		{Broker{URLs: []string{"redis://:secret@a"}, Password: "secret"}, "credentials are given both"},
		{Broker{URLs: []string{"redis://:secret@a", "redis://b"}, Cluster: true}, "differ only in the host"},
		{Broker{URLs: []string{"redis://a", "rediss://a"}, Cluster: true}, "differ only in the host"},
		{Broker{URLs: []string{"redis://a/1"}, Cluster: true}, "database"},
		{Broker{URLs: []string{"unix:///a"}, Cluster: true}, "a socket cannot be combined"},
		{Broker{URLs: []string{"unix:///a"}, Sentinel: "m"}, "a socket cannot be combined"},
		{Broker{URLs: []string{"unix:///a"}, TLS: new(client.TLS)}, "a socket cannot be combined"},
		{Broker{HistoryEvents: -1}, "history: "},
		{Broker{HistoryAge: -1}, "history: "},
		{Broker{Database: -1}, "database: "},
		{Broker{TLS: &client.TLS{CA: []string{filepath.Join(dir, "none.pem")}}}, "none.pem"},
		{Broker{TLS: &client.TLS{CA: []string{empty}}}, "no certificate in " + empty},
		{Broker{TLS: &client.TLS{Certificate: empty, Key: empty}}, empty},
		{Broker{TLS: &client.TLS{Certificate: empty}}, "cert: "},
	} {
		ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
		err := test.broker.Provision(ctx)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: %v", test.broker, err)
		}
		if err := test.broker.Cleanup(); err != nil {
			t.Error(err)
		}
		cancel()
	}
}

func TestTargetNameIdentifiesStreamWithoutSecrets(t *testing.T) {
	t.Parallel()
	targetOf := func(b Broker) target {
		t.Helper()
		target, err := b.target()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(target.name+target.settings, "secret") {
			t.Errorf("the secret is in %s %s", target.name, target.settings)
		}
		return target
	}
	cluster := targetOf(Broker{URLs: []string{"redis://:secret@a", "redis://:secret@b:7000"}, Cluster: true})
	for _, b := range []Broker{
		{URLs: []string{"redis://b:7000", "redis://a:6379"}, Cluster: true},
		{URLs: []string{"rediss://b:7000", "rediss://a:6379"}, Cluster: true, Password: "secret", HistoryEvents: 5000},
	} {
		if other := targetOf(b); other.name != cluster.name || other.settings == cluster.settings {
			t.Errorf("%+v is %s with %s, as is %s with %s", b, other.name, other.settings, cluster.name, cluster.settings)
		}
	}
	if targetOf(Broker{URLs: []string{"redis://a"}}).settings == targetOf(Broker{URLs: []string{"rediss://a"}}).settings {
		t.Error("TLS makes no difference")
	}
	var names []string
	for _, b := range []Broker{
		{}, {Database: 1}, {Prefix: "p"}, {URLs: []string{"redis://a"}}, {URLs: []string{"unix:///a"}},
		{URLs: []string{"redis://a"}, Sentinel: "m"}, {URLs: []string{"redis://a"}, Sentinel: "n"},
	} {
		name := targetOf(b).name
		if slices.Contains(names, name) {
			t.Errorf("%+v has the name of another, %s", b, name)
		}
		names = append(names, name)
	}
	if targetOf(Broker{URLs: []string{"redis://127.0.0.1/0"}}).name != names[0] {
		t.Error("the default has another name when it is given")
	}
}

func TestBrokerPublishesThroughServer(t *testing.T) {
	t.Parallel()
	server := caddytest.StartRedis(t)
	b, err := parse("redis {\nurl " + server.URL + "\n}")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	defer cancel()
	if err := b.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	defer b.Cleanup()
	received := make(chan brokers.Event, 10)
	b.Start(brokers.History{Events: 10, MaxAge: time.Minute, MaxBytes: 1e6}, func(e brokers.Event) (int, func()) {
		received <- e
		return 1, nil
	})
	for e := <-received; !e.Lost(); e = <-received {
		t.Errorf("there is %+v", e)
	}
	published, err := b.Publish(context.Background(), brokers.Publication{Channel: "a"})
	if e := <-received; err != nil || e.Channel != "a" || e.Position != published.Position || published.Unreachable || published.Released != 1 {
		t.Errorf("%+v, %v, and %+v arrived", published, err, e)
	}
	server.Do(t, "XADD", "parker:events:0", "*", "channel", "b")
	if e := <-received; e.Channel != "b" {
		t.Errorf("%+v arrived", e)
	}
	server.Do(t, "PUBLISH", "parker:c", "text")
	if e := <-received; e.Channel != "c" || string(e.Message.Body) != "text" {
		t.Errorf("%+v arrived", e)
	}
	if health := b.Health(); !health.Reachable || health.Waiting != 0 {
		t.Errorf("the broker's health is %+v", health)
	}
}
