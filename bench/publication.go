package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// publication is a request that makes a server answer all waiting requests.
type publication struct {
	url, method, body string
	header            http.Header
}

func (p *publication) readURL(text string) error {
	address, err := url.Parse(text)
	if err != nil {
		return err
	}
	if address.Host == "" {
		return errors.New("it must contain a host")
	}
	p.url = text
	return nil
}

func (p *publication) readHeader(text string) error {
	name, value, err := readField(text)
	p.header.Add(name, value)
	return err
}

// send sends the request.
func (p *publication) send(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, p.method, p.url, strings.NewReader(p.body))
	if err != nil {
		return fmt.Errorf("publishing: %w", err)
	}
	if p.header != nil {
		r.Header = p.header
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("publishing: %w", err)
	}
	defer answer.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(answer.Body, 1000))
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("publishing: %s answered %s: %s", p.url, answer.Status, said)
	}
	return nil
}
