package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/caddy-parker/parker/internal/caddytest"
)

// shortDir makes a directory that suits sockets, whose paths must be short.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// startFPM runs PHP's FastCGI server until the test ends, and returns its socket.
func startFPM(t *testing.T, root string) (socket string) {
	t.Helper()
	fpm := caddytest.Need(t, "PHP's FastCGI server is missing: install php-fpm.", "php-fpm", "/usr/sbin/php-fpm*")
	dir := shortDir(t)
	socket = filepath.Join(dir, "fpm")
	config := filepath.Join(dir, "fpm.conf")
	write(t, config, fmt.Sprintf("[global]\ndaemonize = no\nerror_log = /dev/stderr\n[recipe]\nuser = %d\nlisten = %s\nchdir = %s\npm = static\npm.max_children = 1\n",
		os.Getuid(), socket, root))
	runServer(t, fpm, "--nodaemonize", "--allow-to-run-as-root", "--fpm-config", config)
	caddytest.Await(t, "FPM listens", func() bool { return listens(socket) })
	return socket
}

func listens(socket string) bool {
	conn, err := net.Dial("unix", socket)
	if err == nil {
		conn.Close()
	}
	return err == nil
}

// startPostgreSQL runs a server until the test ends, and returns the environment
// in which psql finds it.
func startPostgreSQL(t *testing.T) []string {
	t.Helper()
	const missing = "PostgreSQL is missing: install postgresql."
	initdb := caddytest.Need(t, missing, "initdb", "/usr/lib/postgresql/*/bin/initdb")
	caddytest.Need(t, missing, "psql")
	dir := shortDir(t)
	credential := ordinaryUser(t, dir)
	data := filepath.Join(dir, "data")
	create := exec.Command(initdb, "--no-sync", "-A", "trust", "-U", "app", "-E", "UTF8", "--locale=C", "-D", data)
	create.Dir, create.SysProcAttr = dir, &syscall.SysProcAttr{Credential: credential}
	if output, err := create.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, output)
	}
	runDatabase(t, dir, credential, syscall.SIGINT, filepath.Join(filepath.Dir(initdb), "postgres"), "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off")
	environment := append(os.Environ(), "PGHOST="+dir, "PGUSER=app", "PGDATABASE=postgres", "PGOPTIONS=")
	caddytest.Await(t, "PostgreSQL answers", func() bool {
		ask := exec.Command("psql", "-qc", "SELECT 1")
		ask.Env = environment
		return ask.Run() == nil
	})
	return environment
}

// startMariaDB runs a server until the test ends, and returns the environment in
// which mysql finds it.
func startMariaDB(t *testing.T) []string {
	t.Helper()
	const missing = "MariaDB is missing: install mariadb-server."
	install := caddytest.Need(t, missing, "mariadb-install-db")
	server := caddytest.Need(t, missing, "mariadbd", "/usr/sbin/mariadbd")
	caddytest.Need(t, missing, "mysql")
	dir := shortDir(t)
	credential := ordinaryUser(t, dir)
	data, socket := filepath.Join(dir, "data"), filepath.Join(dir, "socket")
	create := exec.Command(install, "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db")
	create.Dir, create.SysProcAttr = dir, &syscall.SysProcAttr{Credential: credential}
	if output, err := create.CombinedOutput(); err != nil {
		t.Fatalf("mariadb-install-db: %v\n%s", err, output)
	}
	runDatabase(t, dir, credential, syscall.SIGTERM, server, "--no-defaults", "--datadir="+data, "--socket="+socket, "--skip-networking",
		"--pid-file="+filepath.Join(dir, "pid"), "--innodb-flush-log-at-trx-commit=0")
	home := t.TempDir()
	options := filepath.Join(home, ".my.cnf")
	write(t, options, "[client]\nuser=root\nsocket="+socket+"\n")
	environment := append(os.Environ(), "HOME="+home, "MYSQL_UNIX_PORT="+socket)
	caddytest.Await(t, "MariaDB answers", func() bool {
		ask := exec.Command("mysql", "-e", "CREATE DATABASE IF NOT EXISTS app")
		ask.Env = environment
		return ask.Run() == nil
	})
	write(t, options, "[client]\nuser=root\nsocket="+socket+"\n[mysql]\ndatabase=app\n")
	return environment
}

// runDatabase runs a server as the user until the test ends.
func runDatabase(t *testing.T, dir string, credential *syscall.Credential, end os.Signal, program string, args ...string) {
	t.Helper()
	log := new(caddytest.Log)
	server := exec.Command(program, args...)
	server.Dir, server.SysProcAttr = dir, &syscall.SysProcAttr{Credential: credential}
	server.Stdout, server.Stderr = log, log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Signal(end)
		server.Wait()
		if t.Failed() {
			t.Logf("%s logged:\n%s", program, log)
		}
	})
}

// nobody is the number of that user and group.
const nobody = 65534

// ordinaryUser gives the directory to nobody, who may run a database server: root
// may not. It is nil where the test's own user may.
func ordinaryUser(t *testing.T, dir string) *syscall.Credential {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: nobody, Gid: nobody}
}
