package admin

import (
	"encoding/json"
	"net/http"

	"github.com/caddy-parker/parker/internal/advise"
	"github.com/caddy-parker/parker/internal/advise/observe"
)

// Advice says how parker should be configured for the traffic that was seen.
type Advice struct {
	Report    advise.Report `json:"report"`
	Caddyfile string        `json:"caddyfile"`         // empty if there is nothing to hold
	Dropped   int64         `json:"dropped,omitempty"` // requests that came too fast to be looked at
}

var errNotObserved = refuse(http.StatusNotFound, "no site is watched: add parker_observe to a site")

// advice serves what the handlers parker_observe have seen. It does not need the app parker.
func advice(w http.ResponseWriter, r *http.Request) error {
	if err := only(r, http.MethodGet); err != nil {
		return err
	}
	analysis, dropped, ok := observe.Current()
	if !ok {
		return errNotObserved
	}
	report := analysis.Report()
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(Advice{report, advise.Caddyfile(report, advise.Site{}), dropped})
}
