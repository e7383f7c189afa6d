package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// rpcSite holds the calls of one method, and the forms of one operation, on URLs that also
// take writes.
const rpcSite = `
http://{$SITE}, https://{$TLS_SITE} {
	bind 127.0.0.1
	handle /bare/* {
		reverse_proxy {$BACKEND}
	}
	handle /json/* {
		@poll parker_body json /method web.update_ui
		@write not parker_body json /method web.update_ui
		parker_notify @write
		parker @poll {
			methods POST
			nothing_new {
				json /result
			}
		}
		reverse_proxy {$BACKEND}
	}
	handle /form/* {
		@poll parker_body form op rpc
		@write {
			method POST
			not parker_body form op rpc
		}
		parker_notify @write
		parker @poll {
			methods POST
			nothing_new {
				json /result
			}
		}
		reverse_proxy {$BACKEND}
	}
	@batch parker_body {
		json /*/method web.update_ui
		match ^poll$
		max_body 1KB
	}
	handle @batch {
		parker {
			methods POST
			nothing_new {
				json /result
			}
		}
		reverse_proxy {$BACKEND}
	}
	reverse_proxy {$BACKEND}
}
http://{$HOOK} {
	parker_publish
}
`

// rpc is a backend with one URL for polls and writes. Polls get the bodies of all writes to
// the same path. A long body is answered with what came.
type rpc struct {
	mu     sync.Mutex // guards writes
	writes map[string][]string
}

func (b *rpc) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var call struct {
		ID     any    `json:"id"`
		Method string `json:"method"`
	}
	_ = json.Unmarshal(body, &call) // a form is no JSON, and its call stays empty
	switch {
	case call.Method == "web.update_ui", string(body) == "op=rpc", strings.HasPrefix(string(body), "["), string(body) == "poll":
		json.NewEncoder(w).Encode(map[string]any{"id": call.ID, "result": append([]string{}, b.writes[r.URL.Path]...)})
	case len(body) > 100:
		fmt.Fprintf(w, "%x, length %d, sum %q", sha256.Sum256(body), r.ContentLength, r.Trailer.Get("X-Sum"))
	default:
		b.writes[r.URL.Path] = append(b.writes[r.URL.Path], string(body))
		json.NewEncoder(w).Encode(map[string]any{"id": call.ID, "result": true})
	}
}

func startRPC(t *testing.T) *caddytest.Secure {
	t.Helper()
	backend := &rpc{writes: make(map[string][]string)}
	return caddytest.StartSecure(t, rpcSite, caddytest.Serve(t, backend.ServeHTTP))
}

// later calls do in the background.
func later(do func() caddytest.Answer) <-chan caddytest.Answer {
	answered := make(chan caddytest.Answer, 1)
	go func() { answered <- do() }()
	return answered
}

func TestBodyMatcherDistinguishesPollsFromWrites(t *testing.T) {
	t.Parallel()
	caddy := startRPC(t)
	const (
		jsonPoll  = `{"id":7,"method":"web.update_ui","params":[]}`
		jsonWrite = `{"id":8,"method":"core.pause_torrent"}`
	)
	for i, protocol := range caddytest.Protocols {
		for _, x := range []struct{ folder, mediaType, poll, write, news string }{
			{"json", "application/json", jsonPoll, jsonWrite, `{"id":7,"result":["{\"id\":8,\"method\":\"core.pause_torrent\"}"]}` + "\n"},
			{"json", "text/plain", jsonPoll, jsonWrite, `{"id":7,"result":["{\"id\":8,\"method\":\"core.pause_torrent\"}"]}` + "\n"},
			{"form", "application/x-www-form-urlencoded", "op=rpc", "op=mark", `{"id":null,"result":["op=mark"]}` + "\n"},
		} {
			channel := fmt.Sprintf("%s/%d/%s", x.folder, i, x.mediaType)
			t.Run(channel, func(t *testing.T) {
				t.Parallel()
				client := caddy.Client(t, protocol)
				post := func(body string, header ...string) caddytest.Answer {
					return client.Do(t.Context(), http.MethodPost, "/"+channel, body, append(header, "Content-Type: "+x.mediaType)...)
				}
				if g := post(x.poll, "Prefer: wait=1"); g.Release() != "timeout" || !strings.Contains(g.Body, `"result":[]`) {
					t.Errorf("without a write the poll was answered %+v", g)
				}
				parked := later(func() caddytest.Answer { return post(x.poll) })
				caddy.AwaitWaiting(t, channel, 1)
				if g := post(x.write); g.Status != 200 || g.Release() != "" || !strings.Contains(g.Body, `"result":true`) {
					t.Errorf("the write was answered %+v", g)
				}
				expect(t, x.news, "replay", parked)
				if g := post(x.poll); g.Body != x.news || g.Release() != "none" {
					t.Errorf("after the write the next poll was answered %+v", g)
				}
			})
		}
	}
}

func TestBodyMatcherFindsCallInBatch(t *testing.T) {
	t.Parallel()
	caddy := startRPC(t)
	client := caddy.Client(t, caddytest.HTTP2)
	for channel, body := range map[string]string{
		"batch": `[{"method":"core.get_config"},{"method":"web.update_ui"}]`,
		"text":  "poll",
	} {
		parked := later(func() caddytest.Answer { return client.Do(t.Context(), http.MethodPost, "/"+channel, body) })
		caddy.AwaitWaiting(t, channel, 1)
		if g := client.Do(t.Context(), http.MethodPost, "/"+channel, "written"); g.Header.Get("Parker-Status") != "" {
			t.Errorf("%s: the write was answered %+v", channel, g)
		}
		caddy.Publish(t, channel, "", "")
		expect(t, `{"id":null,"result":["written"]}`+"\n", "replay", parked)
	}
}

// A body that no matcher can look at as a whole passes as without them, with its length and
// its trailers.
func TestBodyMatcherPassesLongBodyWhole(t *testing.T) {
	t.Parallel()
	caddy := startRPC(t)
	short, long := bytes.Repeat([]byte("0123456789"), 50), bytes.Repeat([]byte("0123456789"), 500_000)
	for _, protocol := range caddytest.Protocols {
		t.Run(string(protocol), func(t *testing.T) {
			t.Parallel()
			client := caddy.Client(t, protocol)
			for _, body := range [][]byte{short, long} {
				for name, change := range map[string]func(*http.Request){
					"with its length": func(*http.Request) {},
					"expecting":       func(r *http.Request) { r.Header.Set("Expect", "100-continue") },
					"with a trailer": func(r *http.Request) {
						r.ContentLength = -1
						r.Trailer = http.Header{"X-Sum": {"1"}}
					},
				} {
					upload := func(path string) string {
						r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, client.URL+path, bytes.NewReader(body))
						if err != nil {
							t.Fatal(err)
						}
						r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
						change(r)
						return bodyOf(t, client.Transport, r)
					}
					bare := upload("/bare/upload")
					if !strings.HasPrefix(bare, fmt.Sprintf("%x, ", sha256.Sum256(body))) {
						t.Errorf("%d bytes %s: without matchers the backend received %s", len(body), name, bare)
					}
					for _, path := range []string{"/json/upload", "/form/upload", "/batch"} {
						if got := upload(path); got != bare {
							t.Errorf("%s, %d bytes %s: the backend received %s, without matchers %s", path, len(body), name, got, bare)
						}
					}
				}
			}
		})
	}
}

// bodyOf sends a request and returns the body of the answer.
func bodyOf(t *testing.T, transport http.RoundTripper, r *http.Request) string {
	t.Helper()
	answer, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// A client that stops in the middle of its body gets no answer, and the backend no call.
func TestBodyMatcherPassesOnCutBody(t *testing.T) {
	t.Parallel()
	backend := caddytest.NewRawBackend(t, rawNews)
	caddy := caddytest.StartSecure(t, rpcSite, backend.Address)
	client := caddytest.DialRaw(t, caddy.Site)
	client.Send("POST /json/cut HTTP/1.1\r\nHost: " + caddy.Site + "\r\nContent-Length: 100\r\n\r\n{\"method\":")
	client.CloseWrite()
	if answers := client.Rest(t); strings.Contains(answers, " 200 ") {
		t.Errorf("the client was answered %q", answers)
	}
	for _, r := range backend.Seen() {
		if r.Err == nil {
			t.Errorf("the backend received %s %q", r.Line(), r.Body)
		}
	}
}
