// Package advise finds the polls in the traffic of an application, and says how parker
// should be configured for them. It knows nothing of HTTP servers: it is fed with
// observations, which come from a running Caddy, from logs or from HAR files.
//
// There are two halves. [Analysis.Add] only keeps, within limits: see analysis.go and
// forget.go. [Analysis.Report] looks at all that is kept, from the beginning each time. So
// each line of advice depends on nothing but the requests that are kept.
//
// # What is kept
//
// A route for each shape of request: its method, host and path, with a * for each segment that
// looks like a value, and the name of the call if several have one URL (shape.go). It has a
// record for each request: when it came, how long its answer took, digests of who has sent it
// (sender.go) and of the values in its URL and body, and the facts that its header and that of
// the answer say (record.go). Answers that are equal are kept once: a digest, one for each
// JSON member (members.go), and a few short texts (answer.go).
//
// # The steps of a report
//
//   - Names of people in paths are hidden (words.go), and routes that differ in the name of a
//     room are made one (rooms.go).
//   - Clients are told apart by address, User-Agent and cookies, but not by cookies that
//     change (client.go). Tabs of one browser have the same cookies: they are told apart by
//     when they poll (tabs.go), and so are many people who look like one client (trains.go).
//   - Each field gets a role, from how its values follow one another within a tab: one that
//     has another value each time is a cache buster, a clock or a counter; one that changes
//     after news, and never back, is a cursor; one that keeps its value is a room or user
//     (role.go).
//   - A thread is what one tab asks for one room. It is regular if most of its intervals, or
//     of the pauses after its answers, are alike; the one that is steadier says whether the page
//     has a timer or waits for its answer (rhythm.go). A route with enough regular requests is
//     a poll, unless it asks for one thing after the other (route.go).
//   - An answer that comes again after news says nothing new. The narrowest rule that meets all
//     of these, and none with news, is taken (idle.go). If there is none, or if answers stay
//     as they are until there is news, they are the whole state, and compared: `unchanged`,
//     without the members that change by themselves (rule.go).
//   - A log has no bodies: its answers are told apart by status and length, which is enough to
//     see when they change, but makes no rule that looks at a body, and shares nothing
//     (logged.go).
//   - A change is a request with which a client got news. A kind of write explains it if the
//     client asked soon after the write, in the room that the write names, more often than
//     chance would have it (publisher.go, span.go, room.go). A GET needs far more evidence. Channels are named by what polls
//     and writes have in common (channel.go).
//   - Sharing is judged by news only, as the empty inboxes of all people are equal (share.go).
//   - What parker would have brought errs on the low side (gain.go).
//   - [Caddyfile] writes it down, with the evidence in comments. Where more than a
//     hundredth of the changes is not explained, it has `watch` at the interval of the page, so that no client
//     gets news later than without parker.
//
// # What it prints
//
// Names and shapes: paths, parameters, members and cookies whose names look like words, and
// the words that a rule needs, such as `body OK`. It prints no value of a query or a cookie, no
// credential, and no body. Words of answers, and segments of paths below words for several
// things, need two clients that got or asked for them, or must be words that applications use.
//
// # What it cannot know
//
// Which writes the traffic did not show; whether a page waits for its answer, if the backend
// always takes the same time; and whether people who got the same would always get the same.
package advise
