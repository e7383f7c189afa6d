package caddytest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Answer is the answer that a client got.
type Answer struct {
	Status int
	Header http.Header
	Body   string
	Err    error
}

// Release returns the reason for which parker released the request, as in
// Parker-Status.
func (a Answer) Release() string {
	for part := range strings.SplitSeq(a.Header.Get("Parker-Status"), "; ") {
		if value, ok := strings.CutPrefix(part, "release="); ok {
			return value
		}
	}
	return ""
}

// Get sends a GET request in the background. Header lines are given as "Name: value".
func Get(ctx context.Context, url string, header ...string) <-chan Answer {
	answered := make(chan Answer, 1)
	go func() { answered <- Do(ctx, http.MethodGet, url, "", header...) }()
	return answered
}

// ClientPatience is how long a client waits for an answer. It is longer than parker
// holds polls by default, so a poll that a test has parked is not ended by its client.
const ClientPatience = 2 * time.Minute

// Do sends a request and does not follow redirects.
func Do(ctx context.Context, method, url, body string, header ...string) Answer {
	return DoWith(ctx, http.DefaultTransport, method, url, body, header...)
}

// DoWith is like [Do] but uses the given transport.
func DoWith(ctx context.Context, transport http.RoundTripper, method, url, body string, header ...string) Answer {
	ctx, cancel := context.WithTimeout(ctx, ClientPatience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return Answer{Err: err}
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return Answer{Err: err}
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return Answer{answer.StatusCode, answer.Header, string(text), err}
}

// AwaitWaiting returns when exactly n requests are parked on the channel.
func (c *Caddy) AwaitWaiting(t testing.TB, channel string, n int) {
	t.Helper()
	AwaitWaiting(t, "http://"+c.Hook+"/"+channel, n)
}

// AwaitWaiting returns when the hook reports, at the URL of a channel, that exactly n
// requests are parked.
func AwaitWaiting(t testing.TB, url string, n int) {
	t.Helper()
	want := fmt.Sprintf(`"waiting":%d,`, n)
	Await(t, fmt.Sprint(n, " requests are parked at ", url), func() bool {
		return strings.Contains(Do(context.Background(), http.MethodGet, url, "").Body, want)
	})
}
