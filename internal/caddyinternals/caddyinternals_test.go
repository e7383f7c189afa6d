package caddyinternals_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/caddyinternals"
	"github.com/caddy-parker/parker/internal/caddytest"
	"github.com/caddy-parker/parker/internal/caddytest/inprocess"
)

// prepare makes a request as Caddy's server hands it to its routes.
func prepare() (*http.Request, *caddy.Replacer) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	replacer := caddyhttp.NewTestReplacer(r)
	return caddyhttp.PrepareRequest(r, replacer, httptest.NewRecorder(), new(caddyhttp.Server)), replacer
}

func TestRouteGroupsReturnsThoseARequestHasBeenThrough(t *testing.T) {
	r, _ := prepare()
	routes := caddyhttp.RouteList{{Group: "first"}, {Group: "second"}}
	if err := routes.Compile(caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })).ServeHTTP(httptest.NewRecorder(), r); err != nil {
		t.Fatal(err)
	}
	groups := caddyinternals.RouteGroups(r.Context())
	for _, name := range []string{"first", "second"} {
		if _, ok := groups[name]; !ok {
			t.Errorf("group %q is missing in %v", name, groups)
		}
	}
}

func TestPlaceholdersYieldsThoseThatHandlersHaveSet(t *testing.T) {
	_, replacer := prepare()
	replacer.Set("user", "a")
	found := make(map[string]any)
	caddyinternals.Placeholders(replacer, func(name string, value any) { found[name] = value })
	if len(found) != 1 || found["user"] != "a" {
		t.Errorf("found %v", found)
	}
}

// witness is a directive that notes what is to be seen inside of Caddy.
type witness struct{}

var (
	block *caddyfile.ServerBlock // in which the directive stands
	seen  = make(chan sight, 1)
)

// sight is what came of the routes behind the directive.
type sight struct {
	status              int
	canceled, unhandled bool
}

func (*witness) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.parker_witness", New: func() caddy.Module { return new(witness) }}
}

func (*witness) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	recorder := caddyhttp.NewResponseRecorder(w, nil, nil)
	err := next.ServeHTTP(recorder, r)
	seen <- sight{recorder.Status(), caddyinternals.Canceled(recorder.Status(), recorder.Header()), caddyinternals.Unhandled(r.Context())}
	return err
}

func init() {
	caddy.RegisterModule(new(witness))
	httpcaddyfile.RegisterHandlerDirective("parker_witness", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		block, _ = caddyinternals.SiteBlock(h)
		return new(witness), nil
	})
	httpcaddyfile.RegisterDirectiveOrder("parker_witness", httpcaddyfile.Before, "reverse_proxy")
}

// serve runs Caddy with a witness in front of a backend, and returns the site's address.
func serve(t *testing.T, backend http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(backend)
	t.Cleanup(server.Close)
	site := "http://" + caddytest.FreePorts(t, 1)[0]
	inprocess.Serve(t, "{\n\tadmin off\n}\n"+site+" {\n\tparker_witness\n\treverse_proxy /proxied "+server.Listener.Addr().String()+"\n}\n")
	return site
}

func TestSiteBlockReturnsTheBlockOfADirective(t *testing.T) {
	site := serve(t, func(http.ResponseWriter, *http.Request) {})
	if block == nil || len(block.Keys) != 1 || block.Keys[0].Text != site || len(block.Segments) != 2 {
		t.Errorf("the block is %+v", block)
	}
}

func TestUnhandledReportsTheEndOfTheRoutes(t *testing.T) {
	site := serve(t, func(http.ResponseWriter, *http.Request) {})
	for path, unhandled := range map[string]bool{"/": true, "/proxied": false} {
		caddytest.Do(t.Context(), http.MethodGet, site+path, "")
		if s := <-seen; s.unhandled != unhandled {
			t.Errorf("%s: %+v", path, s)
		}
	}
}

func TestCanceledKnowsTheAnswerOfReverseProxy(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	site := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "" {
			w.WriteHeader(caddyinternals.StatusClientClosed)
			return
		}
		leave()
		<-r.Context().Done()
	})
	caddytest.Do(t.Context(), http.MethodGet, site+"/proxied", "")
	if s := <-seen; s.status != caddyinternals.StatusClientClosed || s.canceled {
		t.Errorf("the backend's own answer is taken for %+v", s)
	}
	caddytest.Do(ctx, http.MethodGet, site+"/proxied?leave", "")
	if s := <-seen; !s.canceled {
		t.Errorf("the answer to a canceled request is taken for %+v", s)
	}
}
