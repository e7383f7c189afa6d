package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test binary be the example, and with that the legacy chat
// which the example starts.
func TestMain(m *testing.M) {
	if os.Getenv("CHAT_TEST_IS_EXAMPLE") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// example is the example, run as a process of its own on free ports.
type example struct {
	t          *testing.T
	address    string
	legacyPort string
	folder     string // for temporary files
	command    *exec.Cmd
	complaints bytes.Buffer // what it wrote as errors; read once it has ended
}

// newExample prepares an example; settings are environment variables that go
// before its own.
func newExample(t *testing.T, settings ...string) *example {
	port := freePort(t)
	e := &example{t: t, address: "http://localhost:" + port, legacyPort: freePort(t), folder: t.TempDir()}
	e.command = exec.Command(os.Args[0])
	e.command.Stderr = &e.complaints
	e.command.Env = append(os.Environ(),
		"CHAT_TEST_IS_EXAMPLE=1", "CHAT_PORT="+port, "CHAT_LEGACY_PORT="+e.legacyPort, "CHAT_HOOK_PORT="+freePort(t),
		"TMPDIR="+e.folder, "XDG_CONFIG_HOME="+t.TempDir(), "XDG_DATA_HOME="+t.TempDir())
	e.command.Env = append(e.command.Env, settings...)
	return e
}

// start runs an example until the test ends, and returns when it says that it
// can be used.
func start(t *testing.T) *example {
	e := newExample(t)
	output, err := e.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := e.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		e.command.Process.Kill()
		e.command.Wait()
	})
	if line, _ := bufio.NewReader(output).ReadString('\n'); !strings.Contains(line, e.address) {
		t.Fatalf("it says %q, want %s in it", line, e.address)
	}
	return e
}

func freePort(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

func (e *example) get(path string) string {
	answer, err := http.Get(e.address + path)
	if err != nil {
		e.t.Error(err)
		return ""
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		e.t.Errorf("GET %s is answered %s %s, %v", path, answer.Status, body, err)
	}
	return strings.TrimSpace(string(body))
}

func (e *example) write(path, text string) {
	e.t.Helper()
	answer, err := http.PostForm(e.address+path, url.Values{"name": {"Ada"}, "text": {text}})
	if err != nil {
		e.t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		e.t.Fatalf("POST %s is answered %s", path, answer.Status)
	}
}

// held starts a poll, and returns once it is the one that is held.
func (e *example) held(since string) (answer <-chan string) {
	answers := make(chan string, 1)
	go func() { answers <- e.get("/messages?since=" + since) }()
	eventually(e.t, "the poll is held", func() bool { return e.number("/held", "waiting") == 1 })
	return answers
}

// number is a member of the JSON object at the path.
func (e *example) number(path, member string) int {
	var object map[string]any
	json.Unmarshal([]byte(e.get(path)), &object)
	n, _ := object[member].(float64)
	return int(n)
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	patience := time.After(20 * time.Second)
	for tick := time.Tick(10 * time.Millisecond); !holds(); {
		select {
		case <-tick:
		case <-patience:
			t.Fatal("it never came that " + what)
		}
	}
}

func within[T any](t *testing.T, limit time.Duration, what string, c <-chan T) T {
	t.Helper()
	select {
	case value := <-c:
		return value
	case <-time.After(limit):
		t.Fatalf("%s took more than %v", what, limit)
		panic("unreachable")
	}
}

func TestAPollIsHeldUntilSomebodyWrites(t *testing.T) {
	e := start(t)
	answer := e.held("0")
	if polls := e.number("/stats", "polls"); polls != 1 {
		t.Errorf("the backend saw %d polls, want 1", polls)
	}
	e.write("/messages", "hello")
	if body := within(t, 10*time.Second, "the held poll", answer); !strings.Contains(body, `"text":"hello"`) {
		t.Errorf("the held poll is answered %s", body)
	}
	if polls := e.number("/stats", "polls"); polls != 2 {
		t.Errorf("the backend saw %d polls, want 2", polls)
	}
}

func TestAroundParkerAPollIsAnsweredAtOnce(t *testing.T) {
	e := start(t)
	if body := e.get("/direct/messages?since=0"); body != "[]" {
		t.Errorf("a poll of an empty chat is answered %s, want []", body)
	}
	answer := e.held("0")
	e.write("/direct/messages", "hello")
	if body := within(t, 10*time.Second, "the held poll", answer); !strings.Contains(body, `"text":"hello"`) {
		t.Errorf("the held poll is answered %s", body)
	}
}

func TestBothPagesAreServed(t *testing.T) {
	e := start(t)
	for path, want := range map[string]string{"/": "Around parker", "/chat": "Write a message", "/direct/chat": "Write a message"} {
		if body := e.get(path); !strings.Contains(body, want) {
			t.Errorf("%s lacks %q", path, want)
		}
	}
}

func TestOnlyTheCountOfTheHookIsWithinReach(t *testing.T) {
	e := start(t)
	answer := e.held("0")
	publish, err := http.Post(e.address+"/held", "text/plain", strings.NewReader("forged"))
	if err != nil {
		t.Fatal(err)
	}
	publish.Body.Close()
	if publish.StatusCode != http.StatusNotFound {
		t.Errorf("POST /held is answered %s", publish.Status)
	}
	if waiting := e.number("/held?channel=other", "waiting"); waiting != 1 {
		t.Errorf("%d are waiting, want 1", waiting)
	}
	e.write("/messages", "hello")
	if body := within(t, 10*time.Second, "the held poll", answer); strings.Contains(body, "forged") {
		t.Errorf("the held poll is answered %s", body)
	}
}

func TestAnInterruptEndsBothAtOnce(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be interrupted by another")
	}
	e := start(t)
	answer := e.held("0")
	if err := e.command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- e.command.Wait() }()
	if err := within(t, 5*time.Second, "ending", ended); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if body := within(t, time.Second, "the held poll", answer); body != "[]" {
		t.Errorf("the held poll is answered %s, want []", body)
	}
	e.legacyEnds()
	if e.complaints.Len() > 0 {
		t.Errorf("it complained: %s", &e.complaints)
	}
	if left, err := os.ReadDir(e.folder); err != nil || len(left) > 0 {
		t.Errorf("it left %v behind, %v", left, err)
	}
}

func TestTheLegacyChatEndsWhereTheExampleIsKilled(t *testing.T) {
	e := start(t)
	if err := e.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	e.legacyEnds()
}

func (e *example) legacyEnds() {
	eventually(e.t, "the legacy chat has ended", func() bool {
		connection, err := net.Dial("tcp", "127.0.0.1:"+e.legacyPort)
		if err == nil {
			connection.Close()
		}
		return err != nil
	})
}

func TestAPortInUseIsNamed(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	for _, variable := range []string{"CHAT_PORT", "CHAT_LEGACY_PORT", "CHAT_HOOK_PORT"} {
		e := newExample(t, variable+"="+port)
		if err := e.command.Run(); err == nil {
			t.Errorf("it ran with %s=%s, which is in use", variable, port)
		}
		for _, want := range []string{variable, port, "in use"} {
			if !strings.Contains(e.complaints.String(), want) {
				t.Errorf("its complaint lacks %q: %s", want, &e.complaints)
			}
		}
	}
}
