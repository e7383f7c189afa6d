package command

import (
	"strings"
	"testing"
)

func TestCommandAcceptsAdminAddressAsURL(t *testing.T) {
	for given, want := range map[string]string{
		"localhost:2019":         "localhost:2019",
		"http://localhost:2019":  "localhost:2019",
		"HTTP://localhost:2019/": "localhost:2019",
		"http://[::1]:2019":      "[::1]:2019",
		"tcp/127.0.0.1:2019":     "tcp/127.0.0.1:2019",
		":2019":                  ":2019",
		"unix//run/caddy/admin":  "unix//run/caddy/admin",
	} {
		if got, err := adminAddress(given); err != nil || got != want {
			t.Errorf("%s is %q, %v, want %q", given, got, err, want)
		}
	}
	for _, given := range []string{
		"https://localhost:2019", "http://localhost", "http://localhost:2019/parker/", "http://localhost:2019?a=b", "http://me:secret@localhost:2019",
		"http://", "http:///", "localhost", "localhost:port", "ftp://localhost:2019", "http://local host:2019", "http://localhost:2019#a",
	} {
		_, err := adminAddress(given)
		if err == nil || !strings.Contains(err.Error(), "for example localhost:2019") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", given, err)
		}
	}
}
