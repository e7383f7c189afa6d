package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestObserveNothingNewPassesUnchanged(t *testing.T) {
	eachTrial(t, func() []trial {
		trials := nothingNewTrials()
		for i := range trials {
			trials[i].prefersNoWait = false
		}
		return trials
	}, "/observed")
}

// observedFiles serves the same files on two sites, of which one is watched.
const observedFiles = `
(files) {
	root {$FILES}
	header +X-Served yes
	handle_errors {
		respond "sorry: {err.status_code}"
	}
	handle /inside/* {
		uri strip_prefix /inside
		encode gzip
		file_server
	}
	handle /respond {
		respond "[]" 202
	}
	handle /nothing {
	}
	handle /short {
		request_body {
			max_size 3
		}
		reverse_proxy {$BACKEND}
	}
	handle {
		file_server
	}
}
http://{$SITE} {
	import files
}
http://{$HOOK} {
	parker_observe
	import files
}
`

// different are the parts of answers that no two answers share.
var different = regexp.MustCompile(`(?m)^Date: .*$|\b[0-9a-f]{60}\b`)

// continues are the answers that tell a client to send the body. Both Caddy and the backend may
// send one at the same time.
var continues = regexp.MustCompile(`^(HTTP/1\.1 100 Continue\r\n([^\r]+\r\n)*\r\n)+`)

// TestObserveAnswersHaveTheSameBytes compares what Caddy's own handlers send over HTTP/1.1,
// byte by byte.
func TestObserveAnswersHaveTheSameBytes(t *testing.T) {
	t.Parallel()
	files := t.TempDir()
	for name, size := range map[string]int{"empty.json": 0, "small.json": 600, "page.html": 40_000, "large.txt": 70_000, "film.mp4": 3_000_000} {
		if err := os.WriteFile(filepath.Join(files, name), []byte(strings.Repeat("0123456789\n", size/11)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	backend := caddytest.Serve(t, echo)
	caddy := caddytest.Start(t, observedFiles, backend, "FILES="+files)
	for _, request := range []string{
		"GET /empty.json", "GET /small.json", "GET /page.html", "GET /large.txt", "GET /film.mp4", "HEAD /page.html", "POST /page.html",
		"GET /page.html|Range: bytes=100-199", "GET /film.mp4|Range: bytes=0-9,2999-3999", "GET /page.html|Range: bytes=99999-",
		"GET /page.html|If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT",
		"GET /inside/page.html|Accept-Encoding: gzip", "GET /inside/small.json|Accept-Encoding: gzip", "HEAD /inside/page.html|Accept-Encoding: gzip",
		"GET /respond", "GET /nothing", "GET /missing", "GET /film.mp4/",
		"POST /short|Content-Length: 3||abc", "POST /short|Content-Length: 5||abcde",
		"POST /short|Transfer-Encoding: chunked||2\r\nab\r\n0\r\n\r\n", "POST /short|Transfer-Encoding: chunked||5\r\nabcde\r\n0\r\n\r\n",
		"POST /short|Expect: 100-continue|Content-Length: 3||abc",
	} {
		var got [2]string
		for i, address := range []string{caddy.Site, caddy.Hook} {
			head, body, _ := strings.Cut(request, "||")
			line, fields, more := strings.Cut(head, "|")
			if more {
				fields = strings.ReplaceAll(fields, "|", "\r\n") + "\r\n"
			}
			raw := caddytest.DialRaw(t, address)
			raw.Send(line + " HTTP/1.1\r\nHost: " + address + "\r\nConnection: close\r\n" + fields + "\r\n" + body)
			answer := continues.ReplaceAllString(raw.Rest(t), "100 Continue\n")
			got[i] = different.ReplaceAllString(strings.ReplaceAll(answer, address, "site"), "")
		}
		if got[0] == "" || got[0] != got[1] {
			t.Errorf("%s: with parker_observe\n%.600q\nwithout\n%.600q", request, got[1], got[0])
		}
	}
}

// TestObserveSeesDeskAndSurvivesReload reads the advice in each way that it can be had.
func TestObserveSeesDeskAndSurvivesReload(t *testing.T) {
	t.Parallel()
	caddytest.SkipShort(t)
	d := startDesk(t)
	site := "http://{$SITE} {\n%s\nreverse_proxy {$BACKEND}\n}\n"
	watched := fmt.Sprintf(site, "parker_observe\nencode gzip")
	caddy := caddytest.Start(t, watched, d.address)
	var people sync.WaitGroup
	people.Go(func() { d.use(t, "http://"+caddy.Site, 8, 700*time.Millisecond) })
	caddytest.Await(t, "half of the replies", func() bool {
		d.mutex.Lock()
		defer d.mutex.Unlock()
		return len(d.tickets) == 4
	})
	caddy.MustLoad(t, strings.Replace(watched, "encode gzip", "header X-Loaded again", 1))
	people.Wait()

	answer := caddy.Administer(t, http.MethodGet, "/parker/advice", "")
	var advice struct {
		Report struct {
			Requests int
			Polls    []struct {
				Path    string
				Clients int
			}
		}
		Caddyfile string
	}
	if err := json.Unmarshal([]byte(answer.Body), &advice); err != nil || answer.Status != http.StatusOK {
		t.Fatalf("status %d, %v: %s", answer.Status, err, answer.Body)
	}
	if advice.Report.Requests < 50 {
		t.Errorf("only %d requests were seen, those of before the reload are missing", advice.Report.Requests)
	}
	if polls := advice.Report.Polls; len(polls) == 0 || polls[0].Path != "/tickets/updates" || polls[0].Clients != 3 {
		t.Errorf("the polls are %+v", polls)
	}
	contains(t, advice.Caddyfile, "parker /tickets/updates", "ignore_query _")
	for _, hidden := range []string{"secret", "hidden"} {
		if strings.Contains(answer.Body, hidden) {
			t.Errorf("the advice contains what people have sent: %s", answer.Body)
		}
	}
	stdout, stderr, code := parker(t, caddy, "", "advise", "--address", caddy.Admin())
	if code != 0 {
		t.Fatalf("code %d, %s", code, stderr)
	}
	contains(t, stdout, "parker /tickets/updates", "ignore_query _")

	caddy.MustLoad(t, fmt.Sprintf(site, ""))
	if answer := caddy.Administer(t, http.MethodGet, "/parker/advice", ""); answer.Status != http.StatusNotFound || !strings.Contains(answer.Body, "no site is watched: add parker_observe to a site") {
		t.Errorf("without parker_observe: status %d, %s", answer.Status, answer.Body)
	}
}
