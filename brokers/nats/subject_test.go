package nats

import (
	"strings"
	"testing"

	"github.com/caddy-parker/parker/brokers"
)

func TestSubjectIsReadable(t *testing.T) {
	for channel, token := range map[string]string{
		"rooms":         "rooms",
		"rooms/7":       "rooms=2F7",
		"A-Z_0.9":       "A-Z_0=2E9",
		"*":             "=2A",
		">":             "=3E",
		"a=b c":         "a=3Db=20c",
		"ü":             "=C3=BC",
		"user:42 / all": "user=3A42=20=2F=20all",
	} {
		if got := tokenOf(channel); got != token {
			t.Errorf("%q is %s, not %s", channel, got, token)
		}
	}
}

func FuzzSubjectRoundTrip(f *testing.F) {
	for _, channel := range []string{"rooms/7", "=", "=2F", ". *>", "käse", strings.Repeat("/", brokers.MaxChannelBytes)} {
		f.Add(channel)
	}
	f.Fuzz(func(t *testing.T, channel string) {
		if brokers.CheckChannel(channel) != nil {
			return
		}
		token := tokenOf(channel)
		if token == "" || strings.Trim(token, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=") != "" {
			t.Errorf("%q is not one token of a subject", token)
		}
		if got, err := channelOf(token); got != channel || err != nil {
			t.Errorf("%q comes back as %q, %v", channel, got, err)
		}
	})
}

func FuzzSubjectHoldsChannelOrNone(f *testing.F) {
	for _, token := range []string{"rooms/7", "=", "=2F", "=2f", "=2", "a=0D", "a.b", "=C3=BC", "ü", "=FF"} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		channel, err := channelOf(token)
		if err != nil {
			return
		}
		if err := brokers.CheckChannel(channel); err != nil {
			t.Errorf("%q is %q: %v", token, channel, err)
		}
		if again, err := channelOf(tokenOf(channel)); again != channel || err != nil {
			t.Errorf("%q comes back as %q, %v", channel, again, err)
		}
	})
}

func TestCoversAppliesWildcards(t *testing.T) {
	for _, test := range []struct {
		subject, prefix string
		covers          bool
	}{
		{"parker.>", "parker", true},
		{"parker.*", "parker", true},
		{">", "parker", true},
		{"*.*", "parker", true},
		{"*.>", "parker", true},
		{"app.parker.>", "app.parker", true},
		{"app.>", "app.parker", true},
		{"*.parker.*", "app.parker", true},
		{"parker", "parker", false},
		{"*", "parker", false},
		{"parker.a", "parker", false},
		{"parker.*.*", "parker", false},
		{"parker.*.>", "parker", false},
		{"other.>", "parker", false},
		{"app.*", "app.parker", false},
		{"app.parker.*.a", "app.parker", false},
		{"", "parker", false},
	} {
		if got := covers(test.subject, test.prefix); got != test.covers {
			t.Errorf("that %s covers %s.* is %t", test.subject, test.prefix, got)
		}
	}
}
