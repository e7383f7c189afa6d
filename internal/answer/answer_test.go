package answer

import (
	"net/http"
	"slices"
	"testing"
)

// What was given to one client is shared with others: it stays as it is.
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
