package resume

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/brokers"
)

// FuzzOf checks that only a complete position counts as one, that the field comes before
// the query, and that no client gets a batch without asking for it.
func FuzzOf(f *testing.F) {
	f.Add("parker.EPOCH-7", "last_event_id=parker.EPOCH-8&batch=true", "application/json")
	f.Add("", "last_event_id=parker.EPOCH-18446744073709551615", "*/*")
	f.Add("41", "last_event_id=41&lastEventId=parker.EPOCH-9", "*/*")
	f.Add("", "%6Cast_event_id=a-1&last_event_id=b-2;batch=true", "application/json;q=0")
	f.Add("41", "last_event_id=abc-41", "")
	f.Add("-", "batch=true&batch=false", "")
	f.Add("a-\x00", "last_event_id=%00&x=%zz", "text/event-stream")
	f.Fuzz(func(t *testing.T, id, rawQuery, accept string) {
		r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/", RawQuery: rawQuery}, Header: make(http.Header)}
		if id != "" {
			r.Header.Set("Last-Event-ID", id)
		}
		if accept != "" {
			r.Header.Set("Accept", accept)
		}
		resume := Of(r)
		var named []string
		for _, text := range []string{id, r.URL.Query().Get("last_event_id"), r.URL.Query().Get("lastEventId")} {
			if _, err := brokers.ParsePosition(text); err == nil {
				named = append(named, text)
			}
		}
		switch {
		case !resume.Given && resume.Position != (brokers.Position{}):
			t.Fatalf("%q, %q: a position that was not given", id, rawQuery)
		case resume.Given && (len(named) == 0 || resume.Position.String() != named[0]):
			t.Fatalf("%q, %q: the position is %v, want the first of %q", id, rawQuery, resume.Position, named)
		case !resume.Given && len(named) > 0 && (named[0] == id || !strings.Contains(rawQuery, "%")):
			t.Fatalf("%q, %q: the position %s is not known", id, rawQuery, named[0])
		}
		if resume.Batch && (r.URL.Query().Get("batch") != "true" || accept == "") {
			t.Fatalf("%q, %q: a batch that nobody asked for", rawQuery, accept)
		}
	})
}
