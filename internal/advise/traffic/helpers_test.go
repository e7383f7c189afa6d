package traffic

import (
	"encoding/json"
	"testing"

	"github.com/caddy-parker/parker/internal/advise"
)

// equal compares observations as JSON, in which a time has no pointer to its zone.
func equal(t *testing.T, got, want advise.Observation) {
	t.Helper()
	if got, want := indented(t, got), indented(t, want); got != want {
		t.Errorf("read %s\nwant %s", got, want)
	}
}

func indented(t *testing.T, o advise.Observation) string {
	t.Helper()
	text, err := json.MarshalIndent(o, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
