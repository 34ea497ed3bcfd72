package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"

	"github.com/lockstepkv/lockstep/jepsen/history"
	"github.com/lockstepkv/lockstep/resp"
)

var errNotHeld = errors.New("not held with that token")

// Lock asks for a lock, by the call of the protocol that the client speaks. A
// success answers token and fence; a lock that was not got is refused.
func Lock(ctx context.Context, c Client, name, ttlMillis, waitMillis, owner string) Reply {
	if h, ok := c.(*HTTP); ok {
		return h.lock(ctx, name, ttlMillis, waitMillis, owner)
	}
	r := c.Do(ctx, "LOCK", name, ttlMillis, "WAIT", waitMillis, "OWNER", owner)
	if r.Outcome == history.OK && r.Value.IsNil() {
		return Reply{Outcome: history.Fail, Refused: true, Err: errors.New("held by another")}
	}
	return r
}

// Renew renews a lock. Unlock releases it. Both are refused when the lock is not
// held with the token.
func Renew(ctx context.Context, c Client, name, token, ttlMillis string) Reply {
	if h, ok := c.(*HTTP); ok {
		return h.withToken(ctx, "PUT", name, map[string]any{"token": token, "ttl_ms": json.Number(ttlMillis)})
	}
	return oneOrRefused(c.Do(ctx, "LOCKRENEW", name, token, ttlMillis))
}

// Unlock releases a lock.
func Unlock(ctx context.Context, c Client, name, token string) Reply {
	if h, ok := c.(*HTTP); ok {
		return h.withToken(ctx, "DELETE", name, map[string]any{"token": token})
	}
	return oneOrRefused(c.Do(ctx, "UNLOCK", name, token))
}

func oneOrRefused(r Reply) Reply {
	if r.Outcome == history.OK && r.Value.Int == 0 {
		return Reply{Outcome: history.Fail, Refused: true, Err: errNotHeld}
	}
	return r
}

func (c *HTTP) lock(ctx context.Context, name, ttlMillis, waitMillis, owner string) Reply {
	var out struct {
		Token string
		Fence int64
	}
	body := map[string]any{"ttl_ms": json.Number(ttlMillis), "wait_ms": json.Number(waitMillis), "owner": owner}
	_, r := c.call(ctx, "POST", "/v1/locks/"+url.PathEscape(name), "", body, &out)
	r.Value = resp.Array(resp.BulkString(out.Token), resp.Int(out.Fence))
	return r
}

func (c *HTTP) withToken(ctx context.Context, method, name string, body any) Reply {
	var out struct{}
	_, r := c.call(ctx, method, "/v1/locks/"+url.PathEscape(name), "", body, &out)
	return r
}
