// Command cgi shows parker at work: it starts a guestbook from the nineties, a Perl script
// that lighttpd runs for each request, and Caddy with the Caddyfile of this folder in front
// of it. An interrupt ends both.
//
// Environment variables choose the ports: GUESTBOOK_PORT is the site's (8096),
// GUESTBOOK_SERVER_PORT lighttpd's (8097), GUESTBOOK_HOOK_PORT the hook's (9096).
package main

import (
	"embed"
	"os"
	"path/filepath"

	"github.com/caddy-parker/parker/examples/internal/run"
)

//go:embed Caddyfile lighttpd.conf site
var files embed.FS

func main() {
	run.Main(run.Example{
		Name:    "cgi",
		Title:   "The guestbook",
		Site:    run.Port{Variable: "GUESTBOOK_PORT", Default: "8096"},
		Backend: run.Port{Variable: "GUESTBOOK_SERVER_PORT", Default: "8097"},
		Hook:    run.Port{Variable: "GUESTBOOK_HOOK_PORT", Default: "9096"},
		Files:   files,
		Folder:  "GUESTBOOK_FOLDER",
		Command: lighttpd,
	})
}

// lighttpd returns the command of the server, which stores the entries in the folder.
func lighttpd(folder, _ string) (program string, args []string, err error) {
	perl, err := run.Find("perl", "Perl not found: install perl")
	if err != nil {
		return "", nil, err
	}
	os.Setenv("GUESTBOOK_PERL", perl)
	// lighttpd is often installed in a folder that is only in root's PATH.
	os.Setenv("PATH", os.Getenv("PATH")+string(filepath.ListSeparator)+"/usr/sbin")
	program, err = run.Find("lighttpd", "lighttpd not found: install lighttpd")
	return program, []string{"-D", "-f", filepath.Join(folder, "lighttpd.conf")}, err
}
