package poll

import (
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-parker/parker/internal/answer"
	"github.com/caddy-parker/parker/internal/asker"
	"github.com/caddy-parker/parker/internal/lot"
)

// IDOf returns the name of a request in debug logs: {http.request.uuid}, which its access
// log then has as well. It is empty if no debug logs are written. It must be called before
// the request is kept, because each replay would have another UUID.
func (c *Config) IDOf(r *http.Request) string {
	if !c.Asking.Logger.Core().Enabled(zap.DebugLevel) {
		return ""
	}
	id, _ := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).GetString("http.request.uuid")
	return id
}

// MarshalLogObject implements [zapcore.ObjectMarshaler] for the access log.
func (p *Poll) MarshalLogObject(fields zapcore.ObjectEncoder) error {
	fields.AddString("outcome", string(p.Report.Release))
	fields.AddFloat64("held", p.Report.Parked.Seconds())
	fields.AddInt("passes", p.Asker.Asks)
	fields.AddInt("channels", len(p.Asker.Channels))
	return nil
}

// DebugNotHeld logs why a request is not held, before the backend is asked.
func (c *Config) DebugNotHeld(id string, why answer.Detail) {
	if line := c.Asking.Logger.Check(zap.DebugLevel, "not held"); line != nil {
		line.Write(zap.String("uuid", id), zap.String("detail", string(why)))
	}
}

// debugNotHeld logs why the poll is not held: the backend's answer, and what it would take
// for it to be nothing new.
func (p *Poll) debugNotHeld(status int) {
	if p.Report.Release != answer.None {
		return
	}
	if line := p.config.Asking.Logger.Check(zap.DebugLevel, "not held"); line != nil {
		seen := p.Asker.Seen()
		line.Write(p.fields(zap.String("detail", string(p.Report.Detail)), zap.Int("status", status), zap.Int("size", seen.Size), zap.String("missing", seen.Missing))...)
	}
}

// debugParked logs that the poll is parked, and for how long at most.
func (p *Poll) debugParked(until time.Time) {
	if line := p.config.Asking.Logger.Check(zap.DebugLevel, "parked"); line != nil {
		line.Write(p.fields(zap.Duration("for", time.Until(until)))...)
	}
}

// debugReleased logs what has released the poll, and the channel of the event.
func (p *Poll) debugReleased(cause string, o lot.Outcome, held time.Duration) {
	if line := p.config.Asking.Logger.Check(zap.DebugLevel, "released"); line != nil {
		fields := p.fields(zap.String("cause", cause), zap.Duration("held", held))
		if o.Event != nil && o.Event.Channel != "" {
			fields = append(fields, zap.String("channel", o.Event.Channel))
		}
		line.Write(fields...)
	}
}

// debugReplayed logs the result of a replay.
func (p *Poll) debugReplayed(r asker.Reply) {
	if line := p.config.Asking.Logger.Check(zap.DebugLevel, "replayed"); line != nil {
		line.Write(p.fields(zap.Stringer("reply", r.Kind), zap.Error(r.Err))...)
	}
}

// debugMoved logs that the poll goes on in another configuration, as another request.
func (p *Poll) debugMoved() {
	if line := p.config.Asking.Logger.Check(zap.DebugLevel, "goes on in the new configuration"); line != nil {
		line.Write(p.fields()...)
	}
}

// fields returns the fields of each debug log.
func (p *Poll) fields(more ...zap.Field) []zap.Field {
	return append([]zap.Field{zap.String("uuid", p.id), zap.Strings("channels", p.Asker.Channels)}, more...)
}
