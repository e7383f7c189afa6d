package main

import (
	"context"
	"fmt"
	"time"
)

// passing is two Caddys in front of a backend that always has news. They differ in
// parker alone.
type passing struct {
	backend       *backend
	with, without *process
}

// batch is how many requests each of them is sent at a time, over as many connections.
const (
	batch       = 1000
	connections = 32
)

// startPassing starts them, and has them warm up. news is what the backend says.
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

// turn sends a batch through each, and returns the processor time that a request took
// there.
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

// passThrough is what a request costs that is not held: medians of all batches, in
// microseconds of Caddy's processor time.
type passThrough struct {
	Requests int     `json:"requests"` // that went through each
	With     float64 `json:"with_parker_us"`
	Without  float64 `json:"without_us"`
	Ratio    float64 `json:"ratio"` // the median of those of two batches in turn
}

// measure has them take turns for a while, once at least.
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
