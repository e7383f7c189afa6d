package clients

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// run starts a program that prints what it hears, one text per line, until the test
// ends.
func run(t *testing.T, cumulative bool, program string, args ...string) *listener {
	t.Helper()
	path, err := filepath.Abs(program)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(path, args...)
	command.Dir = t.TempDir()
	stderr := new(caddytest.Log)
	command.Stderr = stderr
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // to end its child processes too
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	l := &listener{cumulative: cumulative}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			l.hear(lines.Text())
		}
		command.Wait()
	}()
	t.Cleanup(func() {
		syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		<-ended
		if t.Failed() {
			t.Logf("%s has written: %s", program, stderr)
		}
	})
	return l
}

func TestCurlHearsEveryEvent(t *testing.T) {
	t.Parallel()
	caddytest.Need(t, "curl is not installed (apt-get install curl)", "curl")
	for protocol, option := range map[caddytest.Protocol]string{
		caddytest.HTTP1: "--http1.1", caddytest.HTTP1TLS: "--http1.1", caddytest.HTTP2: "--http2",
	} {
		t.Run("a stream by "+string(protocol), func(t *testing.T) {
			t.Parallel()
			r := newRoom(t, 10_000)
			wire, url := r.wire(t, protocol)
			l := run(t, true, "testdata/stream.sh", r.from, option, "--cacert", r.Root(), url+"/messages?since=0")
			cut := r.cutting(wire)
			r.exchange(t, l, cut, cut, cut)
		})
		t.Run("long-polls by "+string(protocol), func(t *testing.T) {
			t.Parallel()
			r := newRoom(t, 10_000)
			wire, url := r.wire(t, protocol)
			l := run(t, false, "testdata/poll.sh", url, r.from, option, "--cacert", r.Root())
			cut := r.cutting(wire)
			r.exchange(t, l, cut, cut, cut)
		})
	}
}

func TestNodeEventSourceHearsEveryEvent(t *testing.T) {
	t.Parallel()
	node := caddytest.Need(t, "node is not installed (apt-get install nodejs)", "node")
	caddytest.Need(t, "npm's eventsource is not installed (npm ci in internal/clients/testdata/node)", "testdata/node/node_modules/eventsource")
	script, err := filepath.Abs("testdata/node/listen.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, protocol := range []caddytest.Protocol{caddytest.HTTP1, caddytest.HTTP1TLS} {
		t.Run(string(protocol), func(t *testing.T) {
			t.Parallel()
			r := newRoom(t, 10_000)
			wire, url := r.wire(t, protocol)
			l := run(t, true, "/usr/bin/env", "NODE_EXTRA_CA_CERTS="+r.Root(), node, script, url+"/messages?since=0&last_event_id="+r.from)
			cut := r.cutting(wire)
			r.exchange(t, l, cut, cut, cut)
		})
	}
}
