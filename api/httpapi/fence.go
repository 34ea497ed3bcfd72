package httpapi

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"

	"github.com/lockstepkv/lockstep/fsm/command"
	"github.com/lockstepkv/lockstep/fsm/lock"
)

// fence is what a write says of the lock that it is made under.
type fence struct {
	lock  string
	fence uint64
}

// decodeFence reads the field "fence" of a body.
func decodeFence(v json.RawMessage) (*fence, error) {
	f, err := fields(v)
	if err != nil {
		return nil, badRequest("wrong_type", "the field \"fence\" must be an object with \"lock\" and \"fence\"")
	}
	out := new(fence)
	for name, v := range f {
		switch name {
		case "lock":
			err = decode("fence.lock", v, &out.lock)
		case "fence":
			err = decode("fence.fence", v, &out.fence)
		default:
			err = unknownField("fence." + name)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, out.check()
}

// queryFence reads the parameters of a write without a JSON body; nil without.
func queryFence(q map[string]string) (*fence, error) {
	name, named := q["fence_lock"]
	number, numbered := q["fence"]
	if !named && !numbered {
		return nil, nil
	}
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		n = 0
	}
	out := &fence{lock: name, fence: n}
	return out, out.check()
}

func (f *fence) check() error {
	switch {
	case len(f.lock) == 0 || len(f.lock) > lock.MaxNameBytes:
		return badRequest("bad_fence", "a fence needs the name of its lock, 1 to "+strconv.Itoa(lock.MaxNameBytes)+" bytes")
	case f.fence == 0 || f.fence > math.MaxInt64:
		return badRequest("bad_fence", "a fence is a number of at least 1")
	}
	return nil
}

// wrap puts a command under the fence; nil leaves it as it is.
func (f *fence) wrap(args command.Args) command.Args {
	if f == nil {
		return args
	}
	return append(command.Args{[]byte("FENCED"), []byte(f.lock), strconv.AppendUint(nil, f.fence, 10)}, args...)
}

// deleteTerms are the conditions of a DELETE, from the query or from a body.
type deleteTerms struct {
	version string
	present bool // If-Match: *
	fence   *fence
}

// add takes in If-Match and If-None-Match.
func (t *deleteTerms) add(h http.Header) error {
	p, err := writePrecondition(h)
	switch {
	case err != nil || !p.any():
		return err
	case t.version != "":
		return badRequest("bad_precondition", "If-Match excludes \"if_version\"")
	case p.never:
		return conditionFailed("no version has this entity tag")
	case p.absent:
		return badRequest("bad_precondition", "a DELETE takes no If-None-Match")
	case p.present:
		t.present = true
	default:
		t.version = strconv.FormatUint(p.version, 10)
	}
	return nil
}

func (a *api) decodeDelete(w http.ResponseWriter, r *http.Request) (t deleteTerms, err error) {
	q, err := query(r.URL, "if_version", "fence_lock", "fence")
	if err != nil {
		return t, err
	}
	if s, ok := q["if_version"]; ok {
		if _, err := strconv.ParseUint(s, 10, 64); err != nil {
			return t, badParameter("if_version", "an integer of at least 0")
		}
		t.version = s
	}
	if t.fence, err = queryFence(q); err != nil || r.ContentLength == 0 {
		return t, err
	}
	body, held, err := a.readJSON(w, r)
	if err != nil {
		return t, err
	}
	defer held.release()
	f, err := fields(body)
	if err != nil {
		return t, err
	}
	for name, v := range f {
		switch {
		case name == "fence" && t.fence == nil:
			if t.fence, err = decodeFence(v); err != nil {
				return t, err
			}
		case name == "if_version" && t.version == "":
			var n uint64
			if err := decode(name, v, &n); err != nil {
				return t, err
			}
			t.version = strconv.FormatUint(n, 10)
		case name == "fence" || name == "if_version":
			return t, badRequest("duplicate_field", "the field "+strconv.Quote(name)+" is in the query and in the body")
		default:
			return t, unknownField(name)
		}
	}
	return t, nil
}
