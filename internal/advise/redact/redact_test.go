package redact

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestRequestKeepsSchemeButNoCredential(t *testing.T) {
	key := NewKey()
	for value, scheme := range map[string]string{
		"Bearer topsecret":      "Bearer ",
		"bearer topsecret":      "Bearer ",
		"Basic topsecret more":  "Basic ",
		"topsecret":             "",
		"topsecret in words":    "",
		" topsecret":            "",
		"Bearertopsecret other": "",
	} {
		kept := key.Request(http.Header{"Authorization": {value}}).Get("Authorization")
		digest, found := strings.CutPrefix(kept, scheme)
		if !found || len(digest) != 32 || strings.Contains(kept, "topsecret") {
			t.Errorf("of %q is kept %q", value, kept)
		}
	}
}

func TestAnswerKeepsNamesOfCookies(t *testing.T) {
	key := NewKey()
	kept := key.Answer(http.Header{"set-cookie": {"id=topsecret; Path=/topsecret", "topsecret; HttpOnly"}, "Location": {"/topsecret"}, "Etag": {`"1"`}})
	if len(kept) != 2 || kept.Get("Etag") != `"1"` {
		t.Errorf("kept %v", kept)
	}
	cookies := kept["Set-Cookie"]
	if text := strings.Join(cookies, " "); len(cookies) != 2 || !strings.HasPrefix(text, "id=") || strings.Contains(text, "topsecret") {
		t.Errorf("kept the cookies %q", cookies)
	}
}

func TestFieldsInSeveralSpellingsAreOneField(t *testing.T) {
	key := NewKey()
	values := key.Request(http.Header{"accept": {"a"}, "Accept": {"b"}, "ACCEPT": {}})["Accept"]
	slices.Sort(values)
	if !slices.Equal(values, []string{"a", "b"}) {
		t.Errorf("kept %q", values)
	}
}

func TestDigestsDependOnKeyAndOnWhereValuesEnd(t *testing.T) {
	key, other := NewKey(), NewKey()
	first := key.Digest("a", "bc")
	if again := key.Digest("a", "bc"); again != first {
		t.Error("the digests of equal values differ")
	}
	if first == key.Digest("ab", "c") || first == other.Digest("a", "bc") {
		t.Error("the digests of different values, or with different keys, are equal")
	}
}

func TestRequestSaysThatThereIsACredentialOfAnUnknownKind(t *testing.T) {
	t.Parallel()
	key := NewKey()
	for name, want := range map[string]bool{"X-Auth-Token": true, "x-api-key": true, "X-Csrf-Token": false, "X-Requested-With": false, "X-Other": false} {
		fields := key.Request(http.Header{name: {"secret"}})
		if got := slices.Equal(fields["Authorization"], []string{"REDACTED"}); got != want {
			t.Errorf("%s: %v", name, fields)
		}
	}
}
