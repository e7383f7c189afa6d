package answer

import (
	"net/http"
	"slices"
	"testing"
)

// Requests share the lines of a kept answer, so they must not be changed.
func TestVaryByAcceptChangesNoSharedLines(t *testing.T) {
	shared := make([]string, 1, 5)
	shared[0] = "Origin"
	first, second := http.Header{"Vary": shared}, http.Header{"Vary": shared}
	VaryByAccept(first)
	second["Vary"] = append(second["Vary"], "Cookie")
	if got := first["Vary"]; !slices.Equal(got, []string{"Origin", "Accept"}) {
		t.Errorf("it varies by %q", got)
	}
	VaryByAccept(first)
	if got := first["Vary"]; len(got) != 2 {
		t.Errorf("said twice: %q", got)
	}
}
