package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	lockstep "github.com/lockstepkv/lockstep/client"
	"github.com/lockstepkv/lockstep/jepsen/history"
	"github.com/lockstepkv/lockstep/resp"
)

// HTTP speaks the HTTP JSON interface. Commands that have a call of their own
// use it, the others go through POST /v1/commands. net/http repeats GET requests
// on connections that break; that is within the interval of the read.
type HTTP struct {
	end    Endpoint
	client *lockstep.HTTP
}

var _ Client = (*HTTP)(nil)

// NewHTTP returns a client with one connection of its own.
func NewHTTP(end Endpoint) *HTTP {
	c, err := lockstep.NewHTTP([]string{end.HTTP}, lockstep.Options{
		Password: end.Password, DialTimeout: dialTimeout, Timeout: end.Timeout, MaxConns: 1,
	})
	if err != nil {
		panic(err) // the harness gives out addresses itself
	}
	return &HTTP{end: end, client: c}
}

// Node implements Client.
func (c *HTTP) Node() string { return c.end.Node }

// Protocol implements Client.
func (c *HTTP) Protocol() string { return "http" }

// Close implements Client.
func (c *HTTP) Close() { c.client.Close() }

// Do implements Client.
func (c *HTTP) Do(ctx context.Context, args ...string) Reply { return c.Once(ctx, "", args...) }

// Once implements Client.
func (c *HTTP) Once(ctx context.Context, id string, args ...string) Reply {
	path := "/v1/keys/" + url.PathEscape(arg(args, 1))
	switch {
	case args[0] == "GET":
		r := c.get(ctx, path, nil)
		if r.Outcome == history.OK && len(r.Value.Elems) > 1 {
			r.Value = r.Value.Elems[1]
		}
		return r
	case args[0] == "LS.GET":
		return c.get(ctx, path, nil)
	case args[0] == "SET" && len(args) == 3:
		return c.put(ctx, id, path, map[string]any{"value": args[2]})
	case args[0] == "SET" && len(args) == 5 && args[3] == "PX":
		return c.put(ctx, id, path, map[string]any{"value": args[2], "ttl_ms": json.Number(args[4])})
	case args[0] == "LS.PUT" && len(args) == 5 && args[3] == "IFVERSION":
		return c.put(ctx, id, path, map[string]any{"value": args[2], "if_version": json.Number(args[4])})
	case args[0] == "INCRBY":
		var out struct{ Value int64 }
		_, r := c.call(ctx, "POST", path+"/incr", id, map[string]any{"by": json.Number(args[2])}, &out)
		r.Value = resp.Int(out.Value)
		return r
	}
	var out struct{ Result json.RawMessage }
	_, r := c.call(ctx, "POST", "/v1/commands", id, args, &out)
	if r.Outcome == history.OK {
		r = parsed(out.Result)
	}
	if isReadCommand(args[0]) {
		r = r.AsRead()
	}
	return r
}

func arg(args []string, i int) string {
	if i < len(args) {
		return args[i]
	}
	return ""
}

// get answers like LS.GET: nil, or type, value, version.
func (c *HTTP) get(ctx context.Context, path string, query url.Values) Reply {
	var out struct {
		Value   string
		Version int64
	}
	head, r := c.request(ctx, lockstep.Request{Method: "GET", Path: path, Query: query}, nil, &out)
	r = r.AsRead()
	if r.Outcome == history.Fail && head.missing {
		r = Reply{Outcome: history.OK, Value: resp.Nil}
	} else if r.Outcome == history.OK {
		r.Value = resp.Array(resp.BulkString("string"), resp.BulkString(out.Value), resp.Int(out.Version))
	}
	r.Age, r.Index = head.age, head.index
	return r
}

// Stale implements Client.
func (c *HTTP) Stale(ctx context.Context, key string, oldest time.Duration) Reply {
	query := url.Values{"consistency": {"stale"}}
	if oldest > 0 {
		query.Set("max_staleness_ms", strconv.FormatInt(oldest.Milliseconds(), 10))
	}
	r := c.get(ctx, "/v1/keys/"+url.PathEscape(key), query)
	if r.Outcome == history.OK && len(r.Value.Elems) > 1 {
		r.Value = r.Value.Elems[1]
	}
	return r
}

func (c *HTTP) put(ctx context.Context, id, path string, body any) Reply {
	var out struct {
		Version int64
		Expires int64 `json:"expires_at_ms"`
	}
	_, r := c.call(ctx, "PUT", path, id, body, &out)
	r.Value = resp.Array(resp.Int(out.Version), resp.Int(out.Expires))
	return r
}

// Tx implements Client.
func (c *HTTP) Tx(ctx context.Context, cmds [][]string) Reply {
	body := append([][]string{{"MULTI"}}, cmds...)
	body = append(body, []string{"EXEC"})
	var out struct{ Results []json.RawMessage }
	_, r := c.call(ctx, "POST", "/v1/commands", "", body, &out)
	if r.Outcome != history.OK {
		return r
	}
	if len(out.Results) != len(body) {
		return Reply{Outcome: history.InDoubt, Err: fmt.Errorf("%w: %d results for %d commands", ErrUnexpected, len(out.Results), len(body))}
	}
	return parsed(out.Results[len(body)-1])
}

// header is what a call needs of the answer's headers and status.
type header struct {
	missing bool // 404
	age     time.Duration
	index   uint64
}

// call sends one request, once: its outcome is judged here, from what the node says.
func (c *HTTP) call(ctx context.Context, method, path, id string, body, out any) (header, Reply) {
	return c.request(ctx, lockstep.Request{Method: method, Path: path, Once: id}, body, out)
}

func (c *HTTP) request(ctx context.Context, request lockstep.Request, body, out any) (header, Reply) {
	if body != nil {
		var err error
		if request.Body, err = json.Marshal(body); err != nil {
			return header{}, Reply{Outcome: history.Fail, Err: err}
		}
	}
	answer, err := c.client.Exchange(ctx, request)
	if err != nil {
		return header{}, ofLost(err)
	}
	h := readHeader(answer.Header)
	if answer.Status != http.StatusOK {
		p := answer.Problem()
		h.missing = p.Code == "no_such_key"
		return h, ofProblem(answer.Status, p)
	}
	if err := json.Unmarshal(answer.Body, out); err != nil {
		return h, Reply{Outcome: history.InDoubt, Err: fmt.Errorf("%w: %w", ErrUnexpected, err)}
	}
	return h, Reply{Outcome: history.OK}
}

// readHeader reads what is there; both are 0 in the answers without.
func readHeader(from http.Header) (h header) {
	h.index, _ = strconv.ParseUint(from.Get("X-Lockstep-Index"), 10, 64)
	ageMillis, _ := strconv.ParseInt(from.Get("X-Lockstep-Age-Ms"), 10, 64)
	h.age = time.Duration(ageMillis) * time.Millisecond
	return h
}

// parsed files one result of POST /v1/commands.
func parsed(raw json.RawMessage) Reply {
	var p struct{ Error string }
	if len(raw) > 0 && raw[0] == '{' {
		if err := json.Unmarshal(raw, &p); err == nil && p.Error != "" {
			return ofReply(resp.Err(p.Error))
		}
	}
	var v any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return Reply{Outcome: history.InDoubt, Err: fmt.Errorf("%w: %w", ErrUnexpected, err)}
	}
	value, err := fromJSON(v)
	if err != nil {
		return Reply{Outcome: history.InDoubt, Err: err}
	}
	return Reply{Outcome: history.OK, Value: value}
}

// fromJSON is the reply that was turned into JSON.
func fromJSON(v any) (resp.Value, error) {
	switch v := v.(type) {
	case nil:
		return resp.Nil, nil
	case string:
		return resp.BulkString(v), nil
	case json.Number:
		n, err := v.Int64()
		return resp.Int(n), err
	case []any:
		out := resp.Value{Kind: resp.KindArray}
		for _, e := range v {
			elem, err := fromJSON(e)
			if err != nil {
				return out, err
			}
			out.Elems = append(out.Elems, elem)
		}
		return out, nil
	case map[string]any:
		if text, ok := v["error"].(string); ok {
			return resp.Err(text), nil
		}
	}
	return resp.Value{}, fmt.Errorf("%w: result %v", ErrUnexpected, v)
}
