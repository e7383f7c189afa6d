package asker

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-parker/parker/internal/ask"
	"github.com/caddy-parker/parker/internal/eventstream"
	"github.com/caddy-parker/parker/internal/field"
)

// revalidate makes the client's browser keep an answer and ask for it again with a condition
// (RFC 9111, section 5.2.2.4), if the operator wants that. A 304 changes the fields of the
// answer that the browser has kept (RFC 9111, section 4.3.4), so it says the same.
func (a *Asker) revalidate(kept *ask.Answer) {
	method := a.HTTP.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request).Method
	if !a.config.Revalidate || method != http.MethodGet || kept.Status != http.StatusOK && kept.Status != http.StatusNotModified || eventstream.Is(kept.Header) {
		return
	}
	control := "private, no-cache"
	if slices.ContainsFunc(field.List(kept.Header["Cache-Control"]), func(directive string) bool { return strings.EqualFold(directive, "no-transform") }) {
		control += ", no-transform"
	}
	kept.Header["Cache-Control"] = []string{control}
	for _, name := range []string{"Pragma", "Expires"} {
		delete(kept.Header, name)
		kept.Removed = append(kept.Removed, name) // handlers further out may have set it
	}
}
