package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/lockstepkv/lockstep/client"
)

var (
	errLockHeld = errors.New("somebody else holds the lock")
	errLockGone = errors.New("the lock is not ours any more")
)

// lockClient holds one lock through whichever node answers.
type lockClient struct {
	api  *apiClient
	path string
	name string
	ttl  time.Duration
	at   int // the endpoint to ask first

	refusal error // of the last call that had time for an answer

	token string
	fence uint64
	// until is when the lock may be lost, by this machine's monotonic clock: its
	// time counts from before the request was sent.
	until time.Time
}

// attemptPause is how long to wait before the nodes are asked once more.
const attemptPause = 100 * time.Millisecond

func newLockClient(o lockOptions, name string) (*lockClient, error) {
	o.client.timeout = 0 // each call has its own
	api, err := newAPIClient(o.client)
	if err != nil {
		return nil, err
	}
	return &lockClient{api: api, name: name, path: "/v1/locks/" + url.PathEscape(name), ttl: o.ttl}, nil
}

type lockAnswer struct {
	Token string `json:"token"`
	Fence uint64 `json:"fence"`
}

// acquire takes the lock. A request is repeated under its idempotency key until a
// node answers, so that it has one place in the queue however often it was sent.
func (c *lockClient) acquire(ctx context.Context, o lockOptions) error {
	end := time.Now().Add(o.wait)
	ctx, cancel := context.WithDeadline(ctx, end.Add(o.client.timeout))
	defer cancel()
	id, wait, asked := rand.Text(), o.wait, time.Now()
	for tries := 0; ; tries++ {
		sent := time.Now()
		var answer lockAnswer
		err := c.call(ctx, http.MethodPost, id, lockBody{TTL: c.ttl.Milliseconds(), Wait: wait.Milliseconds(), Owner: o.owner}, &answer)
		switch {
		case err == nil:
			c.token, c.fence, c.until = answer.Token, answer.Fence, sent.Add(c.ttl)
			if time.Since(sent) > c.ttl/10 {
				return c.confirm(ctx) // it was granted some time within the wait
			}
			return nil
		case exitCode(err) == exitCondition && tries > 0 && time.Until(end) > attemptPause:
			// The place in the queue was lost with the node that it was taken
			// through. Queue again.
			id, wait, tries = rand.Text(), time.Until(end), -1
		case exitCode(err) == exitCondition:
			return withCode(o.conflictCode, fmt.Errorf("%w: %v", errLockHeld, err))
		case ctx.Err() != nil:
			return withCode(exitLockUnavailable, fmt.Errorf("after %v: %w", time.Since(asked).Round(time.Millisecond), err))
		case exitCode(err) != exitUnavailable && exitCode(err) != exitInDoubt:
			return withCode(exitLockUsage, err)
		}
		pauseFor(ctx, attemptPause)
	}
}

// confirm finds out from when on the lock's time counts, by renewing it.
func (c *lockClient) confirm(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.ttl)
	defer cancel()
	for {
		err := c.renew(ctx)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errLockGone):
			return withCode(exitLockUnavailable, fmt.Errorf("the lock was granted and lost before the answer came: %w", err))
		case ctx.Err() != nil:
			return withCode(exitLockUnavailable, err)
		}
		pauseFor(ctx, attemptPause)
	}
}

// renew renews the lock once, trying every node.
func (c *lockClient) renew(ctx context.Context) error {
	sent := time.Now()
	err := c.call(ctx, http.MethodPut, "", lockBody{Token: c.token, TTL: c.ttl.Milliseconds()}, nil)
	switch {
	case err == nil:
		c.until = sent.Add(c.ttl)
	case exitCode(err) == exitCondition:
		return fmt.Errorf("%w: %v", errLockGone, err)
	}
	return err
}

// releasePatience is how long a node is looked for that takes the release.
const releasePatience = 3 * time.Second

// letGo releases the lock, or leaves it to end by itself after the rest of the
// time that it is to be kept.
func (c *lockClient) letGo(rest time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), releasePatience)
	defer cancel()
	for ctx.Err() == nil {
		var err error
		if rest > 0 {
			err = c.call(ctx, http.MethodPut, "", lockBody{Token: c.token, TTL: max(rest.Milliseconds(), 1)}, nil)
		} else {
			err = c.call(ctx, http.MethodDelete, "", lockBody{Token: c.token}, nil)
		}
		if err == nil || exitCode(err) == exitCondition {
			return
		}
		pauseFor(ctx, attemptPause)
	}
}

type lockBody struct {
	Token string `json:"token,omitempty"`
	TTL   int64  `json:"ttl_ms,omitempty"`
	Wait  int64  `json:"wait_ms,omitempty"`
	Owner string `json:"owner,omitempty"`
}

// call tries one node after the other until one answers, beginning with the one
// that answered last. All calls here may be repeated: by their idempotency key, or
// because they do the same again. A node that hangs costs a part of the time only:
// with a wait it is asked now and then whether it is there at all, else it has its
// share of the time until the deadline.
func (c *lockClient) call(ctx context.Context, method, id string, body lockBody, out any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r := client.Request{Method: method, Path: c.path, Body: b, Once: id}
	var failures []error
	nodes := len(c.api.Endpoints())
	for n := range nodes {
		err := c.ask(ctx, r, body.Wait > 0, nodes-n, out)
		if err == nil {
			c.refusal = nil
			return nil
		}
		if code := exitCode(err); code != exitUnavailable && code != exitInDoubt {
			return err
		}
		failures = append(failures, err)
		if ctx.Err() != nil {
			break
		}
		c.at = (c.at + 1) % nodes
	}
	if ctx.Err() == nil || c.refusal == nil {
		c.refusal = withCode(exitUnavailable, fmt.Errorf("%s: %w", allFailed(failures), errors.Join(failures...)))
	}
	return c.refusal // what cut this call short says less than the nodes did before
}

// allFailed tells nodes that refuse from nodes that say nothing.
func allFailed(failures []error) string {
	for _, err := range failures {
		var e *client.Error
		if errors.As(err, &e) && e.Status != 0 {
			return "no node takes the request"
		}
	}
	return "no node answers"
}

// ask calls one node, of as many as are left to try.
func (c *lockClient) ask(ctx context.Context, r client.Request, waits bool, left int, out any) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	node := c.api.At(c.at)
	if waits {
		go watch(ctx, node, cancel)
	} else if deadline, ok := ctx.Deadline(); ok && left > 1 {
		share, stop := context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
		defer stop()
		ctx = share
	}
	answer, err := node.Exchange(ctx, r)
	if wrong := c.api.tls.mistake(err); wrong != nil {
		return wrong
	}
	var lost *client.Error
	if errors.As(err, &lost) {
		if cause := context.Cause(ctx); cause != nil {
			err = fmt.Errorf("%s: %w", lost.Node, cause)
		}
		return withCode(exitUnavailable, err)
	}
	if err := answer.Err(r); err != nil {
		return c.api.coded(err)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer.Body, out); err != nil {
		return withCode(exitInDoubt, fmt.Errorf("read the answer: %w", err))
	}
	return nil
}

// aliveEvery is how often a node that keeps a request waiting is asked whether it
// is alive, and how long it may take to answer that.
const aliveEvery = time.Second

var errNodeHangs = errors.New("the node does not answer any more")

// watch ends a call to a node that is not alive any more.
func watch(ctx context.Context, node *client.HTTP, end context.CancelCauseFunc) {
	for {
		pauseFor(ctx, aliveEvery)
		if ctx.Err() != nil {
			return
		}
		alive, cancel := context.WithTimeout(ctx, aliveEvery)
		_, err := node.Exchange(alive, client.Request{Method: http.MethodGet, Path: "/healthz"})
		cancel()
		if err != nil {
			end(errNodeHangs)
			return
		}
	}
}

func pauseFor(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
