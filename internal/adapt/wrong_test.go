package adapt

import (
	"fmt"
	"strings"
	"testing"
)

// frame is the part of a Caddyfile around a text that stands in a block of it.
type frame struct {
	before, after string
}

func (f frame) around(text string) string {
	return f.before + text + f.after
}

// The blocks that a text can stand in, and their frames.
const (
	inGlobal = iota
	inParker
	inNothingNew
	inNotify
	inPublish
	inSite
)

var frames = [...]frame{
	inGlobal:     {"{\n\tparker {\n", "\n\t}\n}\nhttp://localhost {\n}\n"},
	inParker:     {"http://localhost {\n\tparker {\n", "\n\t}\n}\n"},
	inNothingNew: {"http://localhost {\n\tparker {\n\t\tnothing_new {\n", "\n\t\t}\n\t}\n}\n"},
	inNotify:     {"http://localhost {\n\tparker_notify {\n", "\n\t}\n}\n"},
	inPublish:    {"http://localhost {\n\tparker_publish {\n", "\n\t}\n}\n"},
	inSite:       {"http://localhost {\n", "\n}\n"},
}

// wrongUses are refused with these words, at this line of the text.
var wrongUses = []struct {
	block uint8
	text  string
	line  int
	says  string
}{
	{inGlobal, "broker", 1, "broker: wrong argument count or unexpected line ending after 'broker'"},
	{inGlobal, "broker kafka", 1, "broker: unknown broker \"kafka\": this build of Caddy includes only: memory, nats, redis. The brokers of parker are memory, nats, redis. "},
	{inGlobal, "broker memory fast", 1, "broker: wrong argument count or unexpected line ending after 'fast'"},
	{inGlobal, "broker memory {\n\tsize 3\n}", 2, "broker: unrecognized option of the memory broker: size"},
	{inGlobal, "broker redis {\n\turl http://a\n}", 2, "broker: url: it must begin with redis://, rediss:// or unix://"},
	{inGlobal, "broker redis {\n\turl redis://a redis://b\n}", 2, "broker: url: more than one URL requires the option cluster or sentinel"},
	{inGlobal, "broker redis {\n\tprefix a\n\tdatabase x\n}", 3, "broker: database: bad number 'x'"},
	{inGlobal, "broker redis {\n\ttls {\n\t\tcert a\n\t}\n}", 3, "broker: tls: cert: wrong argument count or unexpected line ending after 'a'"},
	{inGlobal, "broker nats {\n\turl http://a\n}", 2, "broker: url: it must begin with nats://, tls://, ws:// or wss://"},
	{inGlobal, "broker nats {\n\ttoken a\n\tnkey b\n}", 3, "broker: nkey: token is given already"},
	{inGlobal, "broker nats {\n\treplicas 9\n}", 2, "broker: replicas: bad number '9': must be from 1 to 5"},
	{inGlobal, "broker memory\nmax_parked 5\nbroker memory", 3, "broker is given twice"},
	{inGlobal, "history", 1, "history: wrong argument count or unexpected line ending after 'history'"},
	{inGlobal, "history 0 10m", 1, "history: bad number '0': must be at least 1"},
	{inGlobal, "history many 10m", 1, "history: bad number 'many': "},
	{inGlobal, "history 100 0s", 1, "history: bad duration '0s': must be at least 1ns"},
	{inGlobal, "history 100 ten", 1, "history: bad duration 'ten': "},
	{inGlobal, "history 100 100MB", 1, "history: bad duration '100MB': "},
	{inGlobal, "history 100 10m 0MB", 1, "history: bad size '0MB': must be at least one byte"},
	{inGlobal, "history 100 10m all", 1, "history: bad size 'all': "},
	{inGlobal, "history 100 10m 1MB 5", 1, "history: wrong argument count or unexpected line ending after '5'"},
	{inGlobal, "history 100 {\n\tx\n}", 1, "history: unexpected token '{', expecting argument"},
	{inGlobal, "history 100 10m\nhistory 100 10m", 2, "history is given twice"},
	{inGlobal, "max_channels_per_client 0", 1, "max_channels_per_client: bad number '0': must be at least 1"},
	{inGlobal, "max_channels_per_client all", 1, "max_channels_per_client: bad number 'all': "},
	{inGlobal, "max_parked", 1, "max_parked: wrong argument count or unexpected line ending after 'max_parked'"},
	{inGlobal, "max_parked -1", 1, "max_parked: bad number '-1': must be at least 1"},
	{inGlobal, "max_parked 1.5", 1, "max_parked: bad number '1.5': "},
	{inGlobal, "max_parked 5 6MB 7", 1, "max_parked: wrong argument count or unexpected line ending after '7'"},
	{inGlobal, "max_parked 5 many", 1, "max_parked: bad size 'many'"},
	{inGlobal, "max_parked 5\nmax_parked 5", 2, "max_parked is given twice"},
	{inGlobal, "max_message", 1, "max_message: wrong argument count or unexpected line ending after 'max_message'"},
	{inGlobal, "max_message 0", 1, "max_message: bad size '0': must be at least one byte"},
	{inGlobal, "max_message 10EB", 1, "max_message: bad size '10EB': too large"},
	{inGlobal, "max_message big", 1, "max_message: bad size 'big': "},
	{inGlobal, "max_message 1MB {\n\tx\n}", 1, "max_message: unexpected token '{', expecting argument"},
	{inGlobal, "timeout 5s", 1, "unrecognized subdirective 'timeout'"},
	{inGlobal, "}\nparker {", 2, "the global option parker is given twice"},

	{inParker, "methods", 1, "methods: wrong argument count or unexpected line ending after 'methods'"},
	{inParker, "methods GET PO/ST", 1, "methods: 'PO/ST' is not a valid method"},
	{inParker, "methods GET\nmethods POST", 2, "methods is given twice"},
	{inParker, "revalidate", 1, "revalidate requires unchanged in nothing_new, which gives answers a validator and compares it"},
	{inParker, "nothing_new {\n\tstatus 304\n}\nrevalidate\nasks 1", 4, "revalidate requires unchanged in nothing_new, "},
	{inParker, "revalidate on", 1, "revalidate: wrong argument count or unexpected line ending after 'on'"},
	{inParker, "revalidate\nhold messages", 1, "revalidate requires unchanged in nothing_new, "},
	{inParker, "timeout", 1, "timeout: wrong argument count or unexpected line ending after 'timeout'"},
	{inParker, "timeout 55", 1, "timeout: bad duration '55': "},
	{inParker, "timeout 0s", 1, "timeout: bad duration '0s': must be at least 1ns"},
	{inParker, "timeout -5s", 1, "timeout: bad duration '-5s': must be at least 1ns"},
	{inParker, "timeout 5s 199", 1, "timeout: bad status '199': must be a code from 200 to 599"},
	{inParker, "timeout 5s 600", 1, "timeout: bad status '600': must be a code from 200 to 599"},
	{inParker, "timeout 5s {env.STATUS}", 1, "timeout: bad status '{env.STATUS}': must be a code from 200 to 599"},
	{inParker, "timeout 5s 204 205", 1, "timeout: wrong argument count or unexpected line ending after '205'"},
	{inParker, "timeout 5s\nasks 3\n\ntimeout 6s", 4, "timeout is given twice"},
	{inParker, "watch", 1, "watch: wrong argument count or unexpected line ending after 'watch'"},
	{inParker, "watch 9ms", 1, "watch: bad duration '9ms': must be at least 10ms"},
	{inParker, "watch on", 1, "watch: bad duration 'on': "},
	{inParker, "watch off 1s", 1, "watch: wrong argument count or unexpected line ending after '1s'"},
	{inParker, "watch 1m", 1, "watch: the interval must not be longer than the timeout of 55s"},
	{inParker, "asks 1\nwatch 10s\ntimeout 5s", 2, "watch: the interval must not be longer than the timeout of 5s"},
	{inParker, "watch off\nwatch off", 2, "watch is given twice"},
	{inParker, "share", 1, "share: wrong argument count or unexpected line ending after 'share'"},
	{inParker, "share public {header.Cookie}", 1, "share: 'public' cannot be one of the values"},
	{inParker, "share {header.Cookie} public", 1, "share: 'public' cannot be one of the values"},
	{inParker, "share off", 1, "share: 'off' cannot be one of the values"},
	{inParker, "share header.Cookie", 1, "share: the values contain no placeholder, so they would be the same for all requests"},
	{inParker, "share public\nshare {header.Cookie}", 2, "share is given twice"},
	{inParker, "ignore_query", 1, "ignore_query: wrong argument count or unexpected line ending after 'ignore_query'"},
	{inParker, "asks 1\nignore_query _ \"\"", 2, "ignore_query: the name of a parameter must not be empty"},
	{inParker, "ignore_query _\nignore_query t", 2, "ignore_query is given twice"},
	{inParker, "asks", 1, "asks: wrong argument count or unexpected line ending after 'asks'"},
	{inParker, "asks 0", 1, "asks: bad number '0': must be at least 1"},
	{inParker, "asks few", 1, "asks: bad number 'few': "},
	{inParker, "asks 1 2", 1, "asks: wrong argument count or unexpected line ending after '2'"},
	{inParker, "asks 1\nasks 1", 2, "asks is given twice"},
	{inParker, "reuse", 1, "reuse: wrong argument count or unexpected line ending after 'reuse'"},
	{inParker, "reuse -1s", 1, "reuse: bad duration '-1s': must be at least 0s"},
	{inParker, "reuse 1s 2s", 1, "reuse: wrong argument count or unexpected line ending after '2s'"},
	{inParker, "reuse 1s\nreuse 1s", 2, "reuse is given twice"},
	{inParker, "spread", 1, "spread: wrong argument count or unexpected line ending after 'spread'"},
	{inParker, "spread -1s", 1, "spread: bad duration '-1s': must be at least 0s"},
	{inParker, "spread 1s 2s", 1, "spread: wrong argument count or unexpected line ending after '2s'"},
	{inParker, "spread 56s", 1, "spread: it must not be longer than the timeout of 55s"},
	{inParker, "timeout 5s\nspread 6s\nasks 1", 2, "spread: it must not be longer than the timeout of 5s"},
	{inParker, "spread 1s\nspread 1s", 2, "spread is given twice"},
	{inParker, "max_body", 1, "max_body: wrong argument count or unexpected line ending after 'max_body'"},
	{inParker, "max_body 0KB", 1, "max_body: bad size '0KB': must be at least one byte"},
	{inParker, "max_body -1KB", 1, "max_body: bad size '-1KB': "},
	{inParker, "max_body 64 KB", 1, "max_body: bad duration 'KB'"},
	{inParker, "max_body 64KB 1s more", 1, "max_body: wrong argument count or unexpected line ending after 'more'"},
	{inParker, "look_again", 1, "look_again: wrong argument count or unexpected line ending after 'look_again'"},
	{inParker, "look_again 1s 200ms", 1, "look_again: 200ms after 1s: durations must be in ascending order"},
	{inParker, "look_again off 1s", 1, "look_again: wrong argument count or unexpected line ending after '1s'"},
	{inParker, "look_again 1s\nhold messages", 1, "look_again cannot be combined with hold messages, because the backend is not asked"},
	{inParker, "per_browser -1", 1, "per_browser: bad number '-1': must be at least 0"},
	{inParker, "max_body 1KB\nmax_body 1KB", 2, "max_body is given twice"},
	{inParker, "per_client", 1, "per_client: wrong argument count or unexpected line ending after 'per_client'"},
	{inParker, "per_client -1", 1, "per_client: bad number '-1': must be at least 0"},
	{inParker, "per_client 1 2", 1, "per_client: wrong argument count or unexpected line ending after '2'"},
	{inParker, "per_client 1\nper_client 1", 2, "per_client is given twice"},
	{inParker, "supersede", 1, "supersede: wrong argument count or unexpected line ending after 'supersede'"},
	{inParker, "supersede off {remote_host}", 1, "supersede: wrong argument count or unexpected line ending after '{http.request.remote.host}'"},
	{inParker, "supersede {remote_host} off", 1, "supersede: 'off' cannot be one of the values"},
	{inParker, "supersede remote_host", 1, "supersede: the values contain no placeholder, so they would be the same for all requests"},
	{inParker, "supersede off\nsupersede off", 2, "supersede is given twice"},
	{inParker, "answer", 1, "answer: wrong argument count or unexpected line ending after 'answer'"},
	{inParker, "answer nothing", 1, "answer: 'nothing' is not one of: message, replay"},
	{inParker, "answer message replay", 1, "answer: wrong argument count or unexpected line ending after 'replay'"},
	{inParker, "answer replay\nanswer replay", 2, "answer is given twice"},
	{inParker, "answer replay {\n\tx\n}", 1, "answer: unexpected token '{', expecting argument"},
	{inParker, "hold", 1, "hold: wrong argument count or unexpected line ending after 'hold'"},
	{inParker, "hold 5s", 1, "hold: '5s' is not one of: backend, messages"},
	{inParker, "hold messages\nhold backend", 2, "hold is given twice"},
	{inParker, "hold messages\nwatch 1s", 2, "watch cannot be combined with hold messages, because the backend is not asked"},
	{inParker, "reuse 1s\nhold messages", 1, "reuse cannot be combined with hold messages, because the backend is not asked"},
	{inParker, "hold messages\n\nanswer replay", 3, "answer cannot be combined with hold messages, because the backend is not asked"},
	{inParker, "hold messages\nnothing_new {\n\tstatus 204\n}", 2, "nothing_new cannot be combined with hold messages, because the backend is not asked"},
	{inParker, "sse 15s", 1, "sse: wrong argument count or unexpected line ending after '15s'"},
	{inParker, "asks 3\n\nsse {\n\tbeat 15s\n}", 4, "sse: unrecognized subdirective 'beat'"},
	{inParker, "sse {\n\theartbeat 0s\n}", 2, "sse: heartbeat: bad duration '0s': must be at least 1ms"},
	{inParker, "sse {\n\theartbeat off\n}", 2, "sse: heartbeat: bad duration 'off': "},
	{inParker, "sse {\n\tretry\n}", 2, "sse: retry: wrong argument count or unexpected line ending after 'retry'"},
	{inParker, "sse {\n\tretry 2s\n\tretry 2s\n}", 3, "sse: retry is given twice"},
	{inParker, "sse {\n\tqueue 0\n}", 2, "sse: queue: bad number '0': must be at least 1"},
	{inParker, "sse {\n\tqueue 64 many\n}", 2, "sse: queue: bad size 'many': "},
	{inParker, "sse {\n\tqueue 64 1MB 3\n}", 2, "sse: queue: wrong argument count or unexpected line ending after '3'"},
	{inParker, "sse {\n\tmax_age -1h\n}", 2, "sse: max_age: bad duration '-1h': must be at least 0s"},
	{inParker, "sse {\n\tmax_age 1h\n}\nsse {\n\tmax_age 1h\n}", 4, "sse is given twice"},
	{inParker, "supersede {remote_host}\ntimer", 2, "timer cannot be combined with supersede, which it includes"},
	{inParker, "timer\nhold messages", 1, "timer cannot be combined with hold messages, because the backend is not asked"},
	{inParker, "nothing_new", 1, "nothing_new: no rules are given, so nothing would be held"},
	{inParker, "nothing_new {\n}", 1, "nothing_new: no rules are given, so nothing would be held"},
	{inParker, "nothing_new 204 {\n\tstatus 204\n}", 1, "nothing_new: rules must be in a block: write { instead of '204', and each rule on its own line in the block"},
	{inParker, "asks 1\nnothing_new json /x", 2, "nothing_new: rules must be in a block: write { instead of 'json /x', and each rule on its own line in the block"},
	{inParker, "nothing_new \"\"", 1, "nothing_new: rules must be in a block: write { instead of ''"},
	{inParker, "nothing_new unchanged except /clock {\n}", 1, "nothing_new: rules must be in a block: write { instead of 'unchanged except /clock'"},
	{inParker, "nothing_new {\n\tstatus 204\n}\nnothing_new {\n\tstatus 304\n}", 4, "nothing_new is given twice"},

	{inNothingNew, "status", 1, "nothing_new: status: wrong argument count or unexpected line ending after 'status'"},
	{inNothingNew, "status 204 1xx", 1, "nothing_new: status: bad status '1xx': must be a code from 200 to 599 or a class from 2xx to 5xx"},
	{inNothingNew, "status 600", 1, "nothing_new: status: bad status '600': "},
	{inNothingNew, "status 2", 1, "nothing_new: status: bad status '2': "},
	{inNothingNew, "status 20x", 1, "nothing_new: status: bad status '20x': "},
	{inNothingNew, "body", 1, "nothing_new: body: wrong argument count or unexpected line ending after 'body'"},
	{inNothingNew, "header", 1, "nothing_new: header: wrong argument count or unexpected line ending after 'header'"},
	{inNothingNew, "header X-Idle: yes", 1, "nothing_new: header: "},
	{inNothingNew, "header X-Idle yes no", 1, "nothing_new: header: wrong argument count or unexpected line ending after 'no'"},
	{inNothingNew, "header X-Idle yes\nheader x-idle", 2, "nothing_new: header: X-Idle is given without a value and a second time"},
	{inNothingNew, "json", 1, "nothing_new: json: wrong argument count or unexpected line ending after 'json'"},
	{inNothingNew, "status 204\njson items\nmatch x", 2, "nothing_new: json: json \"items\": "},
	{inNothingNew, "json /a~2", 1, "nothing_new: json: json \"/a~2\": "},
	{inNothingNew, "json /a absent 0", 1, "nothing_new: json: absent cannot be combined with values"},
	{inNothingNew, "json /a 1e400", 1, "nothing_new: json: 1e400: "},
	{inNothingNew, "json /a [9007199254740993]", 1, "nothing_new: json: [9007199254740993]: numbers of 2^53 and above are not exact in a Caddyfile"},
	{inNothingNew, "match", 1, "nothing_new: match: wrong argument count or unexpected line ending after 'match'"},
	{inNothingNew, "body \"\"\nmatch (", 2, "nothing_new: match: match \"(\": "},
	{inNothingNew, "match a b", 1, "nothing_new: match: wrong argument count or unexpected line ending after 'b'"},
	{inNothingNew, "unchanged /a", 1, "nothing_new: unchanged: expected the word except, got '/a'"},
	{inNothingNew, "unchanged except", 1, "nothing_new: unchanged: wrong argument count or unexpected line ending after 'except'"},
	{inNothingNew, "unchanged except /a b", 1, "nothing_new: unchanged: unchanged except \"b\": "},
	{inNothingNew, "unchanged\nunchanged except /a", 2, "nothing_new: unchanged is given twice"},
	{inNothingNew, "remember {cookie.id}\nstatus 304", 1, "nothing_new: remember: it needs unchanged beside it, which says how answers are compared"},
	{inNothingNew, "unchanged\nremember id", 2, "nothing_new: remember: the values contain no placeholder, so they would be the same for all requests"},
	{inNothingNew, "unchanged\nall {\n\tstatus 204\n\tremember\n}", 4, "nothing_new: all: remember: remember cannot be inside all: put it next to all"},
	{inNothingNew, "all", 1, "nothing_new: all: the block is empty"},
	{inNothingNew, "all {\n}", 1, "nothing_new: all: the block is empty"},
	{inNothingNew, "all status 204", 1, "nothing_new: all: rules must be in a block: write { instead of 'status 204', and each rule on its own line in the block"},
	{inNothingNew, "status 204\nall {\n\tbody \"\"\n\tmatch (\n}", 4, "nothing_new: all: match: match \"(\": "},
	{inNothingNew, "all {\n\tbody\n}", 2, "nothing_new: all: body: wrong argument count or unexpected line ending after 'body'"},
	{inNothingNew, "all {\n\tbody \"\"\n\tunchanged\n}", 3, "nothing_new: all: unchanged: unchanged cannot be inside all: put it next to all"},
	{inNothingNew, "all {\n\tall {\n\t\tbody x\n\t}\n}", 2, "nothing_new: all: all: all cannot be inside another all"},
	{inNothingNew, "all {\n\tcookie a\n}", 2, "nothing_new: all: unrecognized subdirective 'cookie'"},
	{inNothingNew, "cookie a", 1, "nothing_new: unrecognized subdirective 'cookie'"},

	{inNotify, "methods", 1, "methods: wrong argument count or unexpected line ending after 'methods'"},
	{inNotify, "methods \"\"", 1, "methods: '' is not a valid method"},
	{inNotify, "methods POST\nmethods PUT", 2, "methods is given twice"},
	{inNotify, "status", 1, "status: wrong argument count or unexpected line ending after 'status'"},
	{inNotify, "status 2xx 6xx", 1, "status: bad status '6xx': "},
	{inNotify, "status ok", 1, "status: bad status 'ok': "},
	{inNotify, "status 2xx\nstatus 3xx", 2, "status is given twice"},
	{inNotify, "piggyback yes", 1, "piggyback: wrong argument count or unexpected line ending after 'yes'"},
	{inNotify, "piggyback\npiggyback", 2, "piggyback is given twice"},
	{inNotify, "timeout 5s", 1, "unrecognized subdirective 'timeout'"},

	{inPublish, "token", 1, "token: wrong argument count or unexpected line ending after 'token'"},
	{inPublish, "token \"\"", 1, "token: a secret must consist of visible ASCII characters"},
	{inPublish, "token a\ntoken \"b c\"", 2, "token: a secret must consist of visible ASCII characters"},
	{inPublish, "allow", 1, "allow: wrong argument count or unexpected line ending after 'allow'"},
	{inPublish, "allow 10.0.0.0/8\nallow 10.0.0.0/33", 2, "allow: parsing CIDR expression: '10.0.0.0/33': "},
	{inPublish, "allow example.com", 1, "allow: invalid IP address: 'example.com': "},
	{inPublish, "deny 10.0.0.0/8", 1, "unrecognized subdirective 'deny'"},

	{inSite, "\nparker_publish messages", 2, "wrong argument count or unexpected line ending after 'messages'"},
	{inSite, "parker_observe polls", 1, "wrong argument count or unexpected line ending after 'polls'"},
	{inSite, "parker_observe /polls {\n\tmax_body 1KB\n}", 2, "unrecognized subdirective 'max_body': parker_observe has none"},
	{inSite, "parker /messages messages {\n\tacross_sites\n}", 2, "across_sites cannot be combined with named channels, which all sites share anyway"},
	{inSite, "parker_notify /messages messages {\n\tacross_sites\n}", 2, "across_sites cannot be combined with named channels, which all sites share anyway"},
	{inSite, "handle /api/* {\n\tparker /api/state {\n\t\tnothing_new {\n\t\t\tunchanged\n\t\t\tremember\n\t\t}\n\t}\n}", 8, "parsing caddyfile tokens for 'parker': remember must see all page loads of the site, but not all of them enter handle (site.caddyfile:"},
	{inSite, "handle /api/* {\n\tparker /api/state {\n\t\tnothing_new {\n\t\t\tunchanged\n\t\t}\n\t\trevalidate\n\t}\n}", 8, "parsing caddyfile tokens for 'parker': revalidate must see all page loads of the site, but not all of them enter handle (site.caddyfile:"},
	{inParker, "across_sites yes", 1, "across_sites: wrong argument count or unexpected line ending after 'yes'"},
	{inSite, "parker \"\"", 1, "the channel name is empty"},
	{inSite, "parker_notify rooms \"a\nb\"", 1, "the channel name contains a control character"},
}

func TestWrongUsesAreRefusedWithFileAndLine(t *testing.T) {
	for _, use := range wrongUses {
		frame := frames[use.block]
		_, _, err := adapt(frame.around(use.text))
		if err == nil {
			t.Errorf("%q: no error", use.text)
			continue
		}
		_, says, _ := strings.Cut(err.Error(), "': ") // behind: parsing caddyfile tokens for 'parker
		place := fmt.Sprintf(", at %s:%d", fileName, strings.Count(frame.before, "\n")+use.line)
		if !strings.HasPrefix(says, use.says) || !strings.HasSuffix(says, place) {
			t.Errorf("%q: %v\nwant %q and %q", use.text, err, use.says, place)
		}
	}
}
