package field

import (
	"maps"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// ownFields is the name of the variable that holds what [HideOwn] has removed.
const ownFields = "parker.fields"

// HideOwn removes the header fields that begin with Parker- from a request. Otherwise a
// backend that copies fields of the request into its answer would let clients publish.
func HideOwn(r *http.Request) {
	var own http.Header
	for name, values := range r.Header {
		if strings.HasPrefix(name, "Parker-") {
			if own == nil {
				own = make(http.Header)
			}
			own[name] = values
			delete(r.Header, name)
		}
	}
	if own != nil {
		caddyhttp.SetVar(r.Context(), ownFields, own)
	}
}

// RestoreOwn undoes HideOwn, for a handler that reads these fields itself.
func RestoreOwn(r *http.Request) {
	if own, ok := caddyhttp.GetVar(r.Context(), ownFields).(http.Header); ok {
		maps.Copy(r.Header, own)
	}
}
