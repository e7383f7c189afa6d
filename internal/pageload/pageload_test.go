package pageload

import (
	"net/http"
	"testing"
)

func TestMustValidateReplacesLifetimes(t *testing.T) {
	for _, test := range []struct{ before, after http.Header }{
		{http.Header{"Etag": {`"1"`}}, http.Header{"Etag": {`"1"`}}},
		{http.Header{"Last-Modified": {"Mon, 30 Nov 2026 10:00:00 GMT"}}, http.Header{"Last-Modified": {"Mon, 30 Nov 2026 10:00:00 GMT"}, "Cache-Control": {"no-cache"}}},
		{http.Header{"Expires": {"Mon, 30 Nov 2026 10:00:00 GMT"}}, http.Header{"Cache-Control": {"no-cache"}}},
		{http.Header{"Cache-Control": {"public, Max-Age=600", "s-maxage=60, must-revalidate"}}, http.Header{"Cache-Control": {"no-cache, public, must-revalidate"}}},
		{http.Header{"Cache-Control": {"private, immutable, no-transform"}}, http.Header{"Cache-Control": {"no-cache, private, no-transform"}}},
		{http.Header{"Cache-Control": {`private="Set-Cookie", max-age=5`}}, http.Header{"Cache-Control": {"no-cache, private"}}},
		{http.Header{"Cache-Control": {"no-store, max-age=600"}, "Expires": {"0"}}, http.Header{"Cache-Control": {"no-store, max-age=600"}, "Expires": {"0"}}},
		{http.Header{"Cache-Control": {"No-Cache"}}, http.Header{"Cache-Control": {"No-Cache"}}},
		{http.Header{"Cache-Control": {"private"}}, http.Header{"Cache-Control": {"private"}}},
	} {
		header := test.before.Clone()
		mustValidate(http.StatusOK, header)
		for name := range test.after {
			if header.Get(name) != test.after.Get(name) {
				t.Errorf("%v became %v", test.before, header)
			}
		}
		if len(header) != len(test.after) {
			t.Errorf("%v became %v", test.before, header)
		}
	}
}

// The browser may have stored the document when nothing made it need validation.
func TestMustValidateReplacesLifetimeOfStoredDocument(t *testing.T) {
	header := http.Header{"Etag": {`"1"`}}
	if mustValidate(http.StatusNotModified, header); header.Get("Cache-Control") != "no-cache" {
		t.Errorf("the 304 became %v", header)
	}
}
