package command

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"
)

// messages takes what Caddy writes to standard error while a table is drawn there.
type messages struct {
	mutex sync.Mutex
	last  string
	count int
}

// divert puts a pipe in the place of standard error, from which it reads messages, if a table
// is drawn there.
func (a *advising) divert() error {
	if !term.IsTerminal(int(a.stderr.Fd())) {
		return nil
	}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	a.messages = new(messages)
	os.Stderr = write
	go a.messages.follow(read)
	return nil
}

// restore undoes what divert has done, and writes the last message.
func (a *advising) restore() {
	if a.messages != nil {
		os.Stderr = a.stderr
		a.messages.write(a.stderr)
	}
}

func (m *messages) follow(pipe io.Reader) {
	for lines := bufio.NewScanner(pipe); lines.Scan(); {
		m.mutex.Lock()
		m.last, _, _ = strings.Cut(lines.Text(), "\t{") // the details are for a log
		m.count++
		m.mutex.Unlock()
	}
	io.Copy(io.Discard, pipe) // a line was too long: Caddy must not wait for a reader
}

// write writes the last message, if there is one.
func (m *messages) write(w io.Writer) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.count > 0 {
		fmt.Fprintf(w, "\nErrors reported by Caddy: %s, the last one:\n%s\n", comma(m.count), m.last)
	}
}
