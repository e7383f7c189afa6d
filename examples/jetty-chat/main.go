// Command jetty-chat shows parker at work: it starts a Jetty with a chat whose servlet can
// only be polled, Caddy with the Caddyfile of this folder in front of it, and up to 10,000
// clients, as the limit of open files allows. It prints the load on Jetty and Caddy with
// and without parker. An interrupt ends all of them.
//
// Environment variables choose the ports: JETTY_CHAT_PORT is the site's (8094),
// JETTY_CHAT_JETTY_PORT Jetty's (8095), JETTY_CHAT_HOOK_PORT the hook's (9094).
// JETTY_CHAT_CLIENTS sets the number of clients.
package main

import (
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/caddy-parker/parker/examples/internal/run"
)

//go:embed Caddyfile ChatServlet.java Main.java page.html
var files embed.FS

var (
	sitePort  = run.Port{Variable: "JETTY_CHAT_PORT", Default: "8094"}
	jettyPort = run.Port{Variable: "JETTY_CHAT_JETTY_PORT", Default: "8095"}
	hookPort  = run.Port{Variable: "JETTY_CHAT_HOOK_PORT", Default: "9094"}
)

// clientsCommand is the argument that makes this program run the clients.
const clientsCommand = "clients"

func main() {
	if slices.Equal(os.Args[1:], []string{clientsCommand}) {
		if err := beClients(); err != nil {
			fmt.Fprintln(os.Stderr, "jetty-chat: the clients:", err)
			os.Exit(1)
		}
		return
	}
	run.Main(run.Example{
		Name:      "jetty-chat",
		Title:     "The chat",
		Site:      sitePort,
		Backend:   jettyPort,
		Hook:      hookPort,
		Files:     files,
		Folder:    "JETTY_CHAT_FOLDER",
		Command:   jetty,
		Alongside: startClients,
	})
}

// jars is where Debian's packages install Jetty and the servlet API.
const jars = "/usr/share/java"

// jetty compiles the chat and returns its command. It fails if the number of clients is
// not valid.
func jetty(folder, _ string) (program string, args []string, err error) {
	if _, err := number(); err != nil {
		return "", nil, err
	}
	const noJDK = "JDK 17 or newer not found: install default-jdk-headless"
	compiler, err := run.Find("javac", noJDK)
	if err != nil {
		return "", nil, err
	}
	program, err = run.Find("java", noJDK)
	if err != nil {
		return "", nil, err
	}
	var path []string
	for _, name := range []string{"jetty9-server", "jetty9-servlet", "jetty9-util", "jetty9-http", "jetty9-io", "jetty9-security", "servlet-api"} {
		path = append(path, filepath.Join(jars, name+".jar"))
		if _, err := os.Stat(path[len(path)-1]); err != nil {
			return "", nil, fmt.Errorf("finding Jetty 9: %w: install libjetty9-java and libservlet-api-java", err)
		}
	}
	path = append(path, folder)
	classes := strings.Join(path, string(filepath.ListSeparator))
	compile := exec.Command(compiler, "-d", folder, "-cp", classes, filepath.Join(folder, "ChatServlet.java"), filepath.Join(folder, "Main.java"))
	if output, err := compile.CombinedOutput(); err != nil {
		return "", nil, fmt.Errorf("compiling the chat: %w\n%s", err, output)
	}
	return program, []string{
		"-Xmx128m", "-XX:+UseSerialGC",
		"-Dorg.eclipse.jetty.LEVEL=WARN", "-Dorg.eclipse.jetty.util.log.announce=false",
		"-cp", classes, "Main",
	}, nil
}
