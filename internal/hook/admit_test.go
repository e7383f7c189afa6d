package hook

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestGateForBrowsersTakesTokenAsPassword(t *testing.T) {
	for _, browsers := range []bool{true, false} {
		gate, err := NewGate([]string{"secret", "other"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		gate.Browsers = browsers
		for authorization, admitted := range map[string]bool{
			"":                              false,
			"Bearer other":                  true,
			"Bearer wrong":                  false,
			"Basic OnNlY3JldA==":            browsers, // :secret
			"Basic YW55Ym9keTpvdGhlcg==":    browsers, // anybody:other
			"Basic c2VjcmV0OndSb25n":        false,    // secret:wRong
			"Basic c2VjcmV0Og==":            false,    // secret:
			"Basic secret":                  false,
			"Digest username=x, response=y": false,
		} {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = "127.0.0.1:1"
			if authorization != "" {
				r.Header.Set("Authorization", authorization)
			}
			w := httptest.NewRecorder()
			refusal := gate.Admit(w, r)
			if (refusal == nil) != admitted || refusal != nil && refusal.Status != http.StatusUnauthorized {
				t.Errorf("for browsers %v, %q: %+v", browsers, authorization, refusal)
			}
			challenge := w.Header().Get("WWW-Authenticate")
			if refusal != nil && strings.HasPrefix(challenge, "Basic ") != browsers {
				t.Errorf("for browsers %v, %q: asked for %q", browsers, authorization, challenge)
			}
		}
	}
}

func TestNewReplacesPlaceholdersInTokens(t *testing.T) {
	t.Setenv("PARKER_TOKEN", "secret")
	gate, err := NewGate([]string{"{env.PARKER_TOKEN}"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !gate.admitsToken("secret") || gate.admitsToken("{env.PARKER_TOKEN}") {
		t.Error("the token is another")
	}
	for token, says := range map[string]string{
		"{env.PARKER_NONE}": "token 2: evaluated placeholder {env.PARKER_NONE} is empty",
		"{no.such}":         "token 2: unrecognized placeholder {no.such}",
	} {
		if _, err := NewGate([]string{"x", token}, nil); err == nil || err.Error() != says {
			t.Errorf("%s: %v", token, err)
		}
	}
}
