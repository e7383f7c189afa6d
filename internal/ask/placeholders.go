package ask

import (
	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-parker/parker/internal/caddyinternals"
)

// placeholdersOf adds the placeholders that handlers have set for a request.
func placeholdersOf(replacer *caddy.Replacer, all []variable) []variable {
	caddyinternals.Placeholders(replacer, func(name string, value any) {
		all = append(all, variable{name, value})
	})
	return all
}

// restorePlaceholders has only those placeholders set that were before the first ask:
// what the last one set is of another answer.
func (q *Request) restorePlaceholders(replacer *caddy.Replacer) {
	for _, set := range placeholdersOf(replacer, nil) {
		replacer.Delete(set.name)
	}
	for _, p := range q.placeholders {
		replacer.Set(p.name, p.value)
	}
}
