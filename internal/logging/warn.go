// Package logging limits the number of log lines that clients can cause, and keeps
// requests out of the access log.
package logging

import (
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Rarely logs a warning at most once a minute. Warnings in between are dropped. The
// zero value is ready to use.
type Rarely struct {
	next atomic.Int64 // Unix time in nanoseconds
}

// Warn logs a warning, unless one was logged within the last minute.
func (r *Rarely) Warn(logger *zap.Logger, message string, err error) {
	now := time.Now()
	next := r.next.Load()
	if now.UnixNano() >= next && r.next.CompareAndSwap(next, now.Add(time.Minute).UnixNano()) {
		logger.Warn(message, zap.Error(err))
	}
}

// Sampled returns a logger for debug lines that are logged for each request. In each
// second it writes the first 100 lines with the same message, and then every hundredth,
// as Caddy's own sampling does by default.
func Sampled(logger *zap.Logger) *zap.Logger {
	if !logger.Core().Enabled(zap.DebugLevel) {
		return logger // no line is written, and a sampler takes half a megabyte
	}
	return logger.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(core, time.Second, 100, 100)
	}))
}
