package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// compareAndDelete is how Redlock libraries release: as redsync sends it, and redlock-py,
// node-redlock and others but for its name.
var compareAndDelete = redis.NewScript(`
	local val = redis.call("GET", KEYS[1])
	if val == ARGV[1] then
		return redis.call("DEL", KEYS[1])
	elseif val == false then
		return -1
	else
		return 0
	end
`)

// The recipes of docs/locks.md for locks made of keys, with a client library and its
// usual commands, through any node.
func TestRecipesOfRedis(t *testing.T) {
	c := StartCluster(t, Options{})
	ctx := context.Background()
	mine, yours := c.Nodes[0].Redis(2), c.Nodes[1].Redis(2)
	take := func(r *redis.Client, key, token string) bool {
		t.Helper()
		got, err := r.SetNX(ctx, key, token, time.Minute).Result() // SET key token PX 60000 NX
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	value := func(key string) string {
		t.Helper()
		v, err := yours.Get(ctx, key).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			t.Fatal(err)
		}
		return v
	}
	if !take(mine, "l", "me") || take(yours, "l", "you") || value("l") != "me" {
		t.Error("SET NX is no lock")
	}

	// The release of Redlock libraries is a script: it is refused, and changes nothing.
	if err := compareAndDelete.Run(ctx, mine, []string{"l"}, "me").Err(); err == nil || !strings.Contains(err.Error(), "unknown command") {
		t.Errorf("a script: %v", err)
	}
	w := c.Nodes[0].Dial()
	for _, words := range [][]string{{"EVAL", "return redis.call('del',KEYS[1])", "1", "l"}, {"EVALSHA", compareAndDelete.Hash(), "1", "l", "me"}, {"SCRIPT", "LOAD", "return 1"}} {
		if got := w.Do(words...); !strings.HasPrefix(got, "-ERR unknown command '"+words[0]+"'") {
			t.Errorf("%s: %q", words[0], got)
		}
	}
	if value("l") != "me" {
		t.Error("a script that was refused has done something")
	}

	// Without scripts: by WATCH, as any Redis can, or in one step.
	for _, r := range []struct {
		name    string
		release func(r *redis.Client, key, token string) error
	}{{"WATCH", releaseByWatch}, {"DELIFEQ", releaseByValue}} {
		key := "l:" + r.name
		if !take(mine, key, "me") {
			t.Fatal("the lock is not free")
		}
		if err := r.release(yours, key, "you"); err == nil || value(key) != "me" {
			t.Errorf("%s: a release by a stranger: %v", r.name, err)
		}
		if err := r.release(mine, key, "me"); err != nil || value(key) != "" {
			t.Errorf("%s: a release by the holder: %v", r.name, err)
		}
	}
	if !take(mine, "m", "me") {
		t.Fatal("the lock is not free")
	}
	for token, want := range map[string]error{"you": redis.Nil, "me": nil} {
		if err := yours.Do(ctx, "SET", "m", token, "IFEQ", token, "PX", 30000).Err(); !errors.Is(err, want) {
			t.Errorf("to renew with %s: %v", token, err)
		}
	}
	if left := yours.PTTL(ctx, "m").Val(); left > 30*time.Second || left < time.Second {
		t.Errorf("renewed for %v", left)
	}
}

func releaseByWatch(r *redis.Client, key, token string) error {
	ctx := context.Background()
	return r.Watch(ctx, func(tx *redis.Tx) error {
		if held, err := tx.Get(ctx, key).Result(); err != nil || held != token {
			return fmt.Errorf("held by %q, %w", held, err)
		}
		_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error { p.Del(ctx, key); return nil })
		return err
	}, key)
}

func releaseByValue(r *redis.Client, key, token string) error {
	if n, err := r.Do(context.Background(), "DELIFEQ", key, token).Int(); err != nil || n != 1 {
		return fmt.Errorf("deleted %d, %w", n, err)
	}
	return nil
}

// LOCK through a client library: its time to wait for a reply must be longer than that for
// the lock, or it gives up, and so does the node.
func TestLockWithAClientLibrary(t *testing.T) {
	c := StartCluster(t, Options{Nodes: 1})
	ctx, n := context.Background(), c.Nodes[0]
	r := n.Redis(2)
	got, err := r.Do(ctx, "LOCK", "l", 60000, "OWNER", "me").Slice()
	if err != nil || len(got) != 2 {
		t.Fatal(got, err)
	}
	if err := r.Do(ctx, "FENCED", "l", got[1], "SET", "k", "v").Err(); err != nil {
		t.Error(err)
	}
	hasty := redis.NewClient(&redis.Options{Addr: n.RESP, ReadTimeout: 200 * time.Millisecond, MaxRetries: -1})
	defer hasty.Close()
	var timeout net.Error
	if err := hasty.Do(ctx, "LOCK", "l", 60000, "WAIT", 60000).Err(); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("a client that waits for 200 ms: %v", err)
	}
	n.awaitWaiters("l", 0)
	if n, err := r.Do(ctx, "UNLOCK", "l", got[0]).Int(); err != nil || n != 1 {
		t.Error(n, err)
	}
}

// What a client library may want and Lockstep does not have is refused by name, and the
// connection goes on.
func TestWhatClientsDoWithout(t *testing.T) {
	c := StartCluster(t, Options{Nodes: 1})
	w := c.Nodes[0].Dial()
	for _, line := range []string{
		"BLPOP l 0", "XADD x * f v", "EVAL x 0", "FUNCTION LIST", "SUBSCRIBE c", "PUBLISH c v", "GEOADD g 1 1 m", "SORT l",
	} {
		name, _, _ := strings.Cut(line, " ")
		if got := w.Do(strings.Fields(line)...); !strings.HasPrefix(got, "-ERR unknown command '"+name+"'") {
			t.Errorf("%s: %q", line, got)
		}
	}
	if got := w.Do("CLIENT", "TRACKING", "ON"); !strings.HasPrefix(got, "-ERR") {
		t.Errorf("CLIENT TRACKING: %q", got)
	}
	if got := w.Do("SET", "k", "v"); got != "+OK" {
		t.Errorf("SET afterwards: %q", got)
	}
}
