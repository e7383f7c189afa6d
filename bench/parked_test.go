package bench

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
	"github.com/caddy-parker/parker/internal/caddytest/inprocess"
)

// What one parked HTTP/1.1 request weighs, in resident memory of a process that
// does nothing but run Caddy: clients and backend are in another. "bare" is the
// floor: the same request, held without parker by a handler that has asked the
// backend and waits.
func BenchmarkParkedBytes(b *testing.B) {
	peer := startPeer(b)
	for _, holder := range []string{"parker", "bare"} {
		b.Run(holder, func(b *testing.B) { parkedBytes(b, peer, holder) })
	}
}

func parkedBytes(b *testing.B, peer *peer, holder string) {
	const parked, group = 5000, 50
	site := caddytest.FreePorts(b, 1)[0]
	inprocess.Serve(b, fmt.Sprintf(`{
	admin off
	persist_config off
	order bare before respond
}
http://%s {
	handle_path /hook/* {
		parker_publish
	}
	@polls path /messages
	%s @polls
	reverse_proxy %s
}`, site, holder, peer.backend))
	await := func(n int) {
		if holder == "bare" {
			awaitBare(b, n)
		} else {
			caddytest.AwaitWaiting(b, "http://"+site+"/hook/messages", n)
		}
	}
	park := func() {
		// In groups, as it is about those that are parked, not about a rush.
		for n := group; n <= parked; n += group {
			peer.park(b, site, group)
			await(n)
		}
	}
	leave := func() {
		peer.leave(b)
		await(0)
	}

	// The first ones warm up what stays for good: pools, buffers, connections.
	park()
	leave()
	for b.Loop() {
		before := resident(b)
		park()
		b.ReportMetric(float64(resident(b)-before)/parked, "bytes/request")
		leave()
	}
	b.ReportMetric(0, "ns/op")
}

// resident is the memory that this process holds once it has given back what it
// does not need.
func resident(b *testing.B) int64 {
	b.Helper()
	for range 3 { // stacks shrink by half at each collection
		runtime.GC()
	}
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip("this benchmark needs Linux's /proc: ", err)
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); fields[0] == "VmRSS:" {
			kilobytes, _ := strconv.ParseInt(fields[1], 10, 64)
			return kilobytes * 1024
		}
	}
	b.Fatal("there is no VmRSS")
	return 0
}

// peer is the other process.
type peer struct {
	backend string // where its backend listens

	say  io.Writer
	hear *bufio.Scanner
}

const isPeer = "PARKER_BENCH_PEER"

func startPeer(b *testing.B) *peer {
	b.Helper()
	process := exec.Command(os.Args[0])
	process.Env = append(os.Environ(), isPeer+"=yes")
	say, _ := process.StdinPipe()
	hear, _ := process.StdoutPipe()
	if err := process.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		say.Close() // it ends by that
		process.Wait()
	})
	p := &peer{say: say, hear: bufio.NewScanner(hear)}
	p.backend = p.next(b)
	return p
}

func (p *peer) park(b *testing.B, site string, n int) {
	fmt.Fprintln(p.say, n, site)
	p.next(b)
}

func (p *peer) leave(b *testing.B) {
	fmt.Fprintln(p.say, 0, "nowhere")
	p.next(b)
}

func (p *peer) next(b *testing.B) string {
	b.Helper()
	if !p.hear.Scan() {
		b.Fatal("the peer has ended: ", p.hear.Err())
	}
	return p.hear.Text()
}

// request is a browser's.
const request = "GET /messages?since=%d HTTP/1.1\r\nHost: %s\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
	"Accept: */*\r\nAccept-Language: en-GB,en;q=0.7,de;q=0.3\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Referer: http://legacy.example/rooms/7\r\nCookie: session=%032d\r\n" +
	"Sec-Fetch-Dest: empty\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\n\r\n"

// peerMain is the other process: a backend with nothing new, and clients.
func peerMain() {
	asked := make(chan struct{}, 1000)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, "[]")
		asked <- struct{}{}
	}))
	fmt.Println(strings.TrimPrefix(backend.URL, "http://"))
	var connections []net.Conn
	for {
		var n int
		var site string
		if _, err := fmt.Scanln(&n, &site); err != nil {
			return
		}
		if n == 0 {
			for _, conn := range connections {
				conn.Close()
			}
			connections = connections[:0]
		}
		for range n {
			conn, err := net.Dial("tcp", site)
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				return
			}
			connections = append(connections, conn)
			fmt.Fprintf(conn, request, len(connections), site, len(connections))
		}
		for range n {
			<-asked
		}
		fmt.Println("done")
	}
}
