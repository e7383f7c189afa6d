package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-parker/parker/internal/advise"
	"github.com/caddy-parker/parker/internal/advise/traffic"
)

// ask asks the application for what a log does not say: the bodies of answers to polls.
func (a *advising) ask(ctx context.Context, analysis *advise.Analysis) (err error) {
	unseen := analysis.Report().Unseen()
	if len(a.to) == 0 || len(unseen) == 0 {
		return nil
	}
	if a.folder, err = os.MkdirTemp("", "parker"); err != nil {
		return err
	}
	defer os.RemoveAll(a.folder)
	direct := a.directly()
	if err := start(a.options() + direct.site); err != nil {
		return err
	}
	defer caddy.Stop()
	for _, request := range unseen {
		shown, err := askOnce(ctx, direct, request)
		if err != nil {
			fmt.Fprintf(a.stderr, "Asking the application for %s: %v\n", request.Path, err)
		} else if analysis.Show(shown) == 0 {
			fmt.Fprintf(a.stderr, "GET %s is answered with status %d and %s bytes now, to a request without cookies: no answer in the log is like that.\n",
				request.Path, shown.Status, comma(len(shown.Text)))
		}
	}
	return nil
}

// patience is how long the application may take for an answer.
const patience = 10 * time.Second

var errTooLong = errors.New("the answer is too long for a poll")

func askOnce(ctx context.Context, application http.RoundTripper, request advise.Request) (advise.Observation, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	o := advise.Observation{Begun: time.Now(), Method: http.MethodGet, Host: request.Host, Path: request.Path, Query: request.Query}
	r, err := http.NewRequestWithContext(ctx, o.Method, "http://direct"+strings.TrimSuffix(request.Path+"?"+request.Query, "?"), nil)
	if err != nil {
		return o, err
	}
	r.Host = request.Host
	r.Header.Set("Accept-Encoding", "identity") // a log counts the bytes of this, or of another coding
	reply, err := application.RoundTrip(r)
	if err != nil {
		return o, err
	}
	defer reply.Body.Close()
	if o.Text, err = io.ReadAll(io.LimitReader(reply.Body, traffic.MaxBody+1)); err != nil {
		return o, err
	}
	if len(o.Text) > traffic.MaxBody {
		return o, errTooLong
	}
	o.Status, o.Length = reply.StatusCode, int64(len(o.Text))
	return o, nil
}
