package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// settling is for how long clients poll before they are looked at, and window
	// for how long they are then. As they can be in step, it is a whole number of
	// intervals.
	settling = interval
	window   = 2 * interval

	// patience is how long all clients have to be held, or to hear a message.
	patience = time.Minute
)

// measure prints what it costs Jetty and Caddy that n clients ask for news, first
// through parker, then around it: that is what leaves Caddy with memory to be freed.
func measure(c *crowd, n int) error {
	before, err := now()
	if err != nil {
		return err
	}
	fmt.Printf("\n%s clients ask for news each second. Jetty has %d threads, of which one accepts and one selects.\n\n", grouped(n), before.Threads)
	fmt.Printf("%-14s %8s %9s %8s   %-17s   %s\n", "", "requests", "asks of", "threads", "memory of", "a message is heard, by the")
	fmt.Printf("%-14s %8s %9s %8s %8s %8s   %8s %9s %9s\n", "", "held", "Jetty/s", "busy", "Jetty", "Caddy", "first", "half", "last")
	fmt.Println(row{way: "before", begin: before, end: before})

	if err := c.connect(n); err != nil {
		return err
	}
	begin, err := allHeld(n)
	if err != nil {
		return err
	}
	if err := c.observe("through parker", n); err != nil {
		return err
	}
	end, err := allHeld(n)
	if err != nil {
		return err
	}

	c.path.Store(new(around))
	if _, err := c.tell(n); err != nil { // who is held goes around from then on
		return err
	}
	time.Sleep(settling)
	if err := c.observe("around parker", n); err != nil {
		return err
	}
	c.path.Store(new(through))
	fmt.Printf("\nThe message through parker cost Jetty %s asks: one for all that were held, the others as they came back.\n", grouped(int(end.Asked-begin.Asked)))
	fmt.Println("The clients go on through parker. Open the page, and write to them.")
	return nil
}

// observe looks at the clients for a while, has them hear a message, and prints a
// row.
func (c *crowd) observe(way string, n int) error {
	r := row{way: way}
	var err error
	if r.begin, err = now(); err != nil {
		return err
	}
	time.Sleep(window)
	if r.end, err = now(); err != nil {
		return err
	}
	if r.heard, err = c.tell(n); err != nil {
		return err
	}
	fmt.Println(r)
	return nil
}

// tell writes a message, and returns how long it took to each client.
func (c *crowd) tell(n int) (heard []time.Duration, err error) {
	for len(c.heard) > 0 {
		<-c.heard // what somebody else has written
	}
	begin := time.Now()
	answer, err := http.PostForm(site()+"/messages", url.Values{"name": {"Jetty"}, "text": {"Does everybody hear me?"}})
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var written message
	if err := json.NewDecoder(answer.Body).Decode(&written); err != nil {
		return nil, fmt.Errorf("writing is answered %s: %w", answer.Status, err)
	}
	for tooLong := time.After(patience); len(heard) < n; {
		select {
		case a := <-c.heard:
			if a.message == written.ID {
				heard = append(heard, a.at.Sub(begin))
			}
		case <-tooLong:
			return nil, fmt.Errorf("only %d of %d clients heard a message within %s", len(heard), n, patience)
		}
	}
	slices.Sort(heard)
	return heard, nil
}

// allHeld returns when so many requests are held.
func allHeld(n int) (figures, error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for tooLong := time.After(patience); ; {
		f, err := now()
		if err != nil || f.held >= n {
			return f, err
		}
		select {
		case <-tick.C:
		case <-tooLong:
			return f, fmt.Errorf("only %d of %d requests are held after %s", f.held, n, patience)
		}
	}
}

// figures are how things stand.
type figures struct {
	at          time.Time
	Asked       int64         // how often Jetty was asked for messages
	Busy        time.Duration // for how long the chat kept its threads busy, together
	Threads     int           // those of Jetty
	Memory      int64         // Jetty's, in bytes
	held        int           // requests in Caddy
	caddyMemory int64         // in bytes
}

// now asks Jetty and Caddy.
func now() (figures, error) {
	f := figures{at: time.Now()}
	answer, err := http.Get(site() + "/stats")
	if err != nil {
		return f, err
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&f); err != nil {
		return f, fmt.Errorf("the figures of Jetty: %w", err)
	}
	metrics, err := askMetrics("http://127.0.0.1:" + hookPort.Number() + "/metrics")
	f.held, f.caddyMemory = int(metrics["parker_parked_requests"]), int64(metrics["process_resident_memory_bytes"])
	return f, err
}

// askMetrics is what Prometheus would read there: values by name, of all labels
// together.
func askMetrics(address string) (map[string]float64, error) {
	answer, err := http.Get(address)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	sums := make(map[string]float64)
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		line := lines.Text()
		end := strings.LastIndexByte(line, ' ')
		if end < 0 || line[0] == '#' {
			continue
		}
		name, _, _ := strings.Cut(line[:end], "{")
		value, err := strconv.ParseFloat(line[end+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("the metrics of Caddy: %w", err)
		}
		sums[name] += value
	}
	return sums, lines.Err()
}

func site() string { return "http://127.0.0.1:" + sitePort.Number() }

// row is one of the table: what was seen between two moments, and how long a message
// took to each client, the shortest first.
type row struct {
	way        string
	begin, end figures
	heard      []time.Duration
}

func (r row) String() string {
	elapsed := r.end.at.Sub(r.begin.at)
	asks, busy := 0.0, 0.0
	if elapsed > 0 {
		asks = float64(r.end.Asked-r.begin.Asked) / elapsed.Seconds()
		busy = float64(r.end.Busy-r.begin.Busy) / float64(elapsed)
	}
	text := fmt.Sprintf("%-14s %8s %9s %8.2f %8s %8s", r.way, grouped(r.end.held), grouped(int(math.Round(asks))), busy, megabytes(r.end.Memory), megabytes(r.end.caddyMemory))
	if n := len(r.heard); n > 0 {
		text += fmt.Sprintf("   %8s %9s %9s", milliseconds(r.heard[0]), milliseconds(r.heard[n/2]), milliseconds(r.heard[n-1]))
	}
	return text
}

func milliseconds(d time.Duration) string { return grouped(int(d.Milliseconds())) + " ms" }

// megabytes is what the system told, or a dash where it does not tell.
func megabytes(bytes int64) string {
	if bytes == 0 {
		return "–"
	}
	return grouped(int(bytes>>20)) + " MB"
}

// grouped is a number that is not negative, with commas.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
