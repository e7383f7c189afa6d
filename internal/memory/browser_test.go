package memory

import (
	"net/http"
	"testing"
)

func TestIsPageLoadFollowsWhatBrowsersSend(t *testing.T) {
	for _, test := range []struct {
		name   string
		header http.Header
		load   bool
		visit  bool
	}{
		{"a document", http.Header{"Sec-Fetch-Dest": {"document"}}, true, false},
		{"a frame", http.Header{"Sec-Fetch-Dest": {"iframe"}, "X-Requested-With": {"com.example.app"}}, true, false},
		{"a document over HTTP", http.Header{"Accept": {"text/html,application/xhtml+xml,application/xml;q=0.9"}}, true, false},
		{"a document in a WebView over HTTP", http.Header{"Accept": {"text/html,*/*"}, "X-Requested-With": {"com.example.app"}}, true, false},
		{"a document in an old WebKit", http.Header{"Accept": {"application/xml,application/xhtml+xml,text/html;q=0.9,*/*;q=0.5"}}, true, false},
		{"jQuery's load", http.Header{"Accept": {"text/html, */*; q=0.01"}, "X-Requested-With": {"XMLHttpRequest"}}, false, false},
		{"pjax", http.Header{"Sec-Fetch-Dest": {"empty"}, "Accept": {"text/html"}, "X-Requested-With": {"XMLHttpRequest"}, "X-Pjax": {"true"}}, false, true},
		{"pjax over HTTP", http.Header{"Accept": {"text/html"}, "X-Requested-With": {"XMLHttpRequest"}, "X-Pjax": {"true"}}, false, true},
		{"a link of htmx over HTTP", http.Header{"Accept": {"*/*"}, "Hx-Request": {"true"}, "Hx-Boosted": {"true"}}, false, true},
		{"a poll of htmx", http.Header{"Sec-Fetch-Dest": {"empty"}, "Accept": {"text/html"}, "Hx-Request": {"true"}}, false, false},
		{"fetch", http.Header{"Sec-Fetch-Dest": {"empty"}, "Accept": {"*/*"}}, false, false},
		{"XML over HTTP", http.Header{"Accept": {"application/xml, text/html"}}, false, false},
	} {
		r := &http.Request{Method: http.MethodGet, Header: test.header}
		if IsPageLoad(r) != test.load || IsVisit(r) != test.visit {
			t.Errorf("%s: a page load: %t, a visit: %t", test.name, IsPageLoad(r), IsVisit(r))
		}
	}
}
