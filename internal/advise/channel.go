package advise

import (
	"regexp"
	"slices"
	"strings"
)

// placeholder returns what stands for a field in a Caddyfile.
func placeholder(name fieldName) string { return placeholderOf(string(name.in), name.name) }

var shortName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// placeholderOf returns a placeholder in the short form of Caddyfiles, if there is one: names
// with other characters have none, and would be no placeholders.
func placeholderOf(kind, name string) string {
	if shortName.MatchString(name) {
		return "{" + kind + "." + name + "}"
	}
	return map[string]string{"query": "{http.request.uri.query.", "cookie": "{http.request.cookie."}[kind] + name + "}"
}

// nameChannels names the channels of a poll and of its publishers.
//
// If the poll and all its publishers have one path, the channel is the path, and needs no
// name. A room that the poll names is part of the channel if a publisher can name it as
// well: by a write that names it, or by hand if nothing but the hook publishes. A publisher
// that does not name the room releases all rooms, on a channel of their own.
func nameChannels(p *Poll, key fieldName, keyed bool) {
	unnamed := 0
	for _, publisher := range p.Publishers {
		if len(publisher.Channels) == 0 {
			unnamed++
		}
	}
	perRoom := keyed && (unnamed < len(p.Publishers) || len(p.Publishers) == 0) && isPrintableField(key)
	samePath := !slices.ContainsFunc(p.Publishers, func(publisher Publisher) bool { return publisher.Path != p.Path || publisher.Call != nil })
	if samePath && p.Call == nil && (!perRoom || key.in == inPath && unnamed == 0 && strings.Count(p.Path, "*") == 1) && (perRoom || !strings.Contains(p.Path, "*")) {
		for i := range p.Publishers {
			p.Publishers[i].Channels = nil
		}
		return
	}
	base := "updates"
	if names := meaningful(p.Path); len(names) > 0 {
		base = names[0]
	} else if p.Call != nil {
		base = strings.Map(channelCharacter, p.Call.Value)
	}
	if !perRoom {
		p.Channels = []string{base}
		for i := range p.Publishers {
			p.Publishers[i].Channels = []string{base}
		}
		return
	}
	p.Channels = []string{base + "/" + placeholder(key)}
	if unnamed > 0 {
		p.Channels = append(p.Channels, base)
	}
	for i := range p.Publishers {
		publisher := &p.Publishers[i]
		if len(publisher.Channels) > 0 {
			publisher.Channels[0] = base + "/" + publisher.Channels[0]
		} else {
			publisher.Channels = []string{base}
		}
	}
}

func channelCharacter(c rune) rune {
	if c == ':' || c == '.' {
		return '-'
	}
	return c
}

// isPrintableField reports whether a placeholder can name a field.
func isPrintableField(name fieldName) bool { return name.in == inPath || isName(name.name) }
