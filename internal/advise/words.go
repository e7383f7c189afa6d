package advise

import (
	"slices"
	"strings"
)

// hideNames replaces segments of paths that could be the name of a person by *. It is never
// printed if it is
//
//   - below a word for people, such as users, unless it is a word that applications use,
//   - below a plural such as rooms, where only one client has asked for it, unless it is a word
//     that applications use, or the name of a file.
//
// [mergeNamed] does the same for each segment of which three values were seen. The first
// segment of a path is part of the application's name in all other cases.
func hideNames(routes []*route) []*route {
	clients := clientsOfPaths(routes)
	joinedBy := make(map[routeKey][]*route)
	var result []*route
	for _, r := range routes {
		segment := personal(r.key, clients)
		if segment == 0 {
			result = append(result, r)
			continue
		}
		key := withSegment(r.key, strings.Split(r.key.path, "/"), segment, "*")
		joinedBy[key] = append(joinedBy[key], joined(key, segment, []*route{r}))
	}
	if len(joinedBy) == 0 {
		return routes
	}
	for _, r := range result {
		if same := joinedBy[r.key]; same != nil {
			joinedBy[r.key] = append(same, r)
		}
	}
	result = slices.DeleteFunc(result, func(r *route) bool { return joinedBy[r.key] != nil })
	for key, same := range joinedBy {
		result = append(result, joined(key, 0, same))
	}
	slices.SortFunc(result, func(x, y *route) int { return x.key.compare(y.key) })
	return hideNames(result)
}

// prefix is the beginning of a path.
type prefix struct{ host, path string }

// clientsOfPaths counts the clients that have asked for paths with a prefix, up to two.
func clientsOfPaths(routes []*route) map[prefix]int {
	first := make(map[prefix]uint64)
	counts := make(map[prefix]int)
	for _, r := range routes {
		for end := range len(r.key.path) + 1 {
			if end < len(r.key.path) && (r.key.path[end] != '/' || end == 0) {
				continue
			}
			p := prefix{r.key.host, r.key.path[:end]}
			for i := range r.records {
				if counts[p] >= 2 {
					break
				}
				switch client := r.records[i].sender.client; {
				case counts[p] == 0:
					first[p], counts[p] = client, 1
				case first[p] != client:
					counts[p] = 2
				}
			}
		}
	}
	return counts
}

// personal returns the first segment of a path that could be the name of a person. It is 0
// if there is none.
func personal(key routeKey, clients map[prefix]int) int {
	segments := strings.Split(key.path, "/")
	length := 0
	for i := 1; i < len(segments); i++ {
		length += 1 + len(segments[i])
		if segments[i] == "*" || segments[i] == "" || i == 1 || isCommon(segments[i]) {
			continue
		}
		parent := segments[i-1]
		if ofPeople(parent) || isPlural(parent) && !strings.Contains(segments[i], ".") && clients[prefix{key.host, key.path[:length]}] < 2 {
			return i
		}
	}
	return 0
}

// ofPeople reports whether a word is one below which the names of people stand.
func ofPeople(word string) bool {
	return slices.Contains(peopleWords, strings.ToLower(word))
}

// isPlural reports whether a word names several things.
func isPlural(word string) bool {
	lower := strings.ToLower(word)
	return len(lower) > 3 && strings.HasSuffix(lower, "s") && !strings.HasSuffix(lower, "ss") && lower != "status" && lower != "news"
}

func isCommon(word string) bool {
	name, _, _ := strings.Cut(strings.ToLower(word), ".")
	for _, part := range strings.FieldsFunc(name, func(c rune) bool { return c == '-' || c == '_' }) {
		if !commonWords[part] {
			return false
		}
	}
	return true
}

var peopleWords = strings.Fields(`user users u people person persons member members account accounts profile profiles customer customers client clients
	patient patients student students employee employees contact contacts friend friends home homes author authors owner owners team teams agent agents
	by of for`)

// commonWords are what applications call their parts.
var commonWords = func() map[string]bool {
	words := make(map[string]bool)
	for _, word := range strings.Fields(`a about accept ack active activity add admin ajax alerts all answer answers api app approve archive assign auth
		available balance batch bell board book busy call calls cancel cart changes channel channels chat check clear close closed comment comments commit
		complete confirm content control count counts create current dashboard data delete delta desk details device devices dismiss done download draft edit
		entries entry error errors event events export feed fetch file files find finish flag get graph groups health heartbeat history host import inbox
		index info invite is item items job jobs join json last latest leave like list live load log login logout logs lookup mail main map mark me message
		messages meta metrics mine move my name new news next notification notifications notify now number old online open order orders outbox overview page
		pages ping poll polling post posts presence prices process progress publish pull push query queue queues rate read ready receipt recent refresh reject
		release reload remove reply report reports reset resolve response restart result results resume review room rooms rpc run save scores search select
		self send server servers session sessions set settings show start stat state stats status stop stream subscribe summary sync system table task tasks
		test thread threads ticket tickets time today toggle token topic topics track typing undo unread update updates upload v vote votes wait waiting watch
		write xml
		ok none nothing empty idle false true yes no null pending unchanged same inactive offline free running stopped unknown up down
		locked unlocked paused finished failed started accepted rejected ringing missed`) {
		words[word] = true
	}
	return words
}()
