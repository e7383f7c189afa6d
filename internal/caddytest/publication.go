package caddytest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// Publication is the hook's answer to a publish.
type Publication struct {
	Channel   string `json:"channel"`
	Position  string `json:"position"`
	Released  int    `json:"released"`
	Duplicate bool   `json:"duplicate"`
}

// PublishWith is like [Caddy.Publish] with header lines, given as "Name: value".
func (c *Caddy) PublishWith(t testing.TB, channel, body string, header ...string) Publication {
	t.Helper()
	answer := Do(t.Context(), http.MethodPost, "http://"+c.Hook+"/"+channel, body, header...)
	var publication Publication
	if err := json.Unmarshal([]byte(answer.Body), &publication); err != nil || answer.Status != http.StatusOK {
		t.Fatalf("publishing on %s: %+v", channel, answer)
	}
	return publication
}

// Offset returns the offset in a position.
func Offset(t testing.TB, position string) int {
	t.Helper()
	offset, err := strconv.Atoi(position[strings.LastIndexByte(position, '-')+1:])
	if err != nil {
		t.Fatalf("%q is not a position", position)
	}
	return offset
}

// OtherEpoch returns the position with an epoch that no broker of the test has, as if
// it came from before a restart.
func OtherEpoch(position string) string {
	const prefix = "parker."
	epoch := strings.TrimPrefix(position, prefix)
	first := "A"
	if strings.HasPrefix(epoch, first) {
		first = "B"
	}
	return prefix + first + epoch[1:]
}
