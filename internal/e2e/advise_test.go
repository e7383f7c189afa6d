package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// desk is a help desk: GET /tickets/updates?since= returns the tickets after a number, and
// POST /tickets/reply adds one.
type desk struct {
	address string
	asks    atomic.Int32

	mutex   sync.Mutex
	tickets []string
}

func startDesk(t *testing.T) *desk {
	d := new(desk)
	d.address = caddytest.Serve(t, d.serve)
	return d
}

func (d *desk) serve(w http.ResponseWriter, r *http.Request) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	switch r.URL.Path {
	case "/tickets/reply":
		d.tickets = append(d.tickets, r.FormValue("text"))
		http.Redirect(w, r, "/", http.StatusSeeOther)
	case "/tickets/updates":
		d.asks.Add(1)
		since, _ := strconv.Atoi(r.FormValue("since"))
		json.NewEncoder(w).Encode(append([]string{}, d.tickets[min(since, len(d.tickets)):]...))
	default:
		fmt.Fprintln(w, "<title>Help desk</title>")
	}
}

// page polls as a page of the desk does until ctx is canceled: some time after each answer.
func (d *desk) page(ctx context.Context, t *testing.T, site, cookie string) {
	since := 0
	pause := time.NewTicker(200 * time.Millisecond)
	defer pause.Stop()
	for number := 0; ctx.Err() == nil; number++ {
		url := fmt.Sprintf("%s/tickets/updates?since=%d&_=%d", site, since, time.Now().UnixMilli())
		answer := caddytest.Do(ctx, http.MethodGet, url, "", "Cookie: desk="+cookie, "User-Agent: Mozilla/5.0 "+cookie)
		if answer.Err == nil {
			var news []string
			if err := json.Unmarshal([]byte(answer.Body), &news); err != nil {
				t.Errorf("a poll got status %d, %s", answer.Status, answer.Body)
				return
			}
			since += len(news)
		}
		pause.Reset(200 * time.Millisecond)
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
	}
}

// use polls as three people do, and replies to some tickets, with the given pause.
func (d *desk) use(t *testing.T, site string, replies int, pause time.Duration) {
	ctx, leave := context.WithCancel(t.Context())
	var pages sync.WaitGroup
	for number := range 3 {
		pages.Go(func() { d.page(ctx, t, site, fmt.Sprint("secret", number)) })
	}
	ticks := time.NewTicker(pause)
	defer ticks.Stop()
	for number := range replies {
		<-ticks.C
		answer := caddytest.Do(ctx, http.MethodPost, site+"/tickets/reply", fmt.Sprint("text=hidden", number), "Content-Type: application/x-www-form-urlencoded", "Cookie: desk=secret1")
		if answer.Status != http.StatusSeeOther {
			t.Errorf("a reply got status %d, %v", answer.Status, answer.Err)
		}
	}
	<-ticks.C
	leave()
	pages.Wait()
}

// adviser is a running `caddy parker advise --to`.
type adviser struct {
	site           string
	command        *exec.Cmd
	stdout, stderr *caddytest.Log
}

func startAdviser(t *testing.T, backend string, args ...string) *adviser {
	t.Helper()
	address := caddytest.FreePorts(t, 1)[0]
	a := &adviser{site: "http://" + address, stdout: new(caddytest.Log), stderr: new(caddytest.Log)}
	a.command = caddytest.Command(t, append([]string{"parker", "advise", "--from", a.site, "--to", "http://" + backend}, args...)...)
	a.command.Stdout, a.command.Stderr = a.stdout, a.stderr
	if err := a.command.Start(); err != nil {
		t.Fatal(err)
	}
	caddytest.Await(t, "Caddy listens", func() bool { return strings.Contains(a.stderr.String(), "Listening on "+a.site) })
	return a
}

// interrupt presses Ctrl+C.
func (a *adviser) interrupt(t *testing.T) {
	t.Helper()
	if err := a.command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
}

func (a *adviser) wait(t *testing.T) {
	t.Helper()
	if err := a.command.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, a.stderr)
	}
}

// contains reports lines that a text does not contain, apart from white space.
func contains(t *testing.T, text string, lines ...string) {
	t.Helper()
	flat := strings.Join(strings.Fields(text), " ")
	for _, line := range lines {
		if !strings.Contains(flat, strings.Join(strings.Fields(line), " ")) {
			t.Errorf("no %q in:\n%s", line, text)
		}
	}
}

func TestAdviseWritesCaddyfileThatHoldsThePolls(t *testing.T) {
	t.Parallel()
	caddytest.SkipShort(t)
	d := startDesk(t)
	a := startAdviser(t, d.address)
	d.use(t, a.site, 6, 1100*time.Millisecond)
	a.interrupt(t)
	a.wait(t)
	advice := a.stdout.String()
	contains(t, advice, "parker_notify /tickets/reply tickets", "parker /tickets/updates tickets {", "ignore_query _", "reverse_proxy http://"+d.address)
	for _, hidden := range []string{"secret", "hidden"} {
		if strings.Contains(advice+a.stderr.String(), hidden) {
			t.Errorf("the advice contains what people have sent:\n%s", advice)
		}
	}
	caddy := caddytest.Start(t, strings.Replace(advice, a.site, "http://{$SITE}", 1)+"\nhttp://{$HOOK} {\nparker_publish\n}\n", "")
	held := caddytest.Get(t.Context(), "http://"+caddy.Site+"/tickets/updates?since=6&_=1")
	caddy.AwaitWaiting(t, "tickets", 1)
	caddytest.Do(t.Context(), http.MethodPost, "http://"+caddy.Site+"/tickets/reply", "text=new", "Content-Type: application/x-www-form-urlencoded")
	if answer := <-held; answer.Body != "[\"new\"]\n" {
		t.Errorf("the held poll got status %d, %s", answer.Status, answer.Body)
	}
}

func TestAdviseAppliesAndCompares(t *testing.T) {
	t.Parallel()
	caddytest.SkipShort(t)
	d := startDesk(t)
	a := startAdviser(t, d.address, "--for", "8s", "--apply", "--output", filepath.Join(t.TempDir(), "Caddyfile"))
	d.use(t, a.site, 6, 1100*time.Millisecond)
	caddytest.Await(t, "the advice is in force", func() bool { return strings.Contains(a.stderr.String(), "The advice is in force") })
	d.use(t, a.site, 6, 1100*time.Millisecond)
	a.interrupt(t)
	a.wait(t)
	figures := regexp.MustCompile(`GET /tickets/updates +\d+ +(\d+) +(\d+) +([\d.]+)% +(\d+) compared, \S+ sooner on average, none later`).FindStringSubmatch(a.stderr.String())
	if figures == nil || figures[4] == "0" {
		t.Fatalf("no figures of the comparison:\n%s", a.stderr)
	}
	if spared, _ := strconv.ParseFloat(figures[3], 64); spared < 30 {
		t.Errorf("%s asks became %s:\n%s", figures[1], figures[2], a.stderr)
	}
}

func TestAdviseTellsWhereClientsGetNewsLater(t *testing.T) {
	t.Parallel()
	caddytest.SkipShort(t)
	d := startDesk(t)
	a := startAdviser(t, d.address, "--for", "8s", "--apply")
	d.use(t, a.site, 6, 1100*time.Millisecond)
	caddytest.Await(t, "the advice is in force", func() bool { return strings.Contains(a.stderr.String(), "The advice is in force") })
	before := d.asks.Load()
	held := caddytest.Get(t.Context(), a.site+"/tickets/updates?since=6&_=1", "Cookie: desk=secret1")
	asked := func(n int32) func() bool { return func() bool { return d.asks.Load() >= before+n } }
	caddytest.Await(t, "the poll is held and compared", asked(3))
	caddytest.Do(t.Context(), http.MethodPost, "http://"+d.address+"/tickets/reply", "text=past", "Content-Type: application/x-www-form-urlencoded") // past Caddy
	caddytest.Await(t, "the page would have got it", asked(6))
	a.interrupt(t)
	if answer := <-held; answer.Release() != "stop" {
		t.Errorf("the poll got %+v", answer)
	}
	a.wait(t)
	contains(t, a.stderr.String(), "; 1 LATER than without parker, by up to")
}

func TestAdviseReadsLogs(t *testing.T) {
	t.Parallel()
	caddytest.SkipShort(t)
	d := startDesk(t)
	log := filepath.Join(t.TempDir(), "access.log")
	caddy := caddytest.Start(t, "http://{$SITE} {\nlog {\noutput file "+log+"\n}\nreverse_proxy {$BACKEND}\n}", d.address)
	d.use(t, "http://"+caddy.Site, 6, 1100*time.Millisecond)
	for _, c := range []struct{ to, reason string }{
		{"", "probably [] or {}, as it has 3 bytes"},
		{d.address, "the answer is what parker holds by default: []"},
	} {
		args := []string{"advise", "--log", log}
		if c.to != "" {
			args = append(args, "--to", c.to)
		}
		stdout, stderr, code := parker(t, caddy, "", args...)
		if code != 0 {
			t.Fatalf("code %d, %s", code, stderr)
		}
		contains(t, stdout, c.reason, "parker_notify /tickets/reply tickets", "parker /tickets/updates tickets {")
		contains(t, stderr, log+": ", " requests")
	}
}

func TestAdviseRefusesWrongArguments(t *testing.T) {
	t.Parallel()
	existing := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(existing, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for args, want := range map[string]string{
		"--to :1 --from http://" + taken.Addr().String(): "is in use: choose another address with --from",
		"--for 5m":                        "--for needs --to",
		"--apply --log x --to :1":         "--apply needs --to, and no --log",
		"--to :1 --for tomorrow":          "--for tomorrow: not a duration",
		"--to :1 --address localhost:1":   "--address is for the advice of a running Caddy",
		"--to :1 --output " + existing:    "the file exists",
		"--to http://localhost:1/path":    "path",
		"--log /does/not/exist":           "no such file",
		"--address localhost:1":           "connection refused",
		"--to :1 --from http://local{}:1": "is not an address",
		"desk":                            "needs no arguments",
	} {
		command := caddytest.Command(t, append([]string{"parker", "advise"}, strings.Fields(args)...)...)
		if output, err := command.CombinedOutput(); err == nil || !strings.Contains(string(output), want) {
			t.Errorf("%s: %v, %s", args, err, output)
		}
	}
}
