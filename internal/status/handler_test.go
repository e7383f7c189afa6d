package status

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func TestHandlerReadsOptions(t *testing.T) {
	var h Handler
	if err := h.UnmarshalCaddyfile(caddyfile.NewTestDispenser("parker_status {\n\ttoken a b\n\ttoken {env.X}\n\tallow 10.0.0.0/8 ::1\n}")); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(h.Tokens, []string{"a", "b", "{env.X}"}) || !slices.Equal(h.Allow, []string{"10.0.0.0/8", "::1"}) {
		t.Errorf("%+v", &h)
	}
	for text, says := range map[string]string{
		"parker_status x":                      "wrong argument count",
		"parker_status {\n\ttoken\n}":          "token: wrong argument count",
		"parker_status {\n\tallow somebody\n}": "allow: ",
		"parker_status {\n\trefresh 1s\n}":     "unrecognized subdirective 'refresh'",
	} {
		if err := new(Handler).UnmarshalCaddyfile(caddyfile.NewTestDispenser(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
