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
	// settling is how long clients poll before the measurement, and window is how long
	// it takes. Polls can be synchronized, so it is a whole number of intervals.
	settling = interval
	window   = 2 * interval

	// patience is how long it may take until all clients are held or have a message.
	patience = time.Minute
)

// measure prints the load that n clients put on Jetty and Caddy, first with parker, then
// without, as the second leaves Caddy with garbage that would distort its memory.
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
	if _, err := c.tell(n); err != nil { // held clients bypass parker from then on
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

// observe measures the clients for a while, sends them a message, and prints a row.
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

// tell writes a message and returns how long it took to reach each client.
func (c *crowd) tell(n int) (heard []time.Duration, err error) {
	for len(c.heard) > 0 {
		<-c.heard // an earlier message
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

// allHeld returns when n requests are held.
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

// figures are the counters at one moment.
type figures struct {
	at          time.Time
	Asked       int64         // polls that Jetty received
	Busy        time.Duration // total time for which the chat kept threads busy
	Threads     int           // of Jetty
	Memory      int64         // of Jetty, in bytes
	held        int           // requests held in Caddy
	caddyMemory int64         // in bytes
}

// now requests the figures of Jetty and Caddy.
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

// askMetrics returns the metrics at a URL: values by name, summed over all labels.
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

// row formats a row of the table from the figures at two moments and the times that a
// message took to reach each client, shortest first.
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

// megabytes formats a size, or returns a dash if the size is unknown.
func megabytes(bytes int64) string {
	if bytes == 0 {
		return "–"
	}
	return grouped(int(bytes>>20)) + " MB"
}

// grouped formats a number, which must not be negative, with commas.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
