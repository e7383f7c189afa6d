package brokers

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestChannelNames(t *testing.T) {
	for name, want := range map[string]error{
		"messages":               nil,
		"rooms/7":                nil,
		"Zürich ☕":               nil,
		" ":                      nil,
		strings.Repeat("x", 255): nil,
		"":                       ErrChannelEmpty,
		strings.Repeat("x", 256): ErrChannelTooLong,
		"\xff":                   ErrChannelNotUTF8,
		"a\nb":                   ErrChannelControl,
		"a\x00":                  ErrChannelControl,
		"\u0085":                 ErrChannelControl,
		"\x7f":                   ErrChannelControl,
	} {
		if got := CheckChannel(name); !errors.Is(got, want) {
			t.Errorf("CheckChannel(%q) = %v, want %v", name, got, want)
		}
	}
}

func FuzzChannelName(f *testing.F) {
	f.Add("messages")
	f.Add("a\r\nSet-Cookie: b")
	f.Add(strings.Repeat("ü", 200))
	f.Fuzz(func(t *testing.T, name string) {
		if CheckChannel(name) != nil {
			return
		}
		if name == "" || len(name) > MaxChannelBytes || !utf8.ValidString(name) || strings.IndexFunc(name, unicode.IsControl) >= 0 {
			t.Fatalf("%q passed as a channel name", name)
		}
	})
}
