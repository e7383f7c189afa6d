package traffic

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/advise"
	"github.com/caddy-parker/parker/internal/caddytest"
)

func TestMain(m *testing.M) { caddytest.Main(m) }

// slow is how long the backend of these tests takes at least for /slow.
const slow = 50 * time.Millisecond

func backend(t *testing.T) string {
	return caddytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			<-time.After(slow)
		case "/missing":
			w.WriteHeader(http.StatusNotFound)
		}
		w.Header().Set("Content-Type", "application/json")
		http.SetCookie(w, &http.Cookie{Name: "id", Value: "topsecret"})
		io.WriteString(w, "[]")
	})
}

// request is what the tests send, and must find in the log.
type request struct{ method, path, query, agent string }

var requests = []request{
	{"GET", "/news", "since=1&x=%20%22", "Mozilla/5.0 (X11)"},
	{"GET", "/slow", "", `a "quoted\browser"`},
	{"POST", "/a%20b/é", "", "Mozilla/5.0 (X11)"},
	{"GET", "/missing", "", `a "quoted\browser"`},
	{"GET", "/last", "", "Mozilla/5.0 (X11)"},
}

// send sends all requests, one after another, and before the last one what is no request.
func send(t *testing.T, address, garbage string) {
	t.Helper()
	for _, r := range requests[:4] {
		exchange(t, address, r.text())
	}
	if garbage != "" {
		exchange(t, address, garbage)
	}
	exchange(t, address, requests[4].text())
}

func (r request) text() string {
	target := r.path
	if r.query != "" {
		target += "?" + r.query
	}
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: Example.com:80\r\nUser-Agent: %s\r\nCookie: id=topsecret\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", r.method, target, r.agent)
}

// garbage begins like TLS. Caddy does not log it.
const garbage = "\x16\x03\x01\"\\\r\n\r\n"

// exchange sends a text on a connection of its own, and reads until its end.
func exchange(t *testing.T, address, text string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(caddytest.Patience))
	io.WriteString(conn, text)
	io.Copy(io.Discard, conn) // a server may reset the connection
}

// awaitLog reads a log once its last request is there.
func awaitLog(t *testing.T, path string) []advise.Observation {
	t.Helper()
	var log []byte
	caddytest.Await(t, "the last request is in the log", func() bool {
		log, _ = os.ReadFile(path)
		_, after, found := strings.Cut(string(log), "/last")
		return found && strings.HasSuffix(after, "\n")
	})
	t.Logf("the log:\n%s", log)
	observations, _ := readAll(t, string(log))
	return observations
}

// hasRequests checks that the log has all requests and no other.
func hasRequests(t *testing.T, observations []advise.Observation, host string, timed bool) {
	t.Helper()
	// The clock of a log may be too coarse for the order.
	place := func(o advise.Observation) int {
		return slices.IndexFunc(requests, func(r request) bool { return r.path == o.Path })
	}
	slices.SortFunc(observations, func(a, b advise.Observation) int { return place(a) - place(b) })
	if len(observations) != len(requests) {
		t.Fatalf("%d observations: %+v", len(observations), observations)
	}
	clients := make(map[string]string)
	for i, o := range observations {
		want := requests[i]
		status := http.StatusOK
		if want.path == "/missing" {
			status = http.StatusNotFound
		}
		if o.Method != want.method || o.Path != want.path || o.Query != want.query || o.Host != host || o.Status != status || o.Length != -1 || o.Sent < 2 {
			t.Errorf("read %+v of %+v", o, want)
		}
		if age := time.Since(o.Begun); age < -o.Step || age > time.Hour {
			t.Errorf("%s began at %s", o.Path, o.Begun)
		}
		if long := o.Took >= slow; timed && long != (want.path == "/slow") && (want.path == "/slow" || o.Took > time.Minute) || !timed && o.Took != 0 {
			t.Errorf("%s took %s", o.Path, o.Took)
		}
		if before, seen := clients[want.agent]; seen && before != o.Client {
			t.Errorf("%s is of another client", o.Path)
		}
		clients[want.agent] = o.Client
		if text := indented(t, o); strings.Contains(text, "topsecret") || strings.Contains(text, "127.0.0.1") {
			t.Errorf("a secret is kept: %s", text)
		}
	}
	if clients[requests[0].agent] == clients[requests[1].agent] {
		t.Error("two browsers are one client")
	}
}

func TestReadTakesLogOfCaddy(t *testing.T) {
	t.Parallel()
	for name, format := range map[string]string{
		"JSON":      "json",
		"as text":   "json {\ntime_format rfc3339_nano\nduration_format string\n}",
		"console":   "console",
		"unix nano": "json {\ntime_format unix_nano\n}",
		"ms":        "json {\ntime_format rfc3339\ntime_key timestamp\nlevel_key severity\nmessage_key message\nduration_format ms\n}",
		"filtered":  "filter {\nrequest>headers>User-Agent hash\nrequest>remote_ip ip_mask 16 32\nrequest>client_ip ip_mask 16 32\nrequest>tls delete\nresp_headers delete\n}",
	} {
		t.Run(name, func(t *testing.T) {
			log := filepath.Join(t.TempDir(), "access.log")
			address := caddytest.FreePorts(t, 1)[0]
			_, port, _ := net.SplitHostPort(address)
			caddytest.Start(t, "http://{$SITE} {\nrespond up\n}\nhttp://:"+port+" {\nbind 127.0.0.1\nlog {\noutput file "+log+"\nformat "+format+"\n}\nreverse_proxy {$BACKEND}\n}\n", backend(t))
			send(t, address, "")
			hasRequests(t, awaitLog(t, log), "example.com", true)
		})
	}
}

func TestReadTakesLogOfNginx(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		format, host string
		timed        bool
	}{
		"combined":    {`'$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'`, "", false},
		"with time":   {`'$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" "$http_x_forwarded_for" $request_time'`, "", true},
		"time before": {`'$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent $request_time "$http_referer" "$http_user_agent" "$http_x_forwarded_for"'`, "", true},
		"host first":  {`'$host:$server_port $remote_addr - $remote_user [$time_iso8601] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" rt=$request_time urt="$upstream_response_time"'`, "example.com", true},
	} {
		t.Run(name, func(t *testing.T) {
			log := filepath.Join(t.TempDir(), "access.log")
			nginx := caddytest.StartNginxWith(t, "log_format test "+c.format+";\nserver {\naccess_log "+log+" test;\nlisten 80;\nserver_name example.com;\nlocation / {\nproxy_pass http://"+backend(t)+";\n}\n}")
			send(t, strings.TrimPrefix(nginx.URL, "http://"), garbage)
			hasRequests(t, awaitLog(t, log), c.host, c.timed)
		})
	}
}

func TestReadSaysWhatToDoWithJSONOfNginx(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "access.log")
	nginx := caddytest.StartNginxWith(t, `log_format test escape=json '{"time":"$time_iso8601","remote_addr":"$remote_addr","request":"$request","status":"$status","body_bytes_sent":"$body_bytes_sent"}';
server {
access_log `+log+` test;
listen 80;
location / {
proxy_pass http://`+backend(t)+`;
}
}`)
	exchange(t, strings.TrimPrefix(nginx.URL, "http://"), requests[4].text())
	var text []byte
	caddytest.Await(t, "the request is in the log", func() bool {
		text, _ = os.ReadFile(log)
		return strings.HasSuffix(string(text), "}\n")
	})
	if observed, err := errorOf(t, strings.NewReader(string(text))); observed != 0 || !strings.Contains(err.Error(), "For nginx, use the format combined") {
		t.Errorf("%d observations of %s, and the error %v", observed, text, err)
	}
}

// apacheConfig is what Apache needs to run as any user. It has Debian's formats.
const apacheConfig = `
ServerRoot %[1]s
DefaultRuntimeDir %[1]s
PidFile %[1]s/pid
ErrorLog /dev/stderr
ServerName example.com
Listen %[2]s
User nobody
Group nogroup
LoadModule mpm_event_module  /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule proxy_module      /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
LogFormat "%%h %%l %%u %%t \"%%r\" %%>s %%O \"%%{Referer}i\" \"%%{User-Agent}i\"" combined
LogFormat "%%v:%%p %%h %%l %%u %%t \"%%r\" %%>s %%O \"%%{Referer}i\" \"%%{User-Agent}i\" %%D" vhost_timed
CustomLog %[1]s/combined.log combined
CustomLog %[1]s/vhost_timed.log vhost_timed
ProxyPass / http://%[3]s/
`

func TestReadTakesLogOfApache(t *testing.T) {
	t.Parallel()
	apache := caddytest.Need(t, "Apache is missing: install apache2.", "apache2", "/usr/sbin/apache2")
	caddytest.SkipShort(t)
	address, dir := fmt.Sprint("127.0.0.1:", caddytest.LastingPort(t)), t.TempDir()
	config := filepath.Join(dir, "apache.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, apacheConfig, dir, address, backend(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	errors := new(caddytest.Log)
	server := exec.Command(apache, "-D", "FOREGROUND", "-f", config)
	server.Stderr = errors
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Signal(syscall.SIGTERM)
		server.Wait()
		if t.Failed() {
			t.Logf("Apache's log:\n%s", errors)
		}
	})
	caddytest.Await(t, "Apache serves "+address, func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	send(t, address, garbage)
	hasRequests(t, awaitLog(t, filepath.Join(dir, "combined.log")), "", false)
	hasRequests(t, awaitLog(t, filepath.Join(dir, "vhost_timed.log")), "example.com", true)
}
