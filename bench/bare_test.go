package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(bare{})
	httpcaddyfile.RegisterHandlerDirective("bare", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return bare{}, nil
	})
	httpcaddyfile.RegisterDirectiveOrder("bare", httpcaddyfile.Before, "respond")
}

// bare holds a request as simply as it can be done: it asks the backend, and waits
// until the client leaves. With the query held it tells how many it holds.
type bare struct{}

var bareHolds atomic.Int64

func (bare) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.bare", New: func() caddy.Module { return new(bare) }}
}

func (bare) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if r.URL.RawQuery == "held" {
		_, err := fmt.Fprint(w, bareHolds.Load())
		return err
	}
	kept := caddyhttp.NewResponseRecorder(w, new(bytes.Buffer), func(int, http.Header) bool { return true })
	if err := next.ServeHTTP(kept, r); err != nil {
		return err
	}
	bareHolds.Add(1)
	defer bareHolds.Add(-1)
	<-r.Context().Done()
	return nil
}

// heldBare asks a Caddy how many requests are held there.
func heldBare(ctx context.Context, site string) (n int, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+site+"/messages?held", nil)
	if err != nil {
		return 0, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, err = fmt.Fscan(answer.Body, &n)
	return n, err
}
