package command

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"strings"
)

// direct leads to the application past parker: through a site on a socket of its own, as
// only Caddy understands all forms of an upstream's address.
type direct struct {
	http.Transport

	site   string // its Caddyfile
	socket string
}

func (a *advising) directly() *direct {
	d := &direct{socket: filepath.Join(a.folder, "direct")}
	d.site = "http://:1 {\n\tbind \"unix/" + d.socket + "\"\n\treverse_proxy " + strings.Join(a.to, " ") + "\n}\n"
	d.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", d.socket)
	}
	return d
}
