package bench

import (
	"bytes"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func init() {
	caddy.RegisterModule(bare{})
	httpcaddyfile.RegisterHandlerDirective("bare", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return bare{}, nil
	})
}

// bare holds a request as simply as it can be done: it asks the backend, and waits
// until the client leaves.
type bare struct{}

var bareHolds atomic.Int64

func (bare) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.bare", New: func() caddy.Module { return new(bare) }}
}

func (bare) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	kept := caddyhttp.NewResponseRecorder(w, new(bytes.Buffer), func(int, http.Header) bool { return true })
	if err := next.ServeHTTP(kept, r); err != nil {
		return err
	}
	bareHolds.Add(1)
	defer bareHolds.Add(-1)
	<-r.Context().Done()
	return nil
}

func awaitBare(b *testing.B, n int) {
	b.Helper()
	for deadline := time.Now().Add(caddytest.Patience); bareHolds.Load() != int64(n); {
		if time.Now().After(deadline) {
			b.Fatalf("%d are held, not %d", bareHolds.Load(), n)
		}
	}
}
