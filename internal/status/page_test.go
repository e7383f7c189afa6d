package status

import (
	"bytes"
	"testing"
)

func TestPageKeepsItsContentSecurityPolicy(t *testing.T) {
	for text, times := range map[string]int{
		"<script>": 1, "<style>": 1, "<script": 1, "<style": 1,
		" style=": 0, " onclick=": 0, "innerHTML": 0, "eval(": 0, "//www.w3.org/2000/svg": 2,
		"https://": 0, "http://": 2, "@import": 0, "url(": 0,
	} {
		if n := bytes.Count(page, []byte(text)); n != times {
			t.Errorf("%s is on the page %d times, want %d", text, n, times)
		}
	}
}
