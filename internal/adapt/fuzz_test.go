package adapt

import (
	"bytes"
	"strings"
	"testing"
)

// FuzzCaddyfile puts a text into one of parker's blocks. Whatever it is, it
// adapts or is refused; what adapts does so in one way only, and all of it can
// be read back.
func FuzzCaddyfile(f *testing.F) {
	for _, use := range wrongUses {
		f.Add(use.block, use.text)
	}
	for _, golden := range goldenFiles(f) {
		f.Add(uint8(inSite), golden.caddyfile)
	}
	f.Fuzz(func(t *testing.T, block uint8, text string) {
		if strings.Contains(text, "import") {
			return // it would read files of this machine
		}
		caddyfile := frames[int(block)%len(frames)].around(text)
		config, _, err := adapt(caddyfile)
		if err != nil {
			return
		}
		again, _, err := adapt(caddyfile)
		if err != nil {
			t.Fatalf("adapted once, then: %v", err)
		}
		if !bytes.Equal(config, again) {
			t.Fatalf("adapted to\n%s\nthen to\n%s", config, again)
		}
		checkReadBack(t, config)
	})
}
