package nothingnew

import "net/http"

// Unmodified tells whether the client has the answer already, going by the
// conditions of its request and the validators of the answer.
func (r *Rules) Unmodified(request, header http.Header) bool { return clientHas(request, header) }
