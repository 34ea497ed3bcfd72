package httpapi

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/lockstepkv/lockstep/api/request"
)

// keyPath is the one resource that has an entity tag: the version of the key.
const keyPath = "/v1/keys/{key}"

// etag is the entity tag of a version.
func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// entityTags are those of one header field, RFC 9110 section 8.8.3.
type entityTags struct {
	any    bool // "*"
	strong []string
	weak   []string
}

// tagsOf reads a header field of entity tags; nil when it is not there.
func tagsOf(h http.Header, name string) (*entityTags, error) {
	vals := h.Values(name)
	if len(vals) == 0 {
		return nil, nil
	}
	t := new(entityTags)
	rest := strings.TrimSpace(strings.Join(vals, ","))
	if rest == "*" {
		t.any = true
		return t, nil
	}
	for rest != "" {
		if rest = strings.TrimLeft(rest, " \t,"); rest == "" {
			break
		}
		list := &t.strong
		if tail, weak := strings.CutPrefix(rest, "W/"); weak {
			list, rest = &t.weak, tail
		}
		tail, quoted := strings.CutPrefix(rest, `"`)
		tag, after, closed := strings.Cut(tail, `"`)
		after = strings.TrimLeft(after, " \t")
		if !quoted || !closed || after != "" && after[0] != ',' {
			return nil, badRequest("bad_precondition", name+" must be * or a list of entity tags, each in quotes")
		}
		*list, rest = append(*list, tag), after
	}
	if len(t.strong)+len(t.weak) == 0 {
		return nil, badRequest("bad_precondition", name+" is empty")
	}
	return t, nil
}

// versions are the versions that a strong comparison can find. A tag that this API
// never gave out is left out, "0" among them.
func (t *entityTags) versions() (list []uint64) {
	for _, tag := range t.strong {
		if n, err := strconv.ParseUint(tag, 10, 63); err == nil && n > 0 && tag[0] != '0' && tag[0] != '+' {
			list = append(list, n)
		}
	}
	return list
}

// has compares weakly or strongly with the tag of a key that exists.
func (t *entityTags) has(version int64, weakly bool) bool {
	want := strconv.FormatInt(version, 10)
	for _, tag := range t.strong {
		if tag == want {
			return true
		}
	}
	for _, tag := range t.weak {
		if weakly && tag == want {
			return true
		}
	}
	return t.any
}

// readPrecondition judges If-Match and If-None-Match of a GET or HEAD of a key that
// exists: 0, or the status that answers instead. The fields were parsed before.
func readPrecondition(match, noneMatch *entityTags, version int64) (status int) {
	switch {
	case match != nil && !match.has(version, false):
		return http.StatusPreconditionFailed
	case noneMatch != nil && noneMatch.has(version, true):
		return http.StatusNotModified
	}
	return 0
}

// writeTerms are what If-Match and If-None-Match ask of the key that is written.
type writeTerms struct {
	present, absent bool
	version         uint64 // 0: any
	never           bool   // no version of any key fulfils them
}

func (t writeTerms) any() bool { return t != writeTerms{} }

// writePrecondition reads If-Match and If-None-Match of a write. What cannot be
// checked in one step with the write is refused.
func writePrecondition(h http.Header) (t writeTerms, err error) {
	match, err := tagsOf(h, "If-Match")
	if err != nil {
		return t, err
	}
	noneMatch, err := tagsOf(h, "If-None-Match")
	switch {
	case err != nil:
		return t, err
	case match != nil && noneMatch != nil:
		return t, badRequest("bad_precondition", "If-Match and If-None-Match exclude each other")
	case noneMatch != nil && !noneMatch.any:
		return t, badRequest("bad_precondition", "a write takes If-None-Match with * only")
	case noneMatch != nil:
		return writeTerms{absent: true}, nil
	case match == nil:
		return t, nil
	case match.any:
		return writeTerms{present: true}, nil
	}
	switch list := match.versions(); len(list) {
	case 0:
		return writeTerms{never: true}, nil
	case 1:
		return writeTerms{version: list[0]}, nil
	}
	return t, badRequest("bad_precondition", "a write takes If-Match with * or one entity tag")
}

// conditionFailed is the answer when a precondition does not hold.
func conditionFailed(detail string) problem {
	status, name := errorKind(request.CodeCondition)
	return problem{Status: status, Code: name, Detail: detail}
}

// into adds the terms to those of a PUT's own.
func (t writeTerms) into(p *putRequest) error {
	switch {
	case !t.any():
		return nil
	case p.condition != "" || p.version != nil:
		return badRequest("bad_precondition", "If-Match and If-None-Match exclude \"if\" and \"if_version\"")
	case t.never:
		return conditionFailed("no version has this entity tag")
	case t.absent:
		p.condition = "absent"
	case t.present:
		p.condition = "present"
	default:
		p.version = &t.version
	}
	return nil
}

// plain lets requests pass that ask for nothing that their call does not do: a
// precondition where there is no entity tag, or a coding of the body. Ignoring
// either would be to do something else than was asked for.
func plain(rt route, next http.Handler) http.HandlerFunc {
	refused := []string{"If"}
	if rt.path != keyPath {
		refused = append(refused, "If-Match", "If-None-Match")
	}
	if rt.method != http.MethodGet { // a reader may do without, RFC 9110 section 13.1.3
		refused = append(refused, "If-Unmodified-Since", "If-Modified-Since", "If-Range")
	}
	return func(w http.ResponseWriter, r *http.Request) {
		for _, name := range refused {
			if len(r.Header.Values(name)) > 0 {
				fail(w, badRequest("bad_precondition", "this call takes no "+name))
				return
			}
		}
		for _, coding := range r.Header.Values("Content-Encoding") {
			if !strings.EqualFold(strings.TrimSpace(coding), "identity") {
				w.Header().Set("Accept-Encoding", "identity")
				fail(w, problem{Status: http.StatusUnsupportedMediaType, Code: "unsupported_content_encoding",
					Detail: "the body must come without a Content-Encoding"})
				return
			}
		}
		next.ServeHTTP(w, r)
	}
}
