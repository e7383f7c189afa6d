// Command second-factor shows parker at work: it starts a Java program with one thread,
// which reports whether a user's second factor has approved a login, and Caddy with the
// Caddyfile of this folder in front of it, which lets the page wait for that. An interrupt
// ends both.
//
// Environment variables choose the ports: SECOND_FACTOR_PORT is the site's (8092),
// SECOND_FACTOR_JAVA_PORT Java's (8093), SECOND_FACTOR_HOOK_PORT the hook's (9092).
package main

import (
	"embed"
	"path/filepath"

	"github.com/caddy-parker/parker/examples/internal/run"
)

//go:embed Caddyfile Backend.java login.html phone.html
var files embed.FS

func main() {
	run.Main(run.Example{
		Name:    "second-factor",
		Title:   "The login",
		Site:    run.Port{Variable: "SECOND_FACTOR_PORT", Default: "8092"},
		Backend: run.Port{Variable: "SECOND_FACTOR_JAVA_PORT", Default: "8093"},
		Hook:    run.Port{Variable: "SECOND_FACTOR_HOOK_PORT", Default: "9092"},
		Files:   files,
		Folder:  "SECOND_FACTOR_FOLDER",
		Command: java,
	})
}

// java returns a command that runs the source file directly, which needs a JDK. The options
// reduce the runtime's overhead. Without nodelay the JDK's server delays the end of an
// answer by 40 milliseconds.
func java(folder, _ string) (program string, args []string, err error) {
	const noJDK = "JDK 17 or newer not found: install default-jdk-headless"
	if _, err := run.Find("javac", noJDK); err != nil {
		return "", nil, err
	}
	program, err = run.Find("java", noJDK)
	return program, []string{"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dsun.net.httpserver.nodelay=true", filepath.Join(folder, "Backend.java")}, err
}
