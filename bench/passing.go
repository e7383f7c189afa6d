package main

import (
	"context"
	"fmt"
	"time"
)

// passing is a Caddy with parker and one without, in front of a backend that always has
// news.
type passing struct {
	backend       *backend
	with, without *process
}

// The number of requests that each of them is sent at a time, and of connections that
// are used.
const (
	batch       = 1000
	connections = 32
)

// startPassing starts both and sends each a first batch. news is the backend's answer.
func startPassing(ctx context.Context, news string) (p *passing, err error) {
	p = new(passing)
	defer func() {
		if err != nil {
			p.stop()
		}
	}()
	if p.backend, err = startBackend(news); err != nil {
		return p, err
	}
	const caddyfile = "{%s}\nhttp://{$SITE} {\n%s\nreverse_proxy %s\n}"
	if p.with, err = startCaddy(ctx, fmt.Sprintf(caddyfile, globalOptions, "parker", p.backend.address)); err != nil {
		return p, err
	}
	if p.without, err = startCaddy(ctx, fmt.Sprintf(caddyfile, globalOptions, "", p.backend.address)); err != nil {
		return p, err
	}
	_, _, err = p.turn(ctx)
	return p, err
}

func (p *passing) stop() {
	for _, caddy := range []*process{p.with, p.without} {
		if caddy != nil {
			caddy.stop()
		}
	}
	if p.backend != nil {
		p.backend.stop()
	}
}

// turn sends a batch to each, and returns the processor time per request.
func (p *passing) turn(ctx context.Context) (with, without time.Duration, err error) {
	if with, err = spent(ctx, p.with); err == nil {
		without, err = spent(ctx, p.without)
	}
	return with, without, err
}

func spent(ctx context.Context, caddy *process) (time.Duration, error) {
	before, err := processorTime(caddy.pid)
	if err != nil {
		return 0, err
	}
	if err := load(ctx, "http://"+caddy.site+"/news", batch, connections); err != nil {
		return 0, fmt.Errorf("passing through: %w", err)
	}
	after, err := processorTime(caddy.pid)
	return (after - before) / batch, err
}

// passThrough holds the processor time of Caddy for a request that is not held, in
// microseconds. It is the median of all batches.
type passThrough struct {
	Requests int     `json:"requests"` // the number of requests to each
	With     float64 `json:"with_parker_us"`
	Without  float64 `json:"without_us"`
	Ratio    float64 `json:"ratio"` // the median ratio of two successive batches
}

// measure sends batches to both in turn for the duration, at least one to each.
func (p *passing) measure(ctx context.Context, duration time.Duration, bar *progress) (*passThrough, error) {
	var with, without []time.Duration
	for begin := time.Now(); len(with) == 0 || time.Since(begin) < duration; {
		bar.show("passing through", int(time.Since(begin)), int(duration))
		a, b, err := p.turn(ctx)
		if err != nil {
			return nil, err
		}
		with, without = append(with, a), append(without, b)
	}
	return passThroughOf(with, without), nil
}

func passThroughOf(with, without []time.Duration) *passThrough {
	var ratios []float64
	for i := range with {
		ratios = append(ratios, float64(with[i])/float64(without[i]))
	}
	return &passThrough{
		Requests: len(with) * batch,
		With:     1000 * medianMillis(with),
		Without:  1000 * medianMillis(without),
		Ratio:    median(ratios),
	}
}
