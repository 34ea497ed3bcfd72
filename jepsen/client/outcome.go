package client

import (
	"errors"
	"fmt"
	"net/http"

	lockstep "github.com/lockstepkv/lockstep/client"
	"github.com/lockstepkv/lockstep/jepsen/history"
	"github.com/lockstepkv/lockstep/resp"
)

// ErrUnexpected marks errors that no document of Lockstep knows, and those that
// say that a request was wrong: the workloads send none that are.
var ErrUnexpected = errors.New("unexpected error")

// ofCode is the outcome that the code of an error reply stands for.
func ofCode(code string) (outcome history.Outcome, expected bool) {
	switch code {
	case "INDOUBT":
		return history.InDoubt, true
	case "CLUSTERDOWN", "TRYAGAIN", "LOADING", "MOVED", "OOM", // nothing happened
		"CONDITION", "STALEFENCE", "EXECABORT", "ONCEEXPIRED": // refused for what it asked
		return history.Fail, true
	case "ERR", "WRONGTYPE", "CROSSSLOT", "NOAUTH", "WRONGPASS", "NOPERM", "READONLY", "ONCEMISMATCH":
		return history.Fail, false
	}
	return history.InDoubt, false
}

// ofReply files a reply of the Redis protocol.
func ofReply(v resp.Value) Reply {
	if !v.IsError() {
		return Reply{Outcome: history.OK, Value: v}
	}
	err := resp.Error(v.Str)
	outcome, expected := ofCode(err.Code())
	if !expected {
		return Reply{Outcome: outcome, Err: fmt.Errorf("%w: %w", ErrUnexpected, err)}
	}
	return Reply{Outcome: outcome, Err: err, Refused: err.Code() == "CONDITION" || err.Code() == "STALEFENCE"}
}

// refusals are the codes of requests whose condition did not hold.
var refusals = map[string]bool{"condition_failed": true, "stale_fence": true, "lock_held": true, "lock_lost": true}

// ofProblem files an HTTP answer that is no success.
func ofProblem(status int, p lockstep.Problem) Reply {
	err := fmt.Errorf("HTTP %d %s: %s", status, p.Code, p.Detail)
	switch {
	case p.Outcome == lockstep.NotApplied && status != http.StatusGatewayTimeout:
		if !expectedStatus(status, p.Code) {
			err = fmt.Errorf("%w: %w", ErrUnexpected, err)
		}
		return Reply{Outcome: history.Fail, Err: err, Refused: refusals[p.Code]}
	case p.Outcome == lockstep.InDoubt && status == http.StatusGatewayTimeout:
		return Reply{Outcome: history.InDoubt, Err: err}
	}
	return Reply{Outcome: history.InDoubt, Err: fmt.Errorf("%w: %w", ErrUnexpected, err)}
}

// expectedStatus reports whether a request that is right may be refused so.
func expectedStatus(status int, code string) bool {
	switch status {
	case http.StatusConflict, http.StatusPreconditionFailed, // for what it asked
		http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusInsufficientStorage: // nothing happened
		return true
	}
	return code == "no_such_key"
}

// ofLost files a request over HTTP that got no answer.
func ofLost(err error) Reply {
	if lockstep.Code(err) == lockstep.CodeUnreachable {
		return Reply{Outcome: history.Fail, Err: err}
	}
	return Reply{Outcome: history.InDoubt, Err: err}
}
