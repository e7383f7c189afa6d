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

// options are the command's options.
type options struct {
	parked, streams int           // the number of parked requests and of streams
	compared        int           // the number of clients of each server that is compared
	duration        time.Duration // how long each kind of publish is measured
	json            bool
	profile         string // the folder for profiles of the servers that are compared, or ""

	// The following options are only for another server.

	url    *url.URL // nil if parker is measured
	header []string // header lines that clients add to each request
	// publication is the request that makes the server answer all clients, or nil.
	publication *publication
	pids        []int         // the server's processes
	settle      time.Duration // the time after which all requests count as held
}

// spareFiles is the number of open files that are reserved for other purposes than
// clients.
const spareFiles = 500

// parse parses the command's arguments. If they are invalid, it prints why and returns
// [errUsage].
func parse(args []string, complaints io.Writer) (*options, error) {
	o := &options{publication: &publication{header: make(http.Header)}}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(complaints)
	flags.IntVar(&o.parked, "parked", 5000, "number of parked `requests`; 0: measure none")
	flags.IntVar(&o.streams, "streams", 5000, "number of open `streams`; 0: measure none")
	flags.IntVar(&o.compared, "compared", 1000, "number of `clients` that poll parker and a bare net/http server in turns; 0: compare nothing")
	flags.DurationVar(&o.duration, "duration", 5*time.Second, "`time` to measure each kind of publish, passing through, and each comparison")
	flags.StringVar(&o.profile, "profile", "", "write profiles of the servers that are compared into this `folder`")
	flags.BoolVar(&o.json, "json", false, "write the figures as JSON")
	flags.Func("url", "measure the server at this `address`, which holds requests or streams events, instead of parker", o.readURL)
	flags.Func("header", "a header `field` that clients send to that server, such as \"Authorization: Bearer x\"; may repeat", o.readHeader)
	flags.Func("publish", "an `address` at which a request makes that server answer all clients", o.publication.readURL)
	flags.StringVar(&o.publication.method, "publish-method", http.MethodPost, "the `method` of that request")
	flags.StringVar(&o.publication.body, "publish-body", "", "the `body` of that request")
	flags.Func("publish-header", "a header `field` of that request; may repeat", o.publication.readHeader)
	flags.Func("pid", "the `processes` of that server, separated by commas, to measure their memory", o.readPids)
	flags.DurationVar(&o.settle, "settle", time.Second, "`time` after the last request until all requests count as held by that server")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		return nil, errUsage // the flag set has printed the reason
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

// check returns what is wrong with the combination of arguments, or "".
func (o *options) check(flags *flag.FlagSet) (flaw string) {
	switch {
	case flags.NArg() > 0:
		return fmt.Sprintf("%q is not understood: -h lists the flags", flags.Arg(0))
	case o.parked < 0 || o.streams < 0 || o.compared < 0:
		return "-parked, -streams and -compared must not be negative"
	case o.duration < 0 || o.settle < 0:
		return "-duration and -settle must not be negative"
	case o.url != nil && o.parked == 0 && o.streams == 0:
		return "-parked and -streams are both 0: there is nothing to measure"
	}
	given := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for _, name := range []string{"header", "publish", "pid", "settle"} {
		if given[name] && o.url == nil {
			return fmt.Sprintf("-%s requires -url", name)
		}
	}
	if given["compared"] && o.url != nil {
		return "-compared is only for parker: it does not go with -url"
	}
	for _, name := range []string{"publish-method", "publish-body", "publish-header"} {
		if given[name] && o.publication.url == "" {
			return fmt.Sprintf("-%s requires -publish", name)
		}
	}
	if given["profile"] && (o.url != nil || o.compared == 0) {
		return "-profile requires -compared"
	}
	return ""
}

func (o *options) readURL(text string) error {
	address, err := url.Parse(text)
	if err != nil {
		return err
	}
	if address.Scheme != "http" || address.Host == "" {
		return errors.New("it must begin with http:// and contain a host, because clients use HTTP/1.1 without TLS")
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
			return fmt.Errorf("%q is not a process ID", word)
		}
		o.pids = append(o.pids, pid)
	}
	return nil
}

// readField parses a header field.
func readField(text string) (name, value string, err error) {
	name, value, _ = strings.Cut(text, ":")
	value = strings.TrimSpace(value)
	if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
		return "", "", fmt.Errorf("%q is not of the form \"Name: value\"", text)
	}
	return name, value, nil
}

// limit reduces the numbers of clients to the connections that this process can have. It
// adds a note to the report if they are fewer than requested.
func (o *options) limit(r *report) {
	o.parked = fitting("-parked", o.parked, 1, r)
	o.streams = fitting("-streams", o.streams, 1, r)
	o.compared = fitting("-compared", o.compared, 2, r)
}

// fitting returns how many of the clients can connect at the same time to each of so many
// servers.
func fitting(name string, clients, servers int, r *report) int {
	most := max(openfiles.Limit()-spareFiles, 0) / servers
	if clients > most {
		r.note("%s %d: a process can have only %s open files (ulimit -n), so only %s are measured", name, clients, grouped(openfiles.Limit()), grouped(most))
	}
	return min(clients, most)
}
