// Package logging logs what clients can cause at will, without flooding the log.
package logging

import (
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Rarely logs a warning once a minute at most; the others in between are lost. The
// zero value is ready.
type Rarely struct {
	next atomic.Int64 // Unix time in nanoseconds
}

// Warn logs, if it is time.
func (r *Rarely) Warn(logger *zap.Logger, message string, err error) {
	now := time.Now()
	next := r.next.Load()
	if now.UnixNano() >= next && r.next.CompareAndSwap(next, now.Add(time.Minute).UnixNano()) {
		logger.Warn(message, zap.Error(err))
	}
}

// Sampled is a logger for debug lines of which there may be some for each request. Of
// those with the same message it writes the first 100 of each second, and from then on
// each hundredth, as Caddy's own sampling does by default.
func Sampled(logger *zap.Logger) *zap.Logger {
	if !logger.Core().Enabled(zap.DebugLevel) {
		return logger // nothing is written, and counting takes half a megabyte
	}
	return logger.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(core, time.Second, 100, 100)
	}))
}
