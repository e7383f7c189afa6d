package poll

import (
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-parker/parker/internal/answer"
	"github.com/caddy-parker/parker/internal/lot"
)

// IDOf is what debug lines call a request: {http.request.uuid}, which its access log
// has as well from then on. It is empty where no debug lines are written. It must be
// asked for before the request is kept: a replay would have another.
func (c *Config) IDOf(r *http.Request) string {
	if !c.Logger.Core().Enabled(zap.DebugLevel) {
		return ""
	}
	id, _ := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).GetString("http.request.uuid")
	return id
}

// MarshalLogObject implements [zapcore.ObjectMarshaler]: it is what access logs say of
// the poll once that has ended.
func (p *Poll) MarshalLogObject(fields zapcore.ObjectEncoder) error {
	fields.AddString("outcome", string(p.report.Release))
	fields.AddFloat64("held", p.report.Parked.Seconds())
	fields.AddInt("passes", p.passes)
	fields.AddInt("channels", len(p.channels))
	return nil
}

// DebugNotHeld says why a request is not held, before the backend is asked.
func (c *Config) DebugNotHeld(id string, why answer.Detail) {
	if line := c.Logger.Check(zap.DebugLevel, "not held"); line != nil {
		line.Write(zap.String("uuid", id), zap.String("detail", string(why)))
	}
}

// sight is what debug lines say of an answer that is news.
type sight struct {
	size    int    // of the body, as far as it was looked at
	missing string // for nothing new
}

// looked notes what was seen of an answer that is news, if debug lines are written.
func (p *Poll) looked(status int, header http.Header, body []byte) {
	if p.config.Logger.Core().Enabled(zap.DebugLevel) {
		p.seen = sight{len(body), p.config.Rules.WhyNews(p.request.Header(), status, header, body)}
	}
}

// debugNotHeld says why the poll is not held: what the backend's answer was, and what it
// would take for it to be nothing new.
func (p *Poll) debugNotHeld(status int) {
	if p.report.Release != answer.None {
		return
	}
	if line := p.config.Logger.Check(zap.DebugLevel, "not held"); line != nil {
		line.Write(p.fields(zap.String("detail", string(p.report.Detail)), zap.Int("status", status), zap.Int("size", p.seen.size), zap.String("missing", p.seen.missing))...)
	}
}

// debugParked says that the poll is parked, and for how long at the most.
func (p *Poll) debugParked(until time.Time) {
	if line := p.config.Logger.Check(zap.DebugLevel, "parked"); line != nil {
		line.Write(p.fields(zap.Duration("for", time.Until(until)))...)
	}
}

// debugReleased says what ended a park, and on which channel it was published.
func (p *Poll) debugReleased(cause string, o lot.Outcome, held time.Duration) {
	if line := p.config.Logger.Check(zap.DebugLevel, "released"); line != nil {
		fields := p.fields(zap.String("cause", cause), zap.Duration("held", held))
		if o.Event != nil && o.Event.Channel != "" {
			fields = append(fields, zap.String("channel", o.Event.Channel))
		}
		line.Write(fields...)
	}
}

// debugReplayed says what came of a replay.
func (p *Poll) debugReplayed(r Reply) {
	if line := p.config.Logger.Check(zap.DebugLevel, "replayed"); line != nil {
		line.Write(p.fields(zap.Stringer("reply", r.Kind), zap.Error(r.Err))...)
	}
}

// debugMoved says that the poll goes on in another configuration, as another request.
func (p *Poll) debugMoved() {
	if line := p.config.Logger.Check(zap.DebugLevel, "goes on in the new configuration"); line != nil {
		line.Write(p.fields()...)
	}
}

// fields are those of each debug line.
func (p *Poll) fields(more ...zap.Field) []zap.Field {
	return append([]zap.Field{zap.String("uuid", p.id), zap.Strings("channels", p.channels)}, more...)
}
