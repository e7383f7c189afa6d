package caddytest

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// nginxConfig has only the settings that nginx needs to run in the foreground and to
// keep its files in one directory.
const nginxConfig = `
daemon off;
master_process off;
pid %[1]s/pid;
error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/client_body;
	proxy_temp_path       %[1]s/proxy;
	fastcgi_temp_path     %[1]s/fastcgi;
	uwsgi_temp_path       %[1]s/uwsgi;
	scgi_temp_path        %[1]s/scgi;
	%[2]s
}
`

// StartNginx runs an nginx with default settings in front of a site until the test
// ends, and returns a client for it.
func StartNginx(t testing.TB, site string) *Client {
	t.Helper()
	return StartNginxWith(t, "server {\n\tlisten 80;\n\tlocation / {\n\t\tproxy_pass http://"+site+";\n\t}\n}")
}

// StartNginxWith runs an nginx until the test ends, and returns a client of it. servers
// is what stands in its http block; "listen 80;" in it becomes an address of the test's.
func StartNginxWith(t testing.TB, servers string) *Client {
	t.Helper()
	nginx := Need(t, "nginx is not installed; on Debian: apt-get install nginx", "nginx", "/usr/sbin/nginx")
	dir, address := t.TempDir(), FreePorts(t, 1)[0]
	servers = strings.ReplaceAll(servers, "listen 80;", "listen "+address+" reuseport;")
	config := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, nginxConfig, dir, servers), 0o600); err != nil {
		t.Fatal(err)
	}
	errors := new(Log)
	process := exec.Command(nginx, "-p", dir, "-e", "stderr", "-c", config)
	process.Stderr = errors
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- process.Wait() }()
	t.Cleanup(func() {
		process.Process.Signal(syscall.SIGTERM)
		<-ended
		if t.Failed() {
			t.Logf("nginx's log:\n%s", errors)
		}
	})
	Await(t, "nginx serves "+address, func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return &Client{
		Protocol:  "HTTP 1.1 through nginx",
		URL:       "http://" + address,
		Transport: &http.Transport{DisableCompression: true},
	}
}
