package traffic

import (
	"strings"
	"testing"
)

// harText is a HAR file with one entry.
const harText = `{"log":{"version":"1.2","creator":{"name":"Firefox"},"pages":[{"id":"a"}],"entries":[{"startedDateTime":"2026-11-30T10:00:05.250Z","time":20,` +
	`"timings":{"blocked":-1,"dns":2,"connect":3,"send":0,"wait":15,"receive":0},"cache":{},` +
	`"request":{"method":"POST","url":"https://example.com:443/rpc?a=1#b","headers":[{"name":"cookie","value":"id=topsecret"}],"postData":{"mimeType":"application/json","text":"{}"}},` +
	`"response":{"status":200,"headers":[{"name":"content-type","value":"application/json"}],"bodySize":9,"content":{"size":2,"text":"W10=","encoding":"base64"}}}]}}`

// readsAny checks that any file is read to its end, in bounded memory and without a panic.
func readsAny(f *testing.F, seeds ...string) {
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, file string) {
		failed := false
		for o, err := range New().Read(strings.NewReader(file), func(Skipped) {}) {
			if failed {
				t.Fatal("the error is not the last")
			}
			if failed = err != nil; failed {
				continue
			}
			if o.Method == "" || o.Path == "" || o.Client == "" || o.Took < 0 || (o.Length < 0) != (o.Sum == "") || len(o.Text) > MaxBody ||
				o.Begun.Year() < 1989 || o.Begun.Year() > 2201 || o.Status < 0 || o.Status > 999 || o.Sent < 0 {
				t.Errorf("read %+v", o)
			}
		}
	})
}

func FuzzReadCombined(f *testing.F) {
	readsAny(f, line(1, "/news?since=1", ""), line(1, `/\x22\"`, ` "192.0.2.1" rt=0.125`), "[::1]:80 "+line(1, "/", " 12 13"),
		"203.0.113.1, 10.0.0.1 - mary ann [2026-11-30T11:00:05+01:00] \"GET http://a:80/\\xC3?b#c HTTP/2.0\" - - 1.5 \"-\" \"\\\\\" \"1.1.1.1\"\r\n\x00",
		line(1, "/", "")+strings.TrimSuffix(line(2, "http://a:b@c:80/", ""), "\"\n"), "10.0.0.9 - - [30/Nov/2026:10:00:05 +0000] \"GET /a HTTP/1.1\" 200 2 \"-\" \"-\" 7 \"router@file\" \"http://10.0.0.2:80\" 2125ms\n",
		string(zipped(f, line(1, "/", "")))+string(zipped(f, line(2, "/", ""))))
}

func FuzzReadCaddy(f *testing.F) {
	readsAny(f, caddyLine(), "2026/11/30 10:00:05\tINFO\thttp.log.access\thandled request\t"+caddyLine(),
		"web caddy[1]: "+caddyLine("1796032805.25", `"9999/11/30 10:00:05.5"`), caddyLine("1.25,", `"-1h",`, `["REDACTED"]`, "3")[:400],
		caddyLine(`"ts":1796032805.25`, `"@timestamp":"2026-11-30T11:00:05+01:00"`, "1.25,", "3,")+"\n"+caddyLine("1.25,", "25000,"))
}

func FuzzReadHAR(f *testing.F) {
	readsAny(f, harText, harText[:400], strings.NewReplacer("Firefox", "WebInspector", `"cookie"`, `"accept"`, `"text":"{}"`, `"params":[{"name":"a","value":"b"}]`, `"base64"`, `""`).Replace(harText))
}

func BenchmarkRead(b *testing.B) {
	for name, text := range map[string]string{
		"combined": strings.Repeat(line(1, "/news?since=1", " 0.125"), 10_000),
		"caddy":    strings.Repeat(caddyLine()+"\n", 10_000),
		"har":      strings.Replace(harText, `"entries":[`, `"entries":[`+strings.Repeat(harText[strings.Index(harText, `{"started`):len(harText)-3]+",", 10_000), 1),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				readFrom(b, strings.NewReader(text))
			}
		})
	}
}

func TestReadTakesHAR(t *testing.T) {
	observations, _ := readAll(t, harText)
	o := observations[0]
	if o.Host != "example.com" || o.Path != "/rpc" || o.Query != "a=1" || string(o.Body) != "{}" || string(o.Text) != "[]" || o.Length != 2 || o.Sum == "" ||
		o.Begun.UnixMilli()%1000 != 255 || o.Took.Milliseconds() != 15 || o.Answer.Get("Content-Type") != "application/json" || strings.Contains(indented(t, o), "topsecret") {
		t.Errorf("read %+v", o)
	}
}
