package asker

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/ask"
	"github.com/caddy-parker/parker/internal/coalesce"
	"github.com/caddy-parker/parker/internal/lot"
	"github.com/caddy-parker/parker/internal/nothingnew"
	"github.com/caddy-parker/parker/internal/parking"
)

type uncounted struct{}

func (uncounted) Inc() {}
func (uncounted) Dec() {}

func TestAskerEnterLeavesRequestThatCanBeDiscarded(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/news", nil)
	r.Header.Set("User-Agent", "Browser")
	ctx := context.WithValue(r.Context(), caddyhttp.OriginalRequestCtxKey, *r)
	ctx = context.WithValue(ctx, caddyhttp.VarsCtxKey, make(map[string]any))
	r = r.WithContext(context.WithValue(ctx, caddy.ReplacerCtxKey, caddy.NewReplacer()))
	for name, rules := range map[string]*nothingnew.Rules{
		"default rules": nothingnew.Default(),
		"unchanged":     {Unchanged: &nothingnew.Unchanged{Except: []string{"/id"}}},
	} {
		if err := rules.Provision(1000); err != nil {
			t.Fatal(err)
		}
		kept, err := ask.Keep(r, 1000)
		if err != nil {
			t.Fatal(err)
		}
		config := &Config{Rules: rules, Groups: coalesce.New(lot.New(), coalesce.Options{Count: uncounted{}})}
		a := config.New(Exchange{HTTP: r, Request: kept}, time.Time{})
		a.Connect(new(parking.Space), nil)
		a.Enter()
		a.Exit()
		if kept.Discard(); kept.Field("User-Agent") != nil {
			t.Errorf("%s: the map of the header was made, so the request is not reused", name)
		}
	}
}
