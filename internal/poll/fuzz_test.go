package poll

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/caddy-parker/parker/brokers"
)

// FuzzResumeOf checks that only a whole position counts as one, that the field
// comes before the query, and that nobody gets a batch who did not ask for it.
func FuzzResumeOf(f *testing.F) {
	f.Add("parker.EPOCH-7", "last_event_id=parker.EPOCH-8&batch=true", "application/json")
	f.Add("", "last_event_id=parker.EPOCH-18446744073709551615", "*/*")
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
		resume := ResumeOf(r)
		if resume.Position != (brokers.Position{}) && !resume.Given {
			t.Fatalf("%q, %q: a position that was not given", id, rawQuery)
		}
		named := id
		if named == "" {
			named = r.URL.Query().Get("last_event_id")
		}
		position, err := brokers.ParsePosition(named)
		if err == nil && resume.Given && resume.Position != position {
			t.Fatalf("%q, %q: the position is %v", id, rawQuery, resume.Position)
		}
		if err != nil && resume.Position != (brokers.Position{}) || id != "" && !resume.Given {
			t.Fatalf("%q, %q: %+v", id, rawQuery, resume)
		}
		if resume.Batch && (r.URL.Query().Get("batch") != "true" || accept == "") {
			t.Fatalf("%q, %q: a batch that nobody asked for", rawQuery, accept)
		}
	})
}
