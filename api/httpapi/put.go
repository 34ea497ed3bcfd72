package httpapi

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/fsm/command"
)

// putRequest is what PUT asks for, from a JSON body or from the query.
type putRequest struct {
	value     []byte
	of        *valueType   // of value; nil is a string
	words     command.Args // of a value of another type than string
	ttlMillis *int64
	condition string
	version   *uint64
	fence     *fence
	whole     bool // value is all of the memory that it lies in
}

func (a *api) putKey(w http.ResponseWriter, r *http.Request) {
	key, err := pathKey(r)
	if err != nil {
		failWith(w, err)
		return
	}
	req, held, err := a.decodePut(w, r)
	if err != nil {
		failWith(w, err)
		return
	}
	defer held.release()
	terms, err := writePrecondition(r.Header)
	if err == nil {
		err = terms.into(&req)
	}
	if err != nil {
		failWith(w, err)
		return
	}
	args, err := req.args(key)
	if err != nil {
		failWith(w, err)
		return
	}
	var opts []router.SessionOption
	if req.whole {
		opts = append(opts, router.WithWholeArguments())
	}
	v, err := a.mutate(w, r, req.fence.wrap(args), opts...)
	if err != nil {
		failWith(w, err)
		return
	}
	w.Header().Set("ETag", etag(v.Elems[0].Int))
	out := keyJSON(key)
	out["version"], out["expires_at_ms"] = v.Elems[0].Int, orNull(v.Elems[1].Int, 0)
	reply(w, http.StatusOK, out)
}

func (a *api) decodePut(w http.ResponseWriter, r *http.Request) (req putRequest, held *holding, err error) {
	raw, err := mediaType(r)
	if err != nil {
		return req, nil, err
	}
	if raw {
		if err = req.fromQuery(r.URL); err != nil {
			return req, nil, err
		}
		req.value, held, err = a.readBody(w, r, a.maxRaw)
		req.whole = len(req.value) == cap(req.value)
		return req, held, err
	}
	if err = noQuery(r.URL); err != nil {
		return req, nil, err
	}
	body, held, err := a.readJSON(w, r)
	if err != nil {
		return req, nil, err
	}
	if err = held.decoding(body); err == nil {
		err = a.fromJSON(&req, body, held)
	}
	if err == nil && int64(len(req.value)) > a.maxRaw {
		err = tooLarge(a.maxRaw)
	}
	if err != nil {
		held.release()
		return req, nil, err
	}
	return req, held, nil
}

func (a *api) fromJSON(p *putRequest, body []byte, held *holding) error {
	f, err := fields(body)
	if err != nil {
		return err
	}
	if v, ok := f["type"]; ok {
		if p.of, err = decodeType(v); err != nil {
			return err
		}
	}
	for name, v := range f {
		switch name {
		case "type":
		case "value":
			if p.of != nil {
				p.words, err = a.wordsOf(p.of, v, held)
			} else {
				p.value, err = decodeText(name, v)
			}
		case "value_base64":
			if p.of != nil {
				return badRequest("wrong_type", "a "+p.of.name+" stands in \"value\"")
			}
			err = decode(name, v, &p.value)
		case "ttl_ms":
			p.ttlMillis = new(int64)
			err = decode(name, v, p.ttlMillis)
		case "if":
			err = decode(name, v, &p.condition)
			if err == nil && p.condition == "" {
				err = errBadIf
			}
		case "if_version":
			p.version = new(uint64)
			err = decode(name, v, p.version)
		case "fence":
			p.fence, err = decodeFence(v)
		default:
			err = unknownField(name)
		}
		if err != nil {
			return err
		}
	}
	_, text := f["value"]
	_, binary := f["value_base64"]
	if text == binary {
		return badRequest("missing_field", "the body must have either \"value\" or \"value_base64\"")
	}
	return nil
}

// fromQuery reads the options of a PUT whose body is the value itself.
func (p *putRequest) fromQuery(u *url.URL) error {
	q, err := query(u, "ttl_ms", "if", "if_version", "fence_lock", "fence")
	if err != nil {
		return err
	}
	if p.fence, err = queryFence(q); err != nil {
		return err
	}
	if s, ok := q["ttl_ms"]; ok {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return badParameter("ttl_ms", "an integer")
		}
		p.ttlMillis = &n
	}
	p.condition = q["if"]
	if s, ok := q["if_version"]; ok {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return badParameter("if_version", "an integer of at least 0")
		}
		p.version = &n
	}
	return nil
}

var errBadIf = badRequest("bad_value", "\"if\" must be \"absent\" or \"present\"")

// maxTTLMillis is some 146 million years. A lifetime up to it has an end that a
// clock can show.
const maxTTLMillis = 1 << 62

// args is the command for p.
func (p *putRequest) args(key []byte) (command.Args, error) {
	args := command.Args{[]byte("LS.PUT"), key, p.value}
	if p.of != nil {
		args = append(command.Args{[]byte("LS.STORE"), key, []byte(p.of.name), itoa(int64(len(p.words)))}, p.words...)
	}
	if p.ttlMillis != nil {
		if *p.ttlMillis <= 0 || *p.ttlMillis > maxTTLMillis {
			return nil, badRequest("bad_value", "\"ttl_ms\" must be greater than 0 and at most "+strconv.Itoa(maxTTLMillis))
		}
		args = append(args, []byte("PX"), itoa(*p.ttlMillis))
	}
	switch p.condition {
	case "":
	case "absent":
		args = append(args, []byte("NX"))
	case "present":
		args = append(args, []byte("XX"))
	default:
		return nil, errBadIf
	}
	if p.version != nil {
		if p.condition != "" {
			return nil, badRequest("bad_value", "\"if\" and \"if_version\" exclude each other")
		}
		args = append(args, []byte("IFVERSION"), strconv.AppendUint(nil, *p.version, 10))
	}
	return args, nil
}
