package traffic

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/advise"
)

// caddyLine is an entry of Caddy's access log, with NAME:VALUE for what a test changes.
func caddyLine(replacements ...string) string {
	return strings.NewReplacer(replacements...).Replace(`{"level":"info","ts":1796032805.25,"logger":"http.log.access.log0","msg":"handled request",` +
		`"request":{"remote_ip":"10.0.0.1","remote_port":"4711","client_ip":"192.0.2.1","proto":"HTTP/2.0","method":"GET","host":"Example.com:443","uri":"/news?since=1",` +
		`"headers":{"User-Agent":["Mozilla/5.0"],"Cookie":["REDACTED"],"Accept":["application/json"],"X-Other":["secret"]}},` +
		`"bytes_read":0,"user_id":"","duration":1.25,"size":2,"status":200,"resp_headers":{"Content-Type":["application/json"],"Set-Cookie":["REDACTED"],"Server":["Caddy"]}}`)
}

func TestReadTakesFormatsOfCaddy(t *testing.T) {
	ended := time.Date(2026, 11, 30, 10, 0, 5, 250_000_000, time.UTC)
	plain := advise.Observation{
		Begun: ended.Add(-1250 * time.Millisecond), Took: 1250 * time.Millisecond,
		Host: "example.com", Method: "GET", Path: "/news", Query: "since=1",
		Request: http.Header{"Cookie": {"REDACTED"}, "Accept": {"application/json"}},
		Status:  200, Length: -1, Sent: 2, Logged: true,
		Answer: http.Header{"Content-Type": {"application/json"}, "Set-Cookie": {"REDACTED"}},
	}
	with := func(change func(o *advise.Observation)) advise.Observation {
		o := plain
		change(&o)
		return o
	}
	lasting := func(took time.Duration) advise.Observation {
		return with(func(o *advise.Observation) { o.Took, o.Begun = took, ended.Add(-took) })
	}
	fullSeconds := with(func(o *advise.Observation) { o.Begun, o.Step = o.Begun.Add(-250*time.Millisecond), time.Second })
	const number, duration = `1796032805.25`, `"duration":1.25`
	for name, c := range map[string]struct {
		line string
		want advise.Observation
	}{
		"as it is":             {caddyLine(), plain},
		"default logger":       {caddyLine(".log0", ""), plain},
		"logger left out":      {caddyLine(`"logger":"http.log.access.log0",`, ""), plain},
		"unix_milli_float":     {caddyLine(number, "1796032805250.0"), plain},
		"unix_nano":            {caddyLine(number, "1796032805250000000"), plain},
		"iso8601":              {caddyLine(number, `"2026-11-30T10:00:05.250Z"`), plain},
		"iso8601 with zone":    {caddyLine(number, `"2026-11-30T11:00:05.250+0100"`), plain},
		"rfc3339_nano":         {caddyLine(number, `"2026-11-30T11:00:05.25+01:00"`), plain},
		"wall_milli":           {caddyLine(number, `"2026/11/30 10:00:05.250"`), plain},
		"time_key time":        {caddyLine(`"ts":`, `"time":`), plain},
		"time_key timestamp":   {caddyLine(`"ts":`, `"timestamp":`), plain},
		"time_key @timestamp":  {caddyLine(`"ts":`, `"@timestamp":`), plain},
		"rfc3339":              {caddyLine(number, `"2026-11-30T11:00:05+01:00"`), fullSeconds},
		"wall":                 {caddyLine(number, `"2026/11/30 10:00:05"`), fullSeconds},
		"common_log":           {caddyLine(number, `"30/Nov/2026:10:00:05.250 +0000"`), plain},
		"duration in ns":       {caddyLine(duration, `"duration":1250000000`), plain},
		"duration as text":     {caddyLine(duration, `"duration":"1.25s"`), plain},
		"duration of 0":        {caddyLine(duration, `"duration":0`), lasting(0)},
		"duration is short":    {caddyLine(duration, `"duration":1.25e-05`), lasting(13 * time.Microsecond)},
		"duration is negative": {caddyLine(duration, `"duration":-1`), lasting(0)},
		"duration left out":    {caddyLine(duration, `"other":1`), lasting(0)},
		"console format": {"2026/11/30 10:00:05.250\tINFO\thttp.log.access.log0\thandled request\t" +
			caddyLine(`"level":"info","ts":1796032805.25,"logger":"http.log.access.log0","msg":"handled request",`, ""), plain},
		"filtered": {caddyLine(`["application/json"]`, `"removed"`, `"bytes_read":0`, `"bytes_read":"a"`), with(func(o *advise.Observation) {
			o.Request, o.Answer = http.Header{"Cookie": {"REDACTED"}}, http.Header{"Set-Cookie": {"REDACTED"}}
		})},
		"no answer":  {caddyLine(`"size":2,"status":200`, `"size":0,"status":0`), with(func(o *advise.Observation) { o.Sent, o.Status = 0, 0 })},
		"no size":    {caddyLine(`"size":2`, `"other":2`), with(func(o *advise.Observation) { o.Sent, o.Logged = 0, false })},
		"lower case": {caddyLine("Accept", "accept", "Cookie", "cookie", "Content-Type", "content-type"), plain},
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

func TestReadSkipsEntriesOfCaddyThatAreNoAnswer(t *testing.T) {
	for line, want := range map[string]Why{
		`{"level":"info","ts":1796032805,"msg":"serving initial configuration"}`:      NotAccess,
		caddyLine("http.log.access.log0", "http.log.error"):                           NotAccess,
		caddyLine("http.log.access.log0", "http.handlers.reverse_proxy"):              NotAccess,
		caddyLine("http.log.access.log0", "http.log.accessory"):                       NotAccess,
		caddyLine(`"status":200`, `"other":200`):                                      NotAccess,
		caddyLine(`"request":{`, `"other":{`):                                         NotAccess,
		caddyLine(`"ts":`, `"other":`):                                                Unknown,
		caddyLine(`1796032805.25`, `"yesterday"`):                                     Unknown,
		caddyLine(`1796032805.25`, `1e400`):                                           Unknown,
		caddyLine(`"method":"GET"`, `"method":"G T"`):                                 NotRequest,
		caddyLine(`/news?since=1`, ``):                                                NotRequest,
		caddyLine()[:200]:                                                             Unknown,
		"2026/11/30 10:00:05.250\tINFO\ttls\tcleaned storage\t{\"storage\":\"/tmp\"}": NotAccess,
	} {
		observations, skipped := readAll(t, line+"\n"+caddyLine())
		if len(observations) != 1 || len(skipped) != 1 || skipped[0] != (Skipped{1, want}) {
			t.Errorf("%s: %d observations, skipped %v", line, len(observations), skipped)
		}
	}
}

func TestReadTellsCaddysClientsApart(t *testing.T) {
	lines := []string{
		caddyLine(),
		caddyLine("192.0.2.1", "192.0.2.2"),
		caddyLine("Mozilla/5.0", "curl/8.0"),
		caddyLine(`"Cookie":["REDACTED"]`, `"Cookie":["id=1"]`),
		caddyLine(`"Cookie":["REDACTED"]`, `"Cookie":["id=2"]`),
		caddyLine(`"user_id":""`, `"user_id":"mary"`),
	}
	observations, _ := readAll(t, strings.Join(append(lines, lines...), "\n"))
	clients := make(map[string]bool)
	for _, o := range observations {
		clients[o.Client+strings.Join(o.Request["Cookie"], ";")] = true
	}
	if len(clients) != len(lines) {
		t.Errorf("%d clients, want %d", len(clients), len(lines))
	}
}

func TestReadKeepsNoSecretOfHeaders(t *testing.T) {
	line := caddyLine(`"Cookie":["REDACTED"]`,
		`"Cookie":["id=topsecret; theme=topsecret; topsecret","b=topsecret"],"Authorization":["Bearer topsecret","topsecret"],"X-Csrf-Token":["topsecret"],"Referer":["https://example.com/?topsecret"]`,
		`"Set-Cookie":["REDACTED"]`, `"Set-Cookie":["id=topsecret; Path=/topsecret"],"Location":["/?topsecret"]`, "Mozilla/5.0", "topsecret")
	observations, _ := readAll(t, line)
	o := observations[0]
	if text := indented(t, o); strings.Contains(text, "topsecret") {
		t.Errorf("a secret is kept: %s", text)
	}
	names := func(values []string) (names string) {
		for _, value := range values {
			name, digest, named := strings.Cut(strings.ReplaceAll(value, " ", "="), "=")
			if named && len(digest) == 32 {
				names += name
			}
			names += ";"
		}
		return names
	}
	if got := names(o.Request["Cookie"]) + names(o.Request["Authorization"]) + names(o.Answer["Set-Cookie"]); got != "id;theme;;b;Bearer;;id;" {
		t.Errorf("what is kept of them is %s, in %v and %v", got, o.Request, o.Answer)
	}
}

func TestReadTakesDurationsOfCaddyInMilliseconds(t *testing.T) {
	var log string
	for _, milliseconds := range []string{"2", "25000", "0", "1250"} {
		log += caddyLine(`"duration":1.25`, `"duration":`+milliseconds) + "\n"
	}
	observations, _ := readAll(t, log)
	var took []time.Duration
	for _, o := range observations {
		took = append(took, o.Took)
	}
	slices.Sort(took)
	if want := []time.Duration{0, 2 * time.Millisecond, 1250 * time.Millisecond, 25 * time.Second}; !slices.Equal(took, want) {
		t.Errorf("the answers took %v, want %v", took, want)
	}
}
