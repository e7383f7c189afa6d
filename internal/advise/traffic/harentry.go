package traffic

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"github.com/caddy-parker/parker/internal/advise"
	"github.com/caddy-parker/parker/internal/advise/redact"
)

// harEntry is an entry of a HAR file: http://www.softwareishard.com/blog/har-12-spec/#entries.
// Names with an underscore are Chromium's, and _fetchType is Safari's. The messages of a
// WebSocket are left out.
type harEntry struct {
	Started string  `json:"startedDateTime"`
	Time    float64 `json:"time"` // in milliseconds, like all of Timings
	Timings struct {
		Blocked float64 `json:"blocked"`
		DNS     float64 `json:"dns"`
		Connect float64 `json:"connect"`
	} `json:"timings"`
	Request struct {
		Method  string     `json:"method"`
		URL     string     `json:"url"`
		Headers []harField `json:"headers"`
		Cookies []harField `json:"cookies"`
		Body    *harBody   `json:"postData"`
	} `json:"request"`
	Response struct {
		Status  int        `json:"status"`
		Headers []harField `json:"headers"`
		Sent    int64      `json:"bodySize"`
		Content harContent `json:"content"`
		Error   string     `json:"_error"`
	} `json:"response"`
	Cache     map[string]json.RawMessage `json:"cache"`
	FromCache json.RawMessage            `json:"_fromCache"`
	FetchType string                     `json:"_fetchType"`
	ByWorker  bool                       `json:"_fetchedViaServiceWorker"` // whose own request is another entry
}

// harField is a header field, a cookie or a parameter.
type harField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type harBody struct {
	Text   string     `json:"text"`
	Params []harField `json:"params"`
}

type harContent struct {
	Size     int64   `json:"size"`
	Text     *string `json:"text"`
	Encoding string  `json:"encoding"`
}

// observation returns what an entry says. An aborted request has the status 0.
func (f *harFile) observation(entry *harEntry) (o advise.Observation, why Why) {
	request, response := &entry.Request, &entry.Response
	begun, err := time.Parse(time.RFC3339, entry.Started)
	if err != nil {
		return o, Unknown
	}
	target, err := url.Parse(request.URL)
	if err != nil || !isToken(request.Method) {
		return o, NotRequest
	}
	if why := f.unsent(entry, target); why != "" {
		return o, why
	}
	requestFields, answerFields := header(request.Headers), header(response.Headers)
	if requestFields["Cookie"] == nil && len(request.Cookies) > 0 {
		requestFields["Cookie"] = []string{cookies(request.Cookies)}
	}
	o = advise.Observation{
		Begun:   begun.UTC(),
		Took:    milliseconds(entry.Time),
		Client:  f.key.Digest("browser", string(f.nonce[:]), requestFields.Get("User-Agent")),
		Host:    hostOf(target.Host),
		Method:  request.Method,
		Path:    strings.Clone(target.EscapedPath()),
		Query:   strings.Clone(target.RawQuery),
		Request: f.key.Request(requestFields),
		Body:    request.Body.known(),
		Status:  response.Status,
		Answer:  f.key.Answer(answerFields),
		Length:  -1,
		Sent:    max(response.Sent, 0),
	}
	if o.Path == "" {
		o.Path = "/"
	}
	f.credentials = f.credentials || requestFields["Cookie"] != nil || requestFields["Authorization"] != nil || answerFields["Set-Cookie"] != nil
	if f.chromium && !f.credentials {
		hideCookies(&o)
	}
	// The server sees the request once the browser has a connection for it.
	timings := entry.Timings
	if delay := milliseconds(timings.Blocked) + milliseconds(timings.DNS) + milliseconds(timings.Connect); delay <= o.Took {
		o.Begun, o.Took = o.Begun.Add(delay), o.Took-delay
	}
	if text, known := entry.text(answerFields); known {
		o.Length, o.Sum = int64(len(text)), f.key.Digest("body", text)
		if len(text) <= MaxBody {
			o.Text = []byte(text)
		}
	}
	return o, ""
}

// hideCookies marks the cookies of a request as unknown. Otherwise its answer could be taken
// for one that everybody gets.
func hideCookies(o *advise.Observation) {
	if o.Request == nil {
		o.Request = make(http.Header)
	}
	o.Request["Cookie"] = []string{redact.Unknown}
}

// unsent says why the server has never seen a request.
func (f *harFile) unsent(entry *harEntry, target *url.URL) Why {
	_, cached := entry.Cache["afterRequest"]
	fromCache := string(entry.FromCache)
	switch scheme := strings.ToLower(target.Scheme); {
	case scheme != "http" && scheme != "https" && scheme != "ws" && scheme != "wss" || target.Host == "":
		return NotHTTP
	case fromCache != "" && fromCache != "null" && fromCache != "false" && fromCache != `""`:
		return FromCache
	case cached && f.firefox || strings.HasSuffix(entry.FetchType, " Cache"):
		return FromCache
	case entry.ByWorker || entry.FetchType == "Service Worker":
		return FromWorker
	case strings.HasPrefix(entry.Response.Error, "net::ERR_BLOCKED"):
		return NotSent
	}
	return ""
}

// text returns the body of the answer. known is false if the browser has not kept it, or not
// all of it.
func (e *harEntry) text(answer http.Header) (text string, known bool) {
	content, status := &e.Response.Content, e.Response.Status
	switch {
	case status >= 200 && answer.Get("Content-Length") == "0":
		return "", true // also if the page has not read it
	case status == 0 || e.Response.Error != "" || status == http.StatusSwitchingProtocols || strings.HasPrefix(answer.Get("Content-Type"), "text/event-stream"):
		return "", false // it has not ended by itself
	case status == http.StatusNotModified || status == http.StatusNoContent || e.Request.Method == http.MethodHead:
		return "", true // a browser gives here what it has in its cache
	case content.Text == nil || *content.Text == "":
		return "", content.Size == 0 && e.sentNothing(answer)
	}
	text = *content.Text
	if content.Encoding == "base64" {
		decoded, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return "", false
		}
		text = string(decoded)
	} else if content.Encoding != "" {
		return "", false
	}
	// Size is that of the original charset, in which a text is at most twice as long as in
	// UTF-8, unless it was cut.
	return text, content.Size <= 2*int64(len(text))+2
}

// sentNothing reports whether the body of an answer can be empty. A browser may have dropped
// it. The end of a chunked body counts as part of it.
func (e *harEntry) sentNothing(answer http.Header) bool {
	const chunkedEnd = len("0\r\n\r\n")
	declared := answer.Get("Content-Length")
	return e.Response.Sent <= int64(chunkedEnd) && (declared == "" || declared == "0")
}

// known returns the body of a request, if it is known and short.
func (b *harBody) known() []byte {
	if b == nil {
		return nil
	}
	text := b.Text
	if text == "" && len(b.Params) > 0 {
		form := make(url.Values)
		for _, parameter := range b.Params {
			form.Add(parameter.Name, parameter.Value)
		}
		text = form.Encode()
	}
	if text == "" || len(text) > MaxBody {
		return nil
	}
	return []byte(text)
}

func header(fields []harField) http.Header {
	result := make(http.Header, len(fields))
	for _, field := range fields {
		name := textproto.CanonicalMIMEHeaderKey(field.Name)
		// Firefox joins the values of fields that were sent several times by line breaks.
		result[name] = append(result[name], strings.Split(field.Value, "\n")...)
	}
	return result
}

func cookies(fields []harField) string {
	pairs := make([]string, len(fields))
	for i, cookie := range fields {
		pairs[i] = cookie.Name + "=" + cookie.Value
	}
	return strings.Join(pairs, "; ")
}

// milliseconds returns 0 for what is not known, which a HAR file writes as -1.
func milliseconds(value float64) time.Duration { return inSeconds(value / 1e3) }
