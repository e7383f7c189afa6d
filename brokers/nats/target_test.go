package nats

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/caddy-parker/parker/brokers/internal/client"
)

func TestCaddyfileSetsAllOptions(t *testing.T) {
	var fromCaddyfile, fromJSON Broker
	d := caddyfile.NewTestDispenser(`nats {
		url nats://a:4222 tls://b
		url {env.NATS_URL}
		user parker {env.PASSWORD}
		tls {
			ca a.pem b.pem
			cert c.pem c.key
			server_name nats.internal
			insecure_skip_verify
		}
		stream EVENTS
		subject app.events
		history 5000 2h
		replicas 3
		storage memory
	}`)
	if err := fromCaddyfile.UnmarshalCaddyfile(d); err == nil || !strings.Contains(err.Error(), "url is given twice") {
		t.Errorf("two lines with URLs: %v", err)
	}
	d = caddyfile.NewTestDispenser(`nats {
		url nats://a:4222 tls://b {env.NATS_URL}
		user parker {env.PASSWORD}
		tls {
			ca a.pem b.pem
			cert c.pem c.key
			server_name nats.internal
			insecure_skip_verify
		}
		stream EVENTS
		subject app.events
		history 5000 2h
		replicas 3
		storage memory
	}`)
	fromCaddyfile = Broker{}
	if err := fromCaddyfile.UnmarshalCaddyfile(d); err != nil {
		t.Fatal(err)
	}
	if err := caddy.StrictUnmarshalJSON([]byte(`{
		"urls": ["nats://a:4222", "tls://b", "{env.NATS_URL}"],
		"user": "parker", "password": "{env.PASSWORD}",
		"tls": {"ca": ["a.pem", "b.pem"], "certificate": "c.pem", "key": "c.key", "server_name": "nats.internal", "insecure_skip_verify": true},
		"stream": "EVENTS", "subject": "app.events",
		"history_events": 5000, "history_age": 7200000000000,
		"replicas": 3, "storage": "memory"
	}`), &fromJSON); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(fromCaddyfile, fromJSON) {
		t.Errorf("the Caddyfile says %+v\nthe JSON %+v", fromCaddyfile, fromJSON)
	}
	text, err := json.Marshal(fromCaddyfile)
	if err != nil {
		t.Fatal(err)
	}
	var again Broker
	if err := caddy.StrictUnmarshalJSON(text, &again); err != nil || !reflect.DeepEqual(again, fromJSON) {
		t.Errorf("%s: %v", text, err)
	}
}

func TestCaddyfileRefusesInvalidOptionsWithLine(t *testing.T) {
	for _, test := range []struct {
		option string
		line   int
		says   string
	}{
		{"url", 1, "url: wrong argument count or unexpected line ending after 'url'"},
		{"url redis://a", 1, "url: it must begin with nats://, tls://, ws:// or wss://"},
		{"stream A\nurl nats://a nats://:4222", 2, "url: missing host"},
		{"url nats://a/b", 1, "url: only a port may follow the host"},
		{"url nats://a,nats://b", 1, "url: only a port"},
		{"url \"nats://user:s3cret/word@a:bc\"", 1, "url: invalid URL"},
		{"credentials", 1, "credentials: wrong argument count or unexpected line ending after 'credentials'"},
		{"credentials a b", 1, "credentials: wrong argument count or unexpected line ending after 'b'"},
		{"user parker", 1, "user: wrong argument count or unexpected line ending after 'parker'"},
		{"user parker secret\n\ntoken other", 3, "token: user is given already"},
		{"nkey a\ncredentials b", 1, "nkey: credentials is given already"},
		{"token \"\"", 1, "token: wrong argument count or unexpected line ending after ''"},
		{"tls yes", 1, "tls: wrong argument count or unexpected line ending after 'yes'"},
		{"tls {\n\tcert a\n}", 2, "tls: cert: wrong argument count or unexpected line ending after 'a'"},
		{"tls {\n\tversion 3\n}", 2, "tls: unrecognized subdirective 'version'"},
		{"stream a.b", 1, "stream: the name must be"},
		{"stream \"a b\"", 1, "stream: the name must be"},
		{"subject a.", 1, "subject: it must be one or more"},
		{"subject a.>", 1, "subject: it must be one or more"},
		{"subject $JS", 1, "subject: it must be one or more"},
		{"history 999", 1, "history: bad number '999': must be at least 1000"},
		{"history 1000 59s", 1, "history: bad duration '59s': must be at least 1m0s"},
		{"history 1000 1h 1", 1, "history: wrong argument count or unexpected line ending after '1'"},
		{"replicas 0", 1, "replicas: bad number '0': must be at least 1"},
		{"replicas 6", 1, "replicas: bad number '6': must be from 1 to 5"},
		{"storage disk", 1, "storage: 'disk' is not one of: file, memory"},
		{"shards 3", 1, "unrecognized subdirective 'shards'"},
		{"stream A\nstream A", 2, "stream is given twice"},
	} {
		err := new(Broker).UnmarshalCaddyfile(caddyfile.NewTestDispenser("nats {\n" + test.option + "\n}"))
		if err == nil {
			t.Errorf("%q: no error", test.option)
			continue
		}
		place := fmt.Sprintf(", at Testfile:%d", test.line+1)
		if !strings.HasPrefix(err.Error(), test.says) || !strings.HasSuffix(err.Error(), place) {
			t.Errorf("%q: %v\nwant %q and %q", test.option, err, test.says, place)
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error tells the secret: %v", err)
		}
	}
	if err := new(Broker).UnmarshalCaddyfile(caddyfile.NewTestDispenser("nats nats://a")); err == nil {
		t.Error("a word after the name: no error")
	}
}

func TestProvisionRefusesInvalidFilesAndPlaceholders(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	write(t, file, secret)
	t.Setenv("EMPTY", "")
	t.Setenv("MIXED", "ws://a")
	t.Setenv("BAD", "nats://parker:"+secret+"@a")
	for says, b := range map[string]Broker{
		"url: evaluated placeholder {env.UNSET}":   {URLs: []string{"{env.UNSET}"}},
		"url: invalid URL":                         {URLs: []string{"{env.BAD}"}},
		"url: WebSocket URLs cannot be mixed":      {URLs: []string{"nats://a", "{env.MIXED}"}},
		"url: with the option tls":                 {URLs: []string{"ws://a"}, TLS: new(client.TLS)},
		"url: credentials are given both":          {URLs: []string{"nats://a", "nats://parker:" + "s3cret@b"}, Token: secret},
		"token: evaluated placeholder {env.EMPTY}": {Token: "{env.EMPTY}"},
		"user: evaluated placeholder {env.UNSET}":  {User: "parker", Password: "{env.UNSET}"},
		"credentials: open " + dir:                 {Credentials: filepath.Join(dir, "none")},
		"credentials: " + file:                     {Credentials: file},
		"nkey: open " + dir:                        {NKey: filepath.Join(dir, "none")},
		"nkey: " + file:                            {NKey: file},
		"tls: ca: open " + dir:                     {TLS: &client.TLS{CA: []string{filepath.Join(dir, "none")}}},
		"tls: ca: no certificate in " + file:       {TLS: &client.TLS{CA: []string{file}}},
		"tls: cert: open":                          {TLS: &client.TLS{Certificate: file}},
		"tls: cert: " + file + " and " + file:      {TLS: &client.TLS{Certificate: file, Key: file}},
		"storage: 'disk' is none of":               {Storage: "disk"},
		"replicas: bad number '-1'":                {Replicas: -1},
		"history: bad number '-1'":                 {HistoryEvents: -1},
		"history: bad duration '-1s'":              {HistoryAge: caddy.Duration(-time.Second)},
	} {
		err := b.Provision(caddy.Context{})
		if err == nil || !strings.HasPrefix(err.Error(), says) || strings.Contains(err.Error(), secret) {
			t.Errorf("%v\nwant %q", err, says)
		}
		if err := b.Cleanup(); err != nil {
			t.Error(err)
		}
	}
}

func TestTargetNameIdentifiesLogWithoutSecrets(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	newAuthority(t, dir, "ca")
	newAuthority(t, dir, "other")
	write(t, file, secret)
	of := func(b Broker) target {
		target, err := b.target()
		if err != nil {
			t.Fatal(err)
		}
		if text := target.name + target.settings; strings.Contains(text, secret) || strings.Contains(text, "s3cret") || strings.Contains(text, "parker:") {
			t.Errorf("%s tells the secret", text)
		}
		return target
	}
	servers := []string{"nats://a", "nats://b:1"}
	first := of(Broker{URLs: servers, Token: secret})

	for _, same := range []Broker{
		{URLs: []string{"nats://b:1", "tls://a:4222"}, Token: secret},
		{URLs: servers},
		{URLs: servers, User: "parker", Password: secret},
		{URLs: []string{"nats://parker:s3cret@a", "nats://b:1"}},
		{URLs: servers, Token: "{file." + file + "}", TLS: &client.TLS{CA: []string{filepath.Join(dir, "ca.pem")}}},
		{URLs: servers, Token: secret, HistoryEvents: 5000},
		{URLs: servers, Token: secret, Storage: "memory", Replicas: 3},
	} {
		other := of(same)
		if other.name != first.name {
			t.Errorf("%s is another log than %s", other.name, first.name)
		}
		if other.settings == first.settings {
			t.Errorf("%+v has the same settings", same)
		}
	}
	for _, different := range []Broker{
		{URLs: servers[:1], Token: secret},
		{URLs: servers, Token: secret, Stream: "OTHER"},
		{URLs: servers, Token: secret, Subject: "other"},
	} {
		if other := of(different); other.name == first.name {
			t.Errorf("%+v is the same log", different)
		}
	}

	// The content of the files matters.
	b := Broker{URLs: servers, TLS: &client.TLS{CA: []string{filepath.Join(dir, "ca.pem")}}}
	before := of(b).settings
	newAuthority(t, dir, "ca")
	if of(b).settings == before {
		t.Error("another certificate makes no other settings")
	}
	if same := of(Broker{URLs: servers, Token: secret}); same.settings != first.settings {
		t.Error("the same has other settings")
	}
}

func TestEpochCreatesStreamWithOptions(t *testing.T) {
	var plain Broker
	c := plain.streamConfig()
	if c.Name != "PARKER" || c.Subjects[0] != "parker.>" || c.MaxMsgs != 100_000 || c.MaxAge != time.Hour || c.Replicas != 1 || c.Storage != jetstream.FileStorage {
		t.Errorf("by default it is %+v", c)
	}
	full := Broker{Stream: "S", Subject: "a.b", HistoryEvents: 1000, HistoryAge: caddy.Duration(time.Minute), Replicas: 3, Storage: "memory"}
	c = full.streamConfig()
	if c.Name != "S" || c.Subjects[0] != "a.b.>" || c.MaxMsgs != 1000 || c.MaxAge != time.Minute || c.Replicas != 3 || c.Storage != jetstream.MemoryStorage {
		t.Errorf("it is %+v", c)
	}
}
