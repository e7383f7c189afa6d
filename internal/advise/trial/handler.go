package trial

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// Handler counts and compares polls for `caddy parker advise --apply`, which adds it to the
// configuration that it serves. It changes no request and no answer.
type Handler struct {
	// Whether this is the handler directly in front of the application. Default: false.
	Backend bool `json:"backend,omitempty"`

	trial *Trial
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.parker_trial", New: func() caddy.Module { return new(Handler) }}
}

// Provision joins the trial that has begun.
func (h *Handler) Provision(caddy.Context) error {
	if h.trial = current.Load(); h.trial == nil {
		return errors.New("this handler is only for caddy parker advise --apply")
	}
	return nil
}

// ServeHTTP passes the request on.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	p := h.trial.pollOf(r)
	switch {
	case p == nil:
		return next.ServeHTTP(w, r)
	case h.Backend:
		p.asked()
		return next.ServeHTTP(w, r)
	}
	came := time.Now()
	p.came(came)
	defer func() { p.ended(came, time.Now()) }()
	c := p.compare(r)
	if c == nil {
		return next.ServeHTTP(w, r)
	}
	answer := &recorder{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}}
	err := next.ServeHTTP(answer, r)
	c.end(answer, err == nil && r.Context().Err() == nil)
	return err
}

// recorder keeps a copy of what is written, up to maxBody.
type recorder struct {
	*caddyhttp.ResponseWriterWrapper
	status int
	body   []byte
}

// WriteHeader implements [http.ResponseWriter].
func (r *recorder) WriteHeader(status int) {
	if status >= 200 && r.status == 0 {
		r.status = status
	}
	r.ResponseWriterWrapper.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	r.body = append(r.body, b[:min(len(b), maxBody-len(r.body))]...)
	return r.ResponseWriterWrapper.Write(b)
}

// ReadFrom implements [io.ReaderFrom]. Without it, what is copied would not be kept.
func (r *recorder) ReadFrom(source io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{r}, source)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
