package redis

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-parker/parker/brokers/internal/replica"
	"github.com/caddy-parker/parker/internal/caddytest"
)

// plain returns an entry without the values that differ from run to run.
func plain(e replica.Entry) string {
	if e.Message == nil {
		return fmt.Sprintf("%q wakes %q %s %q %d", e.Channel, e.ID, e.Lifetime, e.Node, e.Number)
	}
	return fmt.Sprintf("%q: %q %s %q %q %s", e.Channel, e.Message.Body, e.Message.ContentType, e.Message.Type, e.ID, e.Lifetime)
}

func TestTailReadsEntriesOfApplications(t *testing.T) {
	t.Parallel()
	server := caddytest.StartRedis(t)
	l := openAt(t, server)
	epochOf(t, l)
	r := read(t, l, 0)
	n := 0
	for _, test := range []struct{ fields, want string }{
		{"channel rooms/7", `"rooms/7" wakes "" 0s "" 0`},
		{"channel rooms/7 body ", `"rooms/7" wakes "" 0s "" 0`},
		{`channel rooms/7 body {"a":1} type application/json`, `"rooms/7": "{\"a\":1}" application/json "" "" 0s`},
		{`channel rooms/7 body {"a":1}`, `"rooms/7": "{\"a\":1}" application/json "" "" 0s`},
		{"body text channel ü", `"ü": "text" text/plain; charset=utf-8 "" "" 0s`},
		{"channel a body b event news id 17 expires 0.5", `"a": "b" text/plain; charset=utf-8 "news" "17" 500ms`},
		{"channel a body b type text/html expires 0", `"a": "b" text/html "" "" -1ns`},
		{"channel a expires 99999999999999999999", `"a" wakes "" 596523h14m8s "" 0`},
		{"channel a id 1 user 5 epoch x", `"a" wakes "1" 0s "" 0`},
		{"channel a channel b", `"b" wakes "" 0s "" 0`},
		{"channel a type no event no\n", `"a" wakes "" 0s "" 0`},
		{"channel a node N1 number 3", `"a" wakes "" 0s "N1" 3`},
	} {
		server.Do(t, append([]string{"XADD", "parker:events:0", "*"}, strings.Split(test.fields, " ")...)...)
		n++
		if got := plain(r.await(t, n)[n-1]); got != test.want {
			t.Errorf("%s is %s instead of %s", test.fields, got, test.want)
		}
	}
}

// watched returns a logger and its entries.
func watched() (*zap.Logger, *observer.ObservedLogs) {
	core, logs := observer.New(zapcore.WarnLevel)
	return zap.New(core), logs
}

func TestTailSkipsMalformedEntries(t *testing.T) {
	t.Parallel()
	server := caddytest.StartRedis(t)
	l := openAt(t, server)
	var logs *observer.ObservedLogs
	l.logger, logs = watched()
	epochOf(t, l)
	r := read(t, l, 0)
	r.awaitInStep(t, 1)
	long := strings.Repeat("a", 256)
	for _, fields := range [][]string{
		{"body", "b"},
		{"channel", ""},
		{"channel", long},
		{"channel", "a\nb"},
		{"channel", "a\xff"},
		{"channel", "a", "id", "b\x00"},
		{"channel", "a", "id", long},
		{"channel", "a", "body", "b", "type", "text"},
		{"channel", "a", "body", "b", "type", "text/plain\r\nX: y"},
		{"channel", "a", "body", "b", "type", "text/plain; x=\"ü\""},
		{"channel", "a", "body", "b", "event", "c\rd"},
		{"channel", "a", "body", "b", "event", "c\nd"},
		{"channel", "a", "body", "b", "event", long},
		{"channel", "a", "expires", "-1"},
		{"channel", "a", "expires", "soon"},
		{"channel", "a", "expires", "1e3"},
		{"channel", "a", "expires", "."},
		{"channel", "a", "node", "N1"},
		{"channel", "a", "number", "1"},
		{"channel", "a", "node", "N1", "number", "0"},
		{"channel", "a", "node", "N1", "number", "-1"},
		{"channel", "a", "node", strings.Repeat("N", 33), "number", "1"},
	} {
		// redis-cli cannot hand over every byte as an argument.
		command := l.client.B().Arbitrary("XADD").Keys("parker:events:0").Args("*").Args(fields...).Build()
		if err := l.client.Do(t.Context(), command).Error(); err != nil {
			t.Fatal(err)
		}
		add(t, l, "good")
	}
	for _, e := range r.await(t, 22) {
		if e.Channel != "good" {
			t.Errorf("there is %s", plain(e))
		}
	}
	if logs.Len() != 1 {
		t.Errorf("there are %d warnings: %v", logs.Len(), logs.All())
	}
}

func TestListenHearsApplications(t *testing.T) {
	t.Parallel()
	server := caddytest.StartRedis(t)
	l := open(t, &Broker{URLs: []string{server.URL}, Prefix: "[p]*?\\"})
	var logs *observer.ObservedLogs
	l.logger, logs = watched()
	heard := listen(t, l, server)
	for _, test := range []struct{ channel, payload, want string }{
		{"rooms/7", "", `"rooms/7" wakes "" 0s "" 0`},
		{"rooms/7", `{"a":1}`, `"rooms/7": "{\"a\":1}" application/json "" "" 0s`},
		{"ü", "a\r\nb", `"ü": "a\r\nb" text/plain; charset=utf-8 "" "" 0s`},
		{"events:0", "", `"events:0" wakes "" 0s "" 0`},
		{"epoch", "", `"epoch" wakes "" 0s "" 0`},
	} {
		for _, bad := range []string{"p:a", `[p]*?\`, `[p]*?\x:a`, `[p]*?\:`, `[p]*?\:` + strings.Repeat("a", 256), "[p]*?\\:a\nb"} {
			server.Do(t, "PUBLISH", bad, "bad")
		}
		server.Do(t, "PUBLISH", `[p]*?\:`+test.channel, test.payload)
		if got := plain(<-heard); got != test.want {
			t.Errorf("%s %s is %s instead of %s", test.channel, test.payload, got, test.want)
		}
	}
	if logs.Len() != 1 {
		t.Errorf("there are %d warnings: %v", logs.Len(), logs.All())
	}
}

// listen returns the entries that the log hears. It returns once the log listens.
func listen(t testing.TB, l *log, servers ...*caddytest.Redis) <-chan replica.Entry {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	heard, ended := make(chan replica.Entry, 100), make(chan struct{})
	go func() {
		defer close(ended)
		defer close(heard)
		l.Listen(ctx, func(e replica.Entry) { heard <- e })
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(noticed):
			t.Error("listening does not end with its context")
			<-ended
		}
	})
	probe := func(text string) { servers[0].Do(t, "PUBLISH", l.prefix+":probe", text) }
	caddytest.Await(t, "the log listens", func() bool {
		probe("")
		return len(heard) > 0
	})
	probe("last")
	for e := range heard {
		if e.Message != nil {
			break
		}
	}
	return heard
}
