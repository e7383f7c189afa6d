package field

import (
	"net/http"
	"strings"
	"testing"
)

// FuzzAccepts checks that a media type is found wherever it stands in the field,
// that its own weight alone rules it out, and that a quoted string hides it.
func FuzzAccepts(f *testing.F) {
	f.Add("text/html, application/json;q=0.5", "a")
	f.Add("text/*, */*;q=0", `b"`)
	f.Add(`a/b;c="d,e\"";q=1`, `\`)
	f.Add(", ;q=0,", "")
	f.Fuzz(func(t *testing.T, others, text string) {
		const mediaType = "text/event-stream"
		if strings.Contains(strings.ToLower(others), mediaType) || strings.Count(others, `"`)+strings.Count(others, `\`) > 0 {
			t.Skip("that one is found first, or a quoted string goes on")
		}
		accepts := func(lines ...string) bool { return Accepts(http.Header{"Accept": lines}, mediaType) }
		if accepts(others) {
			t.Fatalf("%q accepts what it does not name", others)
		}
		for _, lines := range [][]string{
			{others + "," + mediaType},
			{others + ", Text/Event-Stream ;q=0.001"},
			{mediaType + "," + others},
			{others, "\t" + mediaType + ";charset=utf-8"},
		} {
			if !accepts(lines...) {
				t.Fatalf("%q does not accept what it names", lines)
			}
		}
		if accepts(others+", "+mediaType+"; q=0.0", mediaType) {
			t.Fatalf("%q accepts what it rules out", others)
		}
		if Prefers(http.Header{"Accept": {others + ", a/b;q=0.002, " + mediaType + ";q=0.001"}}, mediaType) {
			t.Fatalf("%q prefers what has less weight", others)
		}
		if !Prefers(http.Header{"Accept": {others, mediaType + ";q=1"}}, mediaType) {
			t.Fatalf("%q does not prefer what nothing has more weight than", others)
		}
		quoted := `a/b;c="` + strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(text) + "," + mediaType + `,"`
		if accepts(quoted) {
			t.Fatalf("%q accepts what is quoted", quoted)
		}
	})
}
