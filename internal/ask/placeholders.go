package ask

import (
	"reflect"

	"github.com/caddyserver/caddy/v2"
)

// placeholdersOf adds the placeholders that handlers have set for a request, as
// forward_auth does with what it was answered. Caddy does not list them, so their names
// are read where it has them; if they are no longer there, none are added.
func placeholdersOf(replacer *caddy.Replacer, all []variable) []variable {
	names := reflect.ValueOf(replacer).Elem().FieldByName("static")
	if names.Kind() != reflect.Map || names.Len() == 0 {
		return all
	}
	for _, name := range names.MapKeys() {
		value, _ := replacer.Get(name.String())
		all = append(all, variable{name.String(), value})
	}
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
