package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/caddy-parker/parker/internal/openfiles"
)

// options are what the command is asked for.
type options struct {
	parked, streams int           // how many of each there are to be
	duration        time.Duration // for how long each kind of thing is measured
	json            bool

	// The rest is about another server.

	url    *url.URL // nil where parker itself is measured
	header []string // lines that the clients add to each request
	// publication is what has the server answer all; nil where nothing does.
	publication *publication
	pids        []int         // the server's processes
	settle      time.Duration // after which all requests are taken to be held
}

// spareFiles are those that a process has open besides its clients, and more.
const spareFiles = 500

// parse reads the command's arguments. Where they make no sense it says so, and
// returns [errUsage].
func parse(args []string, complaints io.Writer) (*options, error) {
	o := &options{publication: &publication{header: make(http.Header)}}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(complaints)
	flags.IntVar(&o.parked, "parked", 5000, "how many `requests` are parked; 0: measure none")
	flags.IntVar(&o.streams, "streams", 5000, "how many `streams` are open; 0: measure none")
	flags.DurationVar(&o.duration, "duration", 5*time.Second, "for how `long` each kind of publish, and passing through, is measured")
	flags.BoolVar(&o.json, "json", false, "write the figures as JSON")
	flags.Func("url", "measure the server at this `address`, which holds requests or streams events, in place of parker", o.readURL)
	flags.Func("header", "a `field` that clients send there, such as \"Authorization: Bearer x\"; may repeat", o.readHeader)
	flags.Func("publish", "the `address` to which a request has that server answer all clients", o.publication.readURL)
	flags.StringVar(&o.publication.method, "publish-method", http.MethodPost, "the `method` of that request")
	flags.StringVar(&o.publication.body, "publish-body", "", "the `body` of that request")
	flags.Func("publish-header", "a `field` of that request; may repeat", o.publication.readHeader)
	flags.Func("pid", "the `processes` of that server, whose memory is measured, with commas between them", o.readPids)
	flags.DurationVar(&o.settle, "settle", time.Second, "how `long` after the last request all are taken to be held there")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		return nil, errUsage // the flag set has said what is wrong
	}
	if flaw := o.check(flags); flaw != "" {
		fmt.Fprintln(complaints, "bench:", flaw)
		return nil, errUsage
	}
	if o.publication.url == "" {
		o.publication = nil
	}
	return o, nil
}

// check tells what is wrong with the arguments together.
func (o *options) check(flags *flag.FlagSet) (flaw string) {
	switch {
	case flags.NArg() > 0:
		return fmt.Sprintf("%q is not understood: -h lists the flags", flags.Arg(0))
	case o.parked < 0 || o.streams < 0:
		return "-parked and -streams must not be negative"
	case o.duration < 0 || o.settle < 0:
		return "-duration and -settle must not be negative"
	case o.url != nil && o.parked == 0 && o.streams == 0:
		return "-parked and -streams are both 0: there is nothing to measure"
	}
	given := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for _, name := range []string{"header", "publish", "pid", "settle"} {
		if given[name] && o.url == nil {
			return fmt.Sprintf("-%s is about another server, which -url names", name)
		}
	}
	for _, name := range []string{"publish-method", "publish-body", "publish-header"} {
		if given[name] && o.publication.url == "" {
			return fmt.Sprintf("-%s is about a request to the address that -publish gives", name)
		}
	}
	return ""
}

func (o *options) readURL(text string) error {
	address, err := url.Parse(text)
	if err != nil {
		return err
	}
	if address.Scheme != "http" || address.Host == "" {
		return errors.New("it must begin with http:// and name a host: the clients speak HTTP/1.1 without TLS")
	}
	o.url = address
	return nil
}

func (o *options) readHeader(text string) error {
	name, value, err := readField(text)
	o.header = append(o.header, name+": "+value)
	return err
}

func (o *options) readPids(text string) error {
	for word := range strings.SplitSeq(text, ",") {
		pid, err := strconv.Atoi(word)
		if err != nil || pid < 1 {
			return fmt.Errorf("%q is not the number of a process", word)
		}
		o.pids = append(o.pids, pid)
	}
	return nil
}

// readField reads a field of a request.
func readField(text string) (name, value string, err error) {
	name, value, _ = strings.Cut(text, ":")
	value = strings.TrimSpace(value)
	if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
		return "", "", fmt.Errorf("%q is not of the form \"Name: value\"", text)
	}
	return name, value, nil
}

// limit takes as many clients as this process can have connections for, and says so
// in the report where those are fewer than wanted.
func (o *options) limit(r *report) {
	o.parked = fitting("-parked", o.parked, r)
	o.streams = fitting("-streams", o.streams, r)
}

func fitting(name string, clients int, r *report) int {
	most := max(openfiles.Limit()-spareFiles, 0)
	if clients > most {
		r.note("%s %d: a process can have %s files open here (ulimit -n), so only %s are measured", name, clients, grouped(openfiles.Limit()), grouped(most))
	}
	return min(clients, most)
}
