package redact

import (
	"net/http"
	"slices"
	"testing"
)

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
