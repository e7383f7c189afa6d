package ask

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/requestbody"
)

// routeGroup is the key of the set that Caddy puts into a request's context.
const routeGroup caddy.CtxKey = "route_group"

func TestRequestIsTheSameAtEachSend(t *testing.T) {
	vars, groups := map[string]any{"root": "/srv"}, map[string]struct{}{"before": {}}
	ctx := context.WithValue(t.Context(), caddyhttp.VarsCtxKey, vars)
	ctx = context.WithValue(ctx, routeGroup, groups)
	r := httptest.NewRequest(http.MethodPost, "/a/b?c=d", strings.NewReader("body")).WithContext(ctx)
	r.Header.Set("X-Client", "yes")
	q, err := Keep(r, 100)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		q.Send(r.Context(), httptest.NewRecorder(), route(func(_ http.ResponseWriter, seen *http.Request) error {
			body, _ := io.ReadAll(seen.Body)
			vars, groups := routeState(seen.Context())
			if seen != r || seen.Method != http.MethodPost || seen.URL.String() != "/a/b?c=d" || seen.RequestURI != "/a/b?c=d" || seen.Host != "example.com" ||
				string(body) != "body" || len(seen.Header) != 1 || len(vars) != 1 || len(groups) != 1 {
				t.Errorf("saw %s %s %s %q %v %v %v", seen.Method, seen.URL, seen.RequestURI, body, seen.Header, vars, groups)
			}
			seen.Method, seen.RequestURI, seen.Host = http.MethodGet, "/rewritten", "elsewhere"
			seen.URL.Path, seen.URL.RawQuery = "/rewritten", ""
			seen.Header.Set("X-Added", "yes")
			seen.Header["X-Client"][0] = "no"
			vars["added"], groups["group0"] = true, struct{}{}
			return nil
		}), walk{keep: always})
		if vars, _ := routeState(r.Context()); vars["added"] != true || r.Context().Err() != nil {
			t.Errorf("the request was left with the variables %v and a context that ended with %v", vars, r.Context().Err())
		}
	}
	q.Restore()
	if vars, _ := routeState(r.Context()); len(vars) != 1 {
		t.Errorf("restored to the variables %v", vars)
	}
	if r.URL.Path != "/a/b" || r.Header.Get("X-Added") != "" || r.Header.Get("X-Client") != "yes" {
		t.Errorf("restored to %s %v", r.URL, r.Header)
	}
}

// A connection to the backend may still be opened for an ask that has ended.
func TestRequestKeepsVariablesForEarlierSend(t *testing.T) {
	ctx := context.WithValue(t.Context(), caddyhttp.VarsCtxKey, map[string]any{"walk": 0})
	q, err := Keep(httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx), 100)
	if err != nil {
		t.Fatal(err)
	}
	var walks []context.Context
	for i := range 3 {
		q.Send(ctx, httptest.NewRecorder(), route(func(_ http.ResponseWriter, r *http.Request) error {
			caddyhttp.SetVar(r.Context(), "walk", i+1)
			walks = append(walks, r.Context())
			return nil
		}), walk{keep: always})
	}
	q.Restore()
	for i, ctx := range walks {
		if number := caddyhttp.GetVar(ctx, "walk"); number != i+1 {
			t.Errorf("of walk %d, the variable is %v", i+1, number)
		}
	}
}

func TestKeepLeavesBodyThatIsTooLong(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("0123456789"))
	if _, err := Keep(r, 9); !errors.Is(err, requestbody.ErrTooLong) {
		t.Errorf("Keep: %v", err)
	}
	if body, err := io.ReadAll(r.Body); string(body) != "0123456789" || err != nil {
		t.Errorf("the body is %q, %v", body, err)
	}
}

// The next request in the same memory is that of another client.
func TestRequestDiscardClearsAll(t *testing.T) {
	for range 100 { // which memory is used again is random
		ctx := context.WithValue(t.Context(), caddyhttp.VarsCtxKey, map[string]any{"user": "alice"})
		ctx = context.WithValue(ctx, routeGroup, map[string]struct{}{"hers": {}})
		r := httptest.NewRequest(http.MethodPost, "/hers?a=b", strings.NewReader("secret")).WithContext(ctx)
		r.Header.Set("Cookie", "session=alice")
		r.Header.Set("Accept-Language", "de")
		q, err := Keep(r, 100)
		if err != nil {
			t.Fatal(err)
		}
		language := q.Field("Accept-Language") // as a shared answer's Vary keeps it
		q.Send(ctx, httptest.NewRecorder(), route(func(http.ResponseWriter, *http.Request) error { return nil }), walk{keep: always})
		q.Finish()
		q.Discard()

		other := httptest.NewRequest(http.MethodGet, "/other", nil).WithContext(context.WithValue(t.Context(), caddyhttp.VarsCtxKey, map[string]any{}))
		other.Header.Set("Accept", "text/plain")
		q, err = Keep(other, 100)
		if err != nil {
			t.Fatal(err)
		}
		q.Restore()
		vars, groups := routeState(other.Context())
		if len(other.Header) != 1 || q.Field("Cookie") != nil || q.Body() != nil || len(vars) != 0 || len(groups) != 0 || other.URL.String() != "/other" || other.Method != http.MethodGet {
			t.Fatalf("another's request is restored to %s %s %v with %q, %v, %v", other.Method, other.URL, other.Header, q.Body(), vars, groups)
		}
		if !slices.Equal(language, []string{"de"}) {
			t.Fatalf("what was read of the request became %q", language)
		}
	}
}

func TestRequestDiscardKeepsRequestSentAgain(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Cookie", "a=1")
	q, err := Keep(r, 100)
	if err != nil {
		t.Fatal(err)
	}
	header := q.Header() // as an answer that is shared may hold parts of it
	q.Discard()
	if q.request != r || header.Get("Cookie") != "a=1" {
		t.Error("its memory is used again")
	}
}
