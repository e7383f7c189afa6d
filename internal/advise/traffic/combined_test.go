package traffic

import (
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/advise"
)

func TestReadTakesFormatsOfNginxAndApache(t *testing.T) {
	begun := time.Date(2026, 11, 30, 10, 0, 5, 0, time.UTC)
	const start = `192.0.2.1 - - [30/Nov/2026:11:00:05 +0100] `
	plain := advise.Observation{Begun: begun, Step: time.Second, Method: "GET", Path: "/news", Query: "since=1&x=%20", Status: 200, Length: -1, Sent: 12, Logged: true}
	const request = `"GET /news?since=1&x=%20 HTTP/1.1" 200 12`
	with := func(change func(o *advise.Observation)) advise.Observation {
		o := plain
		change(&o)
		return o
	}
	took := func(took time.Duration) advise.Observation {
		return with(func(o *advise.Observation) { o.Took = took })
	}
	ended := func(took time.Duration) advise.Observation {
		return with(func(o *advise.Observation) { o.Took, o.Begun = took, begun.Add(-took) })
	}
	onHost := func(host string) advise.Observation {
		return with(func(o *advise.Observation) { o.Host = host })
	}
	target := func(path, query string) advise.Observation {
		return with(func(o *advise.Observation) { o.Path, o.Query = path, query })
	}
	for name, c := range map[string]struct {
		line string
		want advise.Observation
	}{
		"common":                {start + request, plain},
		"combined":              {start + request + ` "https://example.com/" "Mozilla/5.0"`, plain},
		"nothing known":         {start + request + ` "-" "-"`, plain},
		"IPv6":                  {`2001:db8::1 - - [30/Nov/2026:11:00:05 +0100] ` + request + ` "-" "x"`, plain},
		"user":                  {`192.0.2.1 - mary [30/Nov/2026:11:00:05 +0100] ` + request, plain},
		"user with spaces":      {`192.0.2.1 - mary ann [x] [30/Nov/2026:11:00:05 +0100] ` + request, plain},
		"ISO 8601":              {`192.0.2.1 - - [2026-11-30T11:00:05+01:00] ` + request, plain},
		"milliseconds":          {`192.0.2.1 - - [30/Nov/2026:11:00:05.250 +0100] ` + request, with(func(o *advise.Observation) { o.Step, o.Begun = 0, begun.Add(250*time.Millisecond) })},
		"forwarded first":       {`203.0.113.1, 10.0.0.1 - - [30/Nov/2026:11:00:05 +0100] ` + request, plain},
		"host and port":         {`Example.com:443 ` + start + request, onHost("example.com")},
		"host without port":     {`example.com ` + start + request, onHost("example.com")},
		"host, client by name":  {`example.com:80 client.example.net - - [30/Nov/2026:11:00:05 +0100] ` + request, onHost("example.com")},
		"host is IPv6":          {`[::1]:8080 ` + start + request, onHost("::1")},
		"no host":               {`_ ` + start + request, plain},
		"nginx request_time":    {start + request + ` "-" "x" 2.125`, ended(2125 * time.Millisecond)},
		"nginx named":           {start + request + ` "-" "x" rt=2.125 uct="0.001" uht="9.000"`, ended(2125 * time.Millisecond)},
		"nginx main, time":      {start + request + ` "-" "x" "203.0.113.9, 10.0.0.1" 2.125 1.000`, ended(2125 * time.Millisecond)},
		"nginx length, time":    {start + request + ` "-" "x" 512 2.125`, ended(2125 * time.Millisecond)},
		"Apache %D":             {start + request + ` "-" "x" 2125000`, took(2125 * time.Millisecond)},
		"Apache %D, common":     {start + request + ` 2125000`, took(2125 * time.Millisecond)},
		"Apache %I %O":          {start + request + ` "-" "x" 300 400`, plain},
		"Traefik":               {start + request + ` "-" "x" 7 "router@file" "http://10.0.0.2:80" 2125ms`, took(2125 * time.Millisecond)},
		"time out of range":     {start + request + ` "-" "x" 99999999999999999999.5`, ended(0)},
		"escaped quotes":        {start + request + ` "\"a\" \\" "a \"browser\" \\"`, plain},
		"nginx's escapes":       {start + request + ` "\x22" "\x22\x5C"`, plain},
		"escape in target":      {start + `"GET /\x22\xC3\xA9?q=\"\\ HTTP/1.1" 200 12`, target(`/"é`, `q="\`)},
		"space in target":       {start + `"GET /a b?c d HTTP/1.1" 200 12`, target("/a b", "c d")},
		"HTTP/0.9":              {start + `"GET /" 200 12`, target("/", "")},
		"two question marks":    {start + `"GET /a?b?c HTTP/1.1" 200 12`, target("/a", "b?c")},
		"fragment":              {start + `"GET /a?b#c HTTP/1.1" 200 12`, target("/a", "b")},
		"whole URL":             {start + `"GET http://Example.com:80/a?b HTTP/1.1" 200 12`, with(func(o *advise.Observation) { o.Host, o.Path, o.Query = "example.com", "/a", "b" })},
		"whole URL, no path":    {start + `"GET http://example.com?b HTTP/1.1" 200 12`, with(func(o *advise.Observation) { o.Host, o.Path, o.Query = "example.com", "/", "b" })},
		"size not known":        {start + `"GET /news?since=1&x=%20 HTTP/1.1" 200 -`, with(func(o *advise.Observation) { o.Sent = 0 })},
		"client has gone":       {start + `"POST /news HTTP/2.0" 499 0 "-" "x"`, with(func(o *advise.Observation) { o.Method, o.Query, o.Status, o.Sent = "POST", "", 499, 0 })},
		"status not known":      {start + `"GET /news?since=1&x=%20 HTTP/1.1" - 12`, with(func(o *advise.Observation) { o.Status = 0 })},
		"unended column":        {start + request + ` "-" "x" "un`, plain},
		"column after the time": {start + request + ` "-" "x" 2.125 "more" - 7`, ended(2125 * time.Millisecond)},
	} {
		t.Run(name, func(t *testing.T) {
			observations, skipped := readAll(t, c.line+"\n")
			if len(observations) != 1 || len(skipped) != 0 {
				t.Fatalf("%d observations, skipped %v", len(observations), skipped)
			}
			if observations[0].Client == "" {
				t.Error("there is no client")
			}
			observations[0].Client = ""
			equal(t, observations[0], c.want)
		})
	}
}

func TestReadSkipsLinesThatAreNoRequest(t *testing.T) {
	const start = `192.0.2.1 - - [30/Nov/2026:11:00:05 +0100] `
	for line, want := range map[string]Why{
		start + `"-" 408 0 "-" "-"`:                                     NotRequest,
		start + `"" 400 0 "-" "-"`:                                      NotRequest,
		start + `"\x16\x03\x01\x02" 400 166 "-" "-"`:                    NotRequest,
		start + `"GET \xff\xfe HTTP/1.1" 400 166 "-" "-"`:               NotRequest,
		start + `"GET /\xff\xfe HTTP/1.1" 400 166 "-" "-"`:              NotRequest,
		start + `"GET / HTTP/1.1" 200`:                                  Unknown,
		start + `"GET / HTTP/1.1`:                                       Unknown,
		start + `"GET / HTTP/1.1\`:                                      Unknown,
		start + `"GET / HTTP/1.1" abc 12`:                               Unknown,
		start + `"GET / HTTP/1.1" 200 -5`:                               Unknown,
		start + `"GET / HTTP/1.1" 200 5 "cut`:                           Unknown,
		start + `GET / 200 5`:                                           Unknown,
		start:                                                           Unknown,
		`[30/Nov/2026:11:00:05 +0100] "GET / HTTP/1.1" 200 5`:           Unknown,
		`192.0.2.1 - - [31/Feb/2026:11:00:05 +0100] "GET / HTTP" 200 5`: Unknown,
		`192.0.2.1 - - [30/Nov/2026`:                                    Unknown,
	} {
		observations, skipped := readAll(t, line+"\n"+`192.0.2.1 - - [30/Nov/2026:11:00:05 +0100] "GET / HTTP/1.1" 200 5`+"\n")
		if len(observations) != 1 || len(skipped) != 1 || skipped[0] != (Skipped{1, want}) {
			t.Errorf("%s: %d observations, skipped %v", line, len(observations), skipped)
		}
	}
}

func TestReadTellsCombinedClientsApart(t *testing.T) {
	const rest = `[30/Nov/2026:11:00:05 +0100] "GET / HTTP/1.1" 200 5 "-" `
	lines := []string{
		`192.0.2.1 - - ` + rest + `"a"`,
		`192.0.2.2 - - ` + rest + `"a"`,
		`192.0.2.1 - mary ` + rest + `"a"`,
		`192.0.2.1 - - ` + rest + `"b"`,
		`192.0.2.1 - - ` + rest + `"a" "203.0.113.9"`,
		`192.0.2.1 - - ` + rest + `"a" "203.0.113.8"`,
	}
	observations, _ := readAll(t, strings.Join(append(lines, lines...), "\n"))
	clients := make(map[string]int)
	for _, o := range observations {
		clients[o.Client]++
		if strings.ContainsAny(o.Client, ". ") {
			t.Errorf("the client is %q", o.Client)
		}
	}
	if len(clients) != len(lines) {
		t.Errorf("%d clients, want %d", len(clients), len(lines))
	}
}
