package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// serve runs this program as a server that is measured, if its environment says so. ok is
// false if it does not.
func serve() (ok bool, err error) {
	// An interrupt from the terminal is handled by the process that measures.
	if caddyfile, ok := os.LookupEnv(caddyfileVariable); ok {
		signal.Ignore(os.Interrupt)
		return true, serveCaddy(caddyfile)
	}
	if _, ok := os.LookupEnv(bareVariable); ok {
		signal.Ignore(os.Interrupt)
		return true, serveBare()
	}
	return false, nil
}

// The commands that a server reads from its standard input, one on each line, and its
// answer to each unless there is an error.
const (
	freeMemory   = "free"
	beginProfile = "begin " // followed by a path as a Go string
	endProfile   = "end"
	done         = "done"
)

// obey prints the server's addresses, and then obeys commands until standard input ends.
func obey(site, hook string) error {
	fmt.Println(site, hook)
	var p profile
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if err := carryOut(lines.Text(), &p); err != nil {
			fmt.Println(err)
		} else {
			fmt.Println(done)
		}
	}
	return lines.Err()
}

func carryOut(command string, p *profile) error {
	switch path, begins := strings.CutPrefix(command, beginProfile); {
	case begins:
		path, err := strconv.Unquote(path)
		if err != nil {
			return err
		}
		return p.begin(path)
	case command == endProfile:
		return p.end()
	case command == freeMemory:
		returnMemory()
		return nil
	}
	return fmt.Errorf("%q is not a command", command)
}

// returnMemory returns unused memory to the system.
func returnMemory() {
	for range 3 { // each collection shrinks stacks by half
		runtime.GC()
	}
	debug.FreeOSMemory()
}

// process is a server that is measured.
type process struct {
	pid        int
	site, hook string // the addresses for clients and for publishes

	command *exec.Cmd
	say     io.WriteCloser // its standard input; the process ends when it is closed
	hear    *bufio.Scanner // its standard output
	folder  string         // its folder for data and configuration
}

// startProcess starts this program again with an environment variable that makes it a
// server, and returns when it serves. It is killed when ctx is canceled.
func startProcess(ctx context.Context, variable, value string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "parker-bench-")
	if err != nil {
		return nil, fmt.Errorf("making a folder: %w", err)
	}
	command := exec.CommandContext(ctx, self)
	command.Env = append(os.Environ(), variable+"="+value, "XDG_CONFIG_HOME="+folder, "XDG_DATA_HOME="+folder, "HOME="+folder)
	command.Stderr = os.Stderr
	say, noInput := command.StdinPipe()
	hear, noOutput := command.StdoutPipe()
	if err := errors.Join(noInput, noOutput, command.Start()); err != nil {
		os.RemoveAll(folder)
		return nil, err
	}
	p := &process{pid: command.Process.Pid, command: command, say: say, hear: bufio.NewScanner(hear), folder: folder}
	p.hear.Scan()
	if _, err := fmt.Sscan(p.hear.Text(), &p.site, &p.hook); err != nil {
		p.stop()
		return nil, errors.New("the process has ended")
	}
	return p, nil
}

// target returns the target whose clients wait on a channel.
func (p *process) target(channel string, bar *progress) *target {
	return &target{
		url:     &url.URL{Scheme: "http", Host: p.site, Path: "/" + channel},
		memory:  p.memory,
		waiting: func(ctx context.Context, _ *crowd) (int, error) { return p.waiting(ctx, channel) },
		bar:     bar,
	}
}

// waiting returns the number of requests and streams that wait on a channel.
func (p *process) waiting(ctx context.Context, channel string) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.hook+"/"+channel, nil)
	if err != nil {
		return 0, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	var report struct{ Waiting, Streams int }
	if err := json.NewDecoder(answer.Body).Decode(&report); err != nil {
		return 0, fmt.Errorf("counting waiting requests: the hook answered %s: %w", answer.Status, err)
	}
	return report.Waiting + report.Streams, nil
}

// publish publishes a message on a channel.
func (p *process) publish(ctx context.Context, channel, message string) error {
	sent := publication{url: "http://" + p.hook + "/" + channel, method: http.MethodPost, body: message}
	return sent.send(ctx)
}

// tell sends a command to the process, and returns when it is done.
func (p *process) tell(command string) error {
	if _, err := io.WriteString(p.say, command+"\n"); err != nil || !p.hear.Scan() {
		return errors.New("a measured server has ended")
	}
	if answer := p.hear.Text(); answer != done {
		return errors.New(answer)
	}
	return nil
}

// memory makes the process return unused memory, and returns its resident memory in
// bytes.
func (p *process) memory() (int64, error) {
	if err := p.tell(freeMemory); err != nil {
		return 0, fmt.Errorf("measuring memory: %w", err)
	}
	return residentMemory(p.pid)
}

// stop ends the process and all its connections.
func (p *process) stop() {
	p.say.Close()
	p.command.Wait()
	os.RemoveAll(p.folder)
}
