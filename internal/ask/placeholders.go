package ask

import (
	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-parker/parker/internal/caddyinternals"
)

// placeholdersOf appends the placeholders that handlers have set for a request.
func placeholdersOf(replacer *caddy.Replacer, all []variable) []variable {
	caddyinternals.Placeholders(replacer, func(name string, value any) {
		all = append(all, variable{name, value})
	})
	return all
}

// restorePlaceholders removes the placeholders that the last ask has set, because they are
// about another answer, and sets those again that were set before the first ask.
func (q *Request) restorePlaceholders(replacer *caddy.Replacer) {
	for _, set := range placeholdersOf(replacer, nil) {
		replacer.Delete(set.name)
	}
	for _, p := range q.placeholders {
		replacer.Set(p.name, p.value)
	}
}
