package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// The programs of recipes run with nothing but what they need, until the test ends, and
// are returned with the address at which they serve.

const icecastConfig = `<icecast>
	<limits><sources>4</sources></limits>
	<authentication><source-password>secret</source-password><admin-user>admin</admin-user><admin-password>secret</admin-password></authentication>
	<hostname>localhost</hostname>
	<listen-socket><port>%[1]d</port><bind-address>127.0.0.1</bind-address></listen-socket>
	<http-headers><header name="Access-Control-Allow-Origin" value="*"/></http-headers>
	<paths><basedir>/usr/share/icecast2</basedir><logdir>%[2]s</logdir><webroot>/usr/share/icecast2/web</webroot><adminroot>/usr/share/icecast2/admin</adminroot></paths>
	<security><chroot>0</chroot><changeowner><user>nobody</user><group>nogroup</group></changeowner></security>
</icecast>`

func startIcecast(t *testing.T) (address string) {
	t.Helper()
	icecast := caddytest.Need(t, "Icecast is missing: install icecast2.", "icecast2")
	dir, port := shortDir(t), caddytest.LastingPort(t)
	ordinaryUser(t, dir)
	config := filepath.Join(dir, "icecast.xml")
	if err := os.WriteFile(config, fmt.Appendf(nil, icecastConfig, port, dir), 0o644); err != nil {
		t.Fatal(err)
	}
	runServer(t, icecast, "-c", config)
	return awaitProgram(t, port)
}

// playTo sends a station to Icecast until the test ends.
func playTo(t *testing.T, icecast, mount string) {
	t.Helper()
	station, err := net.Dial("tcp", icecast)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { station.Close() })
	fmt.Fprintf(station, "SOURCE %s HTTP/1.0\r\nAuthorization: Basic c291cmNlOnNlY3JldA==\r\nContent-Type: audio/mpeg\r\n\r\n", mount)
	go func() {
		for err := error(nil); err == nil; <-time.After(20 * time.Millisecond) {
			_, err = station.Write(make([]byte, 4096))
		}
	}()
	caddytest.Await(t, "Icecast has the station "+mount, func() bool {
		return strings.Contains(caddytest.Do(t.Context(), http.MethodGet, "http://"+icecast+"/status-json.xsl", "").Body, mount)
	})
}

func startAria2(t *testing.T, options ...string) (address string) {
	t.Helper()
	aria2 := caddytest.Need(t, "aria2 is missing: install aria2.", "aria2c")
	port := caddytest.LastingPort(t)
	runServer(t, aria2, append([]string{"--no-conf", "--quiet", "--enable-rpc", fmt.Sprint("--rpc-listen-port=", port), "--rpc-secret=secret", "--dir=" + t.TempDir()}, options...)...)
	return awaitProgram(t, port)
}

func startTransmission(t *testing.T) (address string) {
	t.Helper()
	transmission := caddytest.Need(t, "Transmission is missing: install transmission-daemon.", "transmission-daemon")
	dir, port := t.TempDir(), caddytest.LastingPort(t)
	write(t, filepath.Join(dir, "settings.json"), fmt.Sprintf(`{"rpc-port":%d,"rpc-bind-address":"127.0.0.1","rpc-authentication-required":false,"download-dir":%q,
		"peer-port":%d,"bind-address-ipv4":"127.0.0.1","dht-enabled":false,"lpd-enabled":false,"pex-enabled":false,"port-forwarding-enabled":false}`,
		port, dir, caddytest.LastingPort(t)))
	runServer(t, transmission, "--foreground", "--config-dir", dir)
	return awaitProgram(t, port)
}

// startDeluge runs Deluge with its web server, which is connected to it once somebody
// has logged in and called web.connect.
func startDeluge(t *testing.T) (address, host string) {
	t.Helper()
	const missing = "Deluge is missing: install deluged and deluge-web."
	deluged, web := caddytest.Need(t, missing, "deluged"), caddytest.Need(t, missing, "deluge-web")
	dir, port, webPort := t.TempDir(), caddytest.LastingPort(t), caddytest.LastingPort(t)
	write(t, filepath.Join(dir, "auth"), "localclient:secret:10\n")
	host = strings.Repeat("7", 32)
	write(t, filepath.Join(dir, "hostlist.conf"), fmt.Sprintf(`{"file":3,"format":1}{"hosts":[[%q,"127.0.0.1",%d,"localclient","secret"]]}`, host, port))
	write(t, filepath.Join(dir, "core.conf"), fmt.Sprintf(`{"file":1,"format":1}{"download_location":%q,"dht":false,"lsd":false,"upnp":false,"natpmp":false,"utpex":false,"listen_interface":"127.0.0.1","new_release_check":false}`, dir))
	runServer(t, deluged, "-c", dir, "-d", "-u", "127.0.0.1", "-p", fmt.Sprint(port), "-L", "error")
	awaitProgram(t, port)
	runServer(t, web, "-c", dir, "-d", "-i", "127.0.0.1", "-p", fmt.Sprint(webPort), "-L", "error")
	return awaitProgram(t, webPort), host
}

// startRadicale runs Radicale, which runs the program with the name of the user after each
// change.
func startRadicale(t *testing.T, hook string) (address string) {
	t.Helper()
	radicale := caddytest.Need(t, "Radicale is missing: install radicale.", "radicale")
	dir, port := t.TempDir(), caddytest.LastingPort(t)
	write(t, filepath.Join(dir, "users"), "ada:secret\n")
	write(t, filepath.Join(dir, "config"), fmt.Sprintf("[server]\nhosts = 127.0.0.1:%d\n[auth]\ntype = htpasswd\nhtpasswd_filename = %s/users\nhtpasswd_encryption = plain\ndelay = 0\n[storage]\nfilesystem_folder = %s/collections\nhook = %s %%(user)s\n", port, dir, dir, hook))
	runServer(t, radicale, "--config", filepath.Join(dir, "config"))
	return awaitProgram(t, port)
}

// awaitProgram returns the address of a program when it listens there.
func awaitProgram(t *testing.T, port int) (address string) {
	t.Helper()
	address = fmt.Sprint("127.0.0.1:", port)
	caddytest.Await(t, "a program listens at "+address, func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return address
}

// writeProgram stores a script that can be run.
func writeProgram(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}
