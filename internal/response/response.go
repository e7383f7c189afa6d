// Package response has the response writers of parker. Each stands in front of the client's
// writer and passes on what it does not change, for [http.ResponseController] too.
//
//   - [Passing] is for a request that is not held. The answer passes as it comes; its
//     status is recorded, and header fields that are only for parker are removed.
//   - [Live] is for an answer that comes bit by bit: an event stream, of a backend or of
//     parker, or an answer of unknown length from a backend. It is flushed, has heartbeats
//     and is not ended by a time limit. [Attend] knows which answers need it. The other
//     writers then write to a Live in place of the client's writer.
//   - [Discard] is for the replays of a stream: their answers become events.
//
// Package ask has one more writer, for the answer to a poll. It holds the answer back until
// an observer knows whether to keep it, to drop it, or to pass it on.
//
// [Limits] are the server's time limits on a request, which are lifted while parker makes
// its client wait.
package response
