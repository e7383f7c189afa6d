package advise

import (
	"hash/maphash"
	"maps"
	"slices"
	"strings"
)

const (
	maxCredentials     = 16
	maxRenewed         = 4
	maxCredentialNames = 512
	maxRouteSenders    = 512
)

// authorization is the name of the credential in the header field of this name. No cookie can
// have it, because of the space.
const authorization = "header Authorization"

// credential is a cookie or the field Authorization of a request, as digests.
type credential struct{ name, value uint64 }

// sender is what says who has sent a request.
type sender struct {
	client      uint64 // the address and the User-Agent
	all         uint64 // with the credentials
	credentials []credential
}

// credential returns the value of a credential. It is 0 if the request has none of the name.
func (s *sender) credential(name uint64) uint64 {
	for _, c := range s.credentials {
		if c.name == name {
			return c.value
		}
	}
	return 0
}

// senders knows the names of credentials.
type senders struct {
	seed  maphash.Seed
	names map[uint64]string
}

func newSenders(seed maphash.Seed) senders { return senders{seed, make(map[uint64]string)} }

func (s *senders) copiedNames() map[uint64]string { return maps.Clone(s.names) }

// of returns the sender of a request. Equal ones are kept once for each route.
func (s *senders) of(r *route, o *Observation) *sender {
	var buffer [maxCredentials]credential
	credentials := s.append(buffer[:0], o.Request["Cookie"], maxCredentials-1)
	if values := o.Request["Authorization"]; len(values) > 0 && !isRedacted(values) {
		credentials = append(credentials, credential{s.nameOf(authorization), maphash.String(s.seed, values[0])})
	}
	client := maphash.String(s.seed, o.Client)
	all := client
	for _, c := range credentials {
		all = mix(all, c.name^c.value)
	}
	if known := r.senders[all]; known != nil {
		return known
	}
	it := &sender{client: client, all: all, credentials: slices.Clone(credentials)}
	if len(r.senders) >= maxRouteSenders {
		clear(r.senders)
	}
	return r.noteSender(it)
}

// noteSender makes a sender known to a route, and returns the one that is kept.
func (r *route) noteSender(it *sender) *sender {
	if known := r.senders[it.all]; known != nil {
		return known
	}
	if r.senders == nil {
		r.senders = make(map[uint64]*sender)
	}
	r.senders[it.all] = it
	r.bytes += senderBytes + len(it.credentials)*credentialBytes
	return it
}

// renewedBy returns the cookies that an answer sets.
func (s *senders) renewedBy(o *Observation) []credential {
	if len(o.Answer["Set-Cookie"]) == 0 {
		return nil
	}
	return s.append(nil, o.Answer["Set-Cookie"], maxRenewed)
}

// append appends the credentials in values of the form name=digest. A cookie without a name
// says nothing about who has sent it.
func (s *senders) append(credentials []credential, values []string, limit int) []credential {
	for _, value := range values {
		name, digest, named := strings.Cut(value, "=")
		if !named || len(credentials) >= limit {
			continue
		}
		credentials = append(credentials, credential{s.nameOf(name), maphash.String(s.seed, digest)})
	}
	slices.SortFunc(credentials, func(x, y credential) int {
		if x.name < y.name {
			return -1
		}
		return 1
	})
	return credentials
}

// nameOf returns the digest of a name. Names that can be printed are kept, until there are
// too many.
func (s *senders) nameOf(name string) uint64 {
	sum := maphash.String(s.seed, name)
	if s.names[sum] == "" && (name == authorization || isName(name)) {
		if len(s.names) >= maxCredentialNames {
			clear(s.names)
		}
		s.names[sum] = strings.Clone(name)
	}
	return sum
}
