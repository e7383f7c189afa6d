package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
	"github.com/caddy-parker/parker/internal/openfiles"
)

// command runs the command, and reads the figures that it writes as JSON.
func command(t *testing.T, args ...string) (r report) {
	t.Helper()
	out := succeed(t, append(args, "-json")...)
	decoder := json.NewDecoder(strings.NewReader(out))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return r
}

func succeed(t *testing.T, args ...string) (out string) {
	t.Helper()
	var written, complaints bytes.Buffer
	if err := run(t.Context(), args, &written, &complaints); err != nil {
		t.Fatalf("bench %v: %v\n%s", args, err, &complaints)
	}
	if complaints.Len() > 0 {
		t.Errorf("bench %v complains: %s", args, &complaints)
	}
	return written.String()
}

func TestTheCommandMeasuresParker(t *testing.T) {
	caddytest.SkipShort(t)
	const clients = 50
	r := command(t, "-parked", strconv.Itoa(clients), "-streams", strconv.Itoa(clients), "-compared", strconv.Itoa(clients), "-duration", "100ms")
	if r.Target != "parker" || r.Parked == nil || r.Streams == nil || r.Compared == nil {
		t.Fatalf("the report lacks a part: %+v", r)
	}
	checkRelease(t, "a wake-up", r.Parked.WakeUp, clients)
	checkRelease(t, "a message", r.Parked.Message, clients)
	checkRelease(t, "a message to streams", r.Streams.Message, clients)
	answers := int64(r.Parked.WakeUp.Released + r.Parked.Message.Released)
	if b := r.Parked.Backend; b == nil || b.Polls != answers+clients || b.Asks < 1 || b.Saved <= 0 || b.Saved >= 1 {
		t.Errorf("the backend was spared %+v of %d polls", b, answers+clients)
	}
	f := r.Compared
	if f.Clients != clients || f.Rounds < 1 || f.Publishes < batch {
		t.Errorf("compared are %d clients in %d rounds, and %d publishes", f.Clients, f.Rounds, f.Publishes)
	}
	checkPair(t, "time to the last client", f.Last)
	checkPair(t, "publishes in a second", f.Rate)
	if runtime.GOOS != "linux" {
		return
	}
	checkPair(t, "processor time of a poll", f.Poll)
	checkPair(t, "processor time of a publish", f.Publish)
	checkMemory(t, r.Parked.Bytes)
	checkMemory(t, r.Streams.Bytes)
	if p := r.PassThrough; p == nil || p.Requests < batch || p.With < 1 || p.With > 100_000 || p.Without < 1 || p.Without > 100_000 || p.Ratio <= 0 {
		t.Errorf("a passing request takes %+v", p)
	}
	if len(r.Missing) > 0 {
		t.Errorf("it could not measure %v", r.Missing)
	}
}

func checkRelease(t *testing.T, by string, f *release, clients int) {
	t.Helper()
	switch {
	case f == nil:
		t.Errorf("%s: there are no figures", by)
	case f.Publishes < 1 || f.Released != f.Publishes*clients || f.Missed != 0:
		t.Errorf("%s: not each publish has released all: %+v", by, f)
	case f.First <= 0 || f.First > f.P50 || f.P50 > f.P99 || f.P99 > f.Last || f.Last > float64(patience.Milliseconds()):
		t.Errorf("%s: these times cannot be: %+v", by, f)
	}
}

// checkPair checks that the figure of both servers is positive. Which one is better is not
// a test's business: it depends on the machine.
func checkPair(t *testing.T, what string, f *pair) {
	t.Helper()
	if f == nil || f.Parker <= 0 || f.Bare <= 0 || f.Ratio != f.Parker/f.Bare {
		t.Errorf("%s: %+v", what, f)
	}
}

func checkMemory(t *testing.T, bytesEach *int64) {
	t.Helper()
	if bytesEach == nil {
		t.Error("the memory of each is missing")
	} else if *bytesEach <= 0 || *bytesEach > 1_000_000 {
		t.Errorf("each weighs %d bytes", *bytesEach)
	}
}

const messagesSite = `
http://{$SITE} {
	parker /events {
		hold messages
	}
	respond /there "always"
}` + hook

func TestTheCommandMeasuresAnotherServer(t *testing.T) {
	const clients = 50
	c := caddytest.Start(t, messagesSite, "")
	args := []string{
		"-url", "http://" + c.Site + "/events", "-publish", "http://" + c.Hook + "/events", "-publish-body", "hello",
		"-parked", strconv.Itoa(clients), "-streams", strconv.Itoa(clients), "-duration", "100ms", "-settle", "500ms",
	}
	r := command(t, append(args, "-pid", strconv.Itoa(c.Pid()))...)
	if r.Parked == nil || r.Streams == nil {
		t.Fatalf("the report lacks a part: %+v", r)
	}
	checkRelease(t, "polls", r.Parked.Message, clients)
	checkRelease(t, "streams", r.Streams.Message, clients)
	if r.Parked.Bytes == nil && runtime.GOOS == "linux" {
		t.Errorf("the memory of parked requests is not known: %v", r.Missing)
	}
	for _, figure := range []string{"pass_through", "compared", "parked.wake_up", "parked.backend", "streams.bytes_each"} {
		if r.Missing[figure] == "" {
			t.Errorf("%s is missing without a reason: %v", figure, r.Missing)
		}
	}

	table := succeed(t, args...)
	for _, row := range []string{
		"parked requests, by a message                50 ",
		"streams, by a message                        50 ",
		"memory of a parked request             -   no -pid is given\n",
	} {
		if !strings.Contains(table, row) {
			t.Errorf("there is no %q in\n%s", row, table)
		}
	}
}

func TestFieldsAreSentToAnotherServer(t *testing.T) {
	c := caddytest.Start(t, `
http://{$SITE} {
	route {
		@stranger not header Authorization "Bearer reader"
		respond @stranger 403
		parker /events {
			hold messages
		}
	}
}
http://{$HOOK} {
	parker_publish {
		token writer
	}
}`, "")
	args := []string{"-url", "http://" + c.Site + "/events", "-publish", "http://" + c.Hook + "/", "-parked", "2", "-streams", "0", "-duration", "0s", "-settle", "500ms"}
	r := command(t, args...)
	if why := r.Missing["parked.message"]; !strings.Contains(why, "403 Forbidden") {
		t.Errorf("a stranger's polls are %q", why)
	}
	r = command(t, append(args, "-header", "Authorization: Bearer reader")...)
	if why := r.Missing["parked.message"]; !strings.Contains(why, "401 Unauthorized") {
		t.Errorf("a stranger's publish is %q", why)
	}
	args[3] += "events"
	r = command(t, append(args, "-header", "Authorization: Bearer reader", "-publish-header", "Authorization: Bearer writer", "-publish-body", "hello", "-publish-method", "PUT")...)
	checkRelease(t, "polls", r.Parked.Message, 2)
}

func TestAServerThatCannotDoItIsTold(t *testing.T) {
	c := caddytest.Start(t, messagesSite, "")
	run := func(path, publish string, streams bool) report {
		parked, open := "2", "0"
		if streams {
			parked, open = open, parked
		}
		return command(t, "-url", "http://"+c.Site+path, "-publish", "http://"+c.Hook+publish, "-publish-body", "hello", "-parked", parked, "-streams", open, "-duration", "0s", "-settle", "1s")
	}
	if why := run("/there", "/there", false).Missing["parked.message"]; !strings.Contains(why, errNotHeld.Error()) {
		t.Errorf("a URL that does not hold requests is told by %q", why)
	}
	if why := run("/there", "/there", true).Missing["streams.message"]; !strings.Contains(why, "did not answer with a stream") {
		t.Errorf("a URL that does not stream is told by %q", why)
	}
	if why := run("/none", "/none", false).Missing["parked.message"]; why == "" {
		t.Error("a URL without a body is not told")
	}
}

func TestAnInterruptEndsTheCommand(t *testing.T) {
	caddytest.SkipShort(t)
	ctx, interrupt := context.WithCancel(t.Context())
	var complaints bytes.Buffer
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"-duration", "1h"}, io.Discard, &complaints) }()
	time.AfterFunc(time.Second, interrupt)
	select {
	case err := <-ended:
		if exitCode(err) != 130 || complaints.String() != "bench: interrupted\n" {
			t.Errorf("it ended with %v, and complained: %s", err, &complaints)
		}
	case <-time.After(caddytest.Patience):
		t.Fatal("it goes on")
	}
}

func TestMoreClientsThanFilesAreNotTried(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no such limit here")
	}
	o := &options{parked: openfiles.Limit(), streams: 10}
	r := newReport(o)
	o.limit(r)
	if o.parked != openfiles.Limit()-spareFiles || o.streams != min(10, o.parked) {
		t.Errorf("%d and %d are measured", o.parked, o.streams)
	}
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "-parked "+strconv.Itoa(openfiles.Limit())) {
		t.Errorf("the notes are %q", r.Notes)
	}
}

func TestWhatMakesNoSenseIsRefused(t *testing.T) {
	for args, want := range map[string]string{
		"nonsense":                            `"nonsense" is not understood`,
		"-parked -1":                          "must not be negative",
		"-duration soon":                      "invalid value",
		"-url https://example.com/":           "without TLS",
		"-url /events":                        "it must begin with http://",
		"-pid 1":                              "-pid requires -url",
		"-profile x -compared 0":              "-profile requires -compared",
		"-profile x -url http://a/":           "-profile requires -compared",
		"-compared -1":                        "must not be negative",
		"-compared 1 -url http://a/":          "-compared is only for parker",
		"-publish http://127.0.0.1/":          "-publish requires -url",
		"-url http://a/ -publish /x":          "it must contain a host",
		"-url http://a/ -publish-body x":      "-publish-body requires -publish",
		"-url http://a/ -pid 1,zero":          `"zero" is not a process ID`,
		"-url http://a/ -header nonsense\n":   "is not of the form",
		"-url http://a/ -parked 0 -streams 0": "there is nothing to measure",
	} {
		var complaints bytes.Buffer
		err := run(t.Context(), strings.Split(args, " "), io.Discard, &complaints)
		if exitCode(err) != 2 || !strings.Contains(complaints.String(), want) {
			t.Errorf("%s: %v, %s", args, err, &complaints)
		}
	}
}

func TestHelpListsTheFlags(t *testing.T) {
	var complaints bytes.Buffer
	err := run(t.Context(), []string{"-h"}, io.Discard, &complaints)
	if !errors.Is(err, flag.ErrHelp) || exitCode(err) != 0 || !strings.Contains(complaints.String(), "-publish-body") {
		t.Errorf("%v, %s", err, &complaints)
	}
}

func TestFiguresAreMediansOfAllPublishes(t *testing.T) {
	rounds := make([]*round, 3)
	for i := range rounds {
		rounds[i] = &round{want: 100}
		for ms := range 100 {
			rounds[i].took = append(rounds[i].took, time.Duration(i*1000+ms+1)*time.Millisecond)
		}
	}
	rounds[2].want = 101
	if got, want := *releaseOf(rounds), (release{3, 300, 1, 1001, 1050, 1099, 1100}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
