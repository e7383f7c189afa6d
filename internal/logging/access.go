package logging

import (
	"context"
	"maps"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// SkipAccessLog keeps a request out of the access log, as the directive log_skip does. It
// copies the request's variables, because reverse_proxy may still read them while it dials
// for an ask that is over.
func SkipAccessLog(r *http.Request) {
	vars := maps.Clone(r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any))
	vars[caddyhttp.LogSkipVar] = true
	*r = *r.WithContext(context.WithValue(r.Context(), caddyhttp.VarsCtxKey, vars))
}
