package traffic

import (
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/advise/redact"
)

// TestReadTakesHARsOfBrowsers has what the browsers write differently.
func TestReadTakesHARsOfBrowsers(t *testing.T) {
	const unknown = "?" // the body
	for name, c := range map[string]struct {
		replacements []string
		body         string
		why          Why
	}{
		"as it is":              {nil, "[]", ""},
		"Firefox, cached":       {[]string{`"cache":{}`, `"cache":{"afterRequest":{"lastAccess":"x"}}`}, "", FromCache},
		"Chromium, not Firefox": {[]string{`"cache":{}`, `"cache":{"afterRequest":{"lastAccess":"x"}}`, "Firefox", "WebInspector"}, "[]", ""},
		"Chromium, cached":      {[]string{`"cache":{}`, `"cache":{},"_fromCache":"disk"`}, "", FromCache},
		"Chromium, blocked":     {[]string{`"bodySize"`, `"_error":"net::ERR_BLOCKED_BY_CLIENT","bodySize"`}, "", NotSent},
		"Chromium, aborted":     {[]string{`"bodySize"`, `"_error":"net::ERR_ABORTED","bodySize"`}, unknown, ""},
		"Chromium, no error":    {[]string{`"bodySize"`, `"_error":null,"bodySize"`}, "[]", ""},
		"Chromium, worker":      {[]string{`"cache":{}`, `"cache":{},"_fetchedViaServiceWorker":true`}, "", FromWorker},
		"Safari, cached":        {[]string{`"cache":{}`, `"cache":{},"_fetchType":"Memory Cache"`}, "", FromCache},
		"Safari, worker":        {[]string{`"cache":{}`, `"cache":{},"_fetchType":"Service Worker"`}, "", FromWorker},
		"Safari, network":       {[]string{`"cache":{}`, `"cache":{},"_fetchType":"Network Load"`}, "[]", ""},
		"content left out":      {[]string{`"text":"W10=","encoding":"base64"`, `"mimeType":"application/json"`}, unknown, ""},
		"body dropped":          {[]string{`"size":2,"text":"W10=","encoding":"base64"`, `"size":0`}, unknown, ""},
		"empty":                 {[]string{`"size":2,"text":"W10=","encoding":"base64"`, `"size":0`, `"bodySize":9`, `"bodySize":5`}, "", ""},
		"declared empty":        {[]string{`content-type","value":"application/json`, `content-length","value":"0`, `"bodySize"`, `"_error":"net::ERR_ABORTED","bodySize"`}, "", ""},
		"not modified":          {[]string{`"status":200`, `"status":304`}, "", ""},
		"no answer":             {[]string{`"status":200`, `"status":0`}, unknown, ""},
		"another coding":        {[]string{`"base64"`, `"rot13"`}, unknown, ""},
		"base64 is wrong":       {[]string{`W10=`, `W1`}, unknown, ""},
		"extension":             {[]string{"https://", "chrome-extension://"}, "", NotHTTP},
		"data":                  {[]string{"https://example.com:443/rpc?a=1#b", "data:text/plain,a"}, "", NotHTTP},
		"no time":               {[]string{"2026-11-30T10:00:05.250Z", "soon"}, "", Unknown},
		"the year 1":            {[]string{"2026", "0001"}, "", WrongTime},
		"pseudo fields":         {[]string{`{"name":"cookie"`, `{"name":":method","value":"POST"},{"name":":path","value":"/"},{"name":"cookie"`}, "[]", ""},
		"pages":                 {[]string{`{"id":"a"}`, `{"id":"a"},{"id":"b","title":"two"}`}, "[]", ""},
		"negative times":        {[]string{`"dns":2`, `"dns":-1`, `"time":20`, `"time":-5`}, "[]", ""},
		"types are wrong":       {[]string{`"time":20`, `"time":"20"`, `"timings":{`, `"timings":[],"other":{`}, "[]", ""},
	} {
		t.Run(name, func(t *testing.T) {
			file := strings.NewReplacer(c.replacements...).Replace(harText)
			var skipped []Skipped
			read := 0
			for o, err := range New().Read(strings.NewReader(file), func(s Skipped) { skipped = append(skipped, s) }) {
				if err != nil {
					if c.why == "" || !strings.Contains(err.Error(), string(c.why)) {
						t.Error(err)
					}
					continue
				}
				read++
				body := string(o.Text)
				if o.Length < 0 {
					body = unknown
				}
				if body != c.body || o.Method != "POST" || o.Logged || o.Took < 0 || len(o.Request) != 1 {
					t.Errorf("read %+v, want the body %q", o, c.body)
				}
			}
			if c.why != "" && (read != 0 || len(skipped) != 1 || skipped[0] != (Skipped{1, c.why})) || c.why == "" && (read != 1 || len(skipped) != 0) {
				t.Errorf("%d observations, skipped %v", read, skipped)
			}
		})
	}
}

func TestReadTakesParametersOfForms(t *testing.T) {
	for body, want := range map[string]string{
		`"params":[{"name":"to","value":"a b"},{"name":"x","value":"&"}]`: "to=a+b&x=%26",
		`"text":"to=a","params":[{"name":"to","value":"a"}]`:              "to=a",
		`"text":"","params":[]`:                           "",
		`"text":"` + strings.Repeat("x", MaxBody+1) + `"`: "",
	} {
		observations, _ := readAll(t, strings.Replace(harText, `"text":"{}"`, body, 1))
		if got := string(observations[0].Body); got != want {
			t.Errorf("%.60s gives %q, want %q", body, got, want)
		}
	}
}

func TestReadTakesCookiesThatChromiumHasNotSavedForUnknown(t *testing.T) {
	const cookie, answer = `{"name":"cookie","value":"id=topsecret"}`, `{"name":"content-type"`
	const setCookie = `{"name":"set-cookie","value":"id=topsecret"},` + answer
	for name, c := range map[string]struct {
		replacements []string
		unknown      bool
	}{
		"none":                {[]string{"Firefox", "WebInspector", cookie, ""}, true},
		"none in Firefox":     {[]string{cookie, ""}, false},
		"cookie":              {[]string{"Firefox", "WebInspector"}, false},
		"Set-Cookie":          {[]string{"Firefox", "WebInspector", cookie, "", answer, setCookie}, false},
		"Authorization":       {[]string{"Firefox", "WebInspector", "cookie", "authorization"}, false},
		"X-Api-Key":           {[]string{"Firefox", "WebInspector", "cookie", "x-api-key"}, true},
		"Set-Cookie, Firefox": {[]string{cookie, "", answer, setCookie}, false},
	} {
		observations, _ := readAll(t, strings.NewReplacer(c.replacements...).Replace(harText))
		if got := observations[0].Request.Get("Cookie") == redact.Unknown; got != c.unknown {
			t.Errorf("%s: read %+v", name, observations[0])
		}
	}
}
