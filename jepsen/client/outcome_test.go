package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/jepsen/history"
	"github.com/lockstepkv/lockstep/resp"
)

// A failed operation must never become visible, so whatever is not known to have
// done nothing must be in doubt. These tests are about that border.

// answers is a server of the Redis protocol that gives one reply after the other
// and hangs up when none is left.
func answers(t *testing.T, replies ...string) Endpoint {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		r := bufio.NewReader(conn)
		for _, reply := range append([]string{"+OK\r\n"}, replies...) {
			if _, err := resp.ReadValue(r); err != nil {
				return
			}
			if _, err := conn.Write([]byte(reply)); err != nil {
				return
			}
		}
		_, _ = resp.ReadValue(r) // the one that gets no answer
	}()
	return Endpoint{Node: "n1", RESP: l.Addr().String(), Timeout: time.Second}
}

func TestRedisOutcomes(t *testing.T) {
	set, get := []string{"SET", "k", "v"}, []string{"GET", "k"}
	for _, c := range []struct {
		name    string
		args    []string
		reply   string // empty: the connection ends
		want    history.Outcome
		strange bool
	}{
		{"success", set, "+OK\r\n", history.OK, false},
		{"in doubt", set, "-INDOUBT may have happened\r\n", history.InDoubt, false},
		{"refused", set, "-TRYAGAIN no leader\r\n", history.Fail, false},
		{"full", set, "-OOM no memory\r\n", history.Fail, false},
		{"wrong type", set, "-WRONGTYPE no\r\n", history.Fail, true},
		{"wrong request", set, "-ERR syntax\r\n", history.Fail, true},
		{"not allowed", set, "-NOPERM no\r\n", history.Fail, true},
		{"old fence", set, "-STALEFENCE no\r\n", history.Fail, false},
		{"unknown word", set, "-WHATEVER this is\r\n", history.InDoubt, true},
		{"no answer to a write", set, "", history.InDoubt, false},
		{"half an answer to a write", set, "+O", history.InDoubt, false},
		{"no answer to a read", get, "", history.Fail, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			end := answers(t, c.reply)
			if c.reply == "" {
				end = answers(t)
			}
			client := NewRedis(end, 3)
			defer client.Close()
			check(t, client.Do(context.Background(), c.args...), c.want, c.strange)
		})
	}
}

func check(t *testing.T, r Reply, want history.Outcome, strange bool) {
	t.Helper()
	if r.Outcome != want || errors.Is(r.Err, ErrUnexpected) != strange || (r.Err == nil) != (want == history.OK) {
		t.Errorf("got %v (%v); want %v, undocumented: %v", r.Outcome, r.Err, want, strange)
	}
}

func TestRedisThatCannotBeReached(t *testing.T) {
	const nobody = "127.0.0.1:1"
	client := NewRedis(Endpoint{RESP: nobody, HTTP: nobody, Timeout: time.Second}, 2)
	check(t, client.Do(context.Background(), "SET", "k", "v"), history.Fail, false)
	web := NewHTTP(Endpoint{HTTP: nobody, Timeout: time.Second})
	check(t, web.Do(context.Background(), "SET", "k", "v"), history.Fail, false)
}

// Until EXEC is sent nothing can have happened.
func TestTransactionOutcomes(t *testing.T) {
	const queued = "+QUEUED\r\n"
	for _, c := range []struct {
		name    string
		replies []string
		want    history.Outcome
		refused bool
	}{
		{"done", []string{"+OK\r\n", queued, "*1\r\n:1\r\n"}, history.OK, false},
		{"cut before MULTI was answered", nil, history.Fail, false},
		{"cut before EXEC was sent", []string{"+OK\r\n"}, history.Fail, false},
		{"cut before EXEC was answered", []string{"+OK\r\n", queued}, history.InDoubt, false},
		{"in doubt", []string{"+OK\r\n", queued, "-INDOUBT x\r\n"}, history.InDoubt, false},
		{"a command was not queued", []string{"+OK\r\n", "-TRYAGAIN x\r\n", "-EXECABORT x\r\n"}, history.Fail, false},
		{"a watched key had changed", []string{"+OK\r\n", queued, "*-1\r\n"}, history.Fail, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := NewRedis(answers(t, c.replies...), 2)
			defer client.Close()
			r := client.Tx(context.Background(), [][]string{{"INCR", "k"}})
			check(t, r, c.want, false)
			if r.Refused != c.refused {
				t.Errorf("refused: %v", r.Refused)
			}
		})
	}
}

func TestHTTPOutcomes(t *testing.T) {
	for _, c := range []struct {
		name          string
		status        int
		code, outcome string
		want          history.Outcome
		strange       bool
		refused       bool
	}{
		{"success", 200, "", "", history.OK, false, false},
		{"not applied", 503, "not_ready", "not_applied", history.Fail, false, false},
		{"condition", 412, "condition_failed", "not_applied", history.Fail, false, true},
		{"stale fence", 412, "stale_fence", "not_applied", history.Fail, false, true},
		{"full", 507, "out_of_memory", "not_applied", history.Fail, false, false},
		{"wrong request", 400, "bad_request", "not_applied", history.Fail, true, false},
		{"wrong password", 401, "unauthorized", "not_applied", history.Fail, true, false},
		{"wrong type", 422, "wrong_type", "not_applied", history.Fail, true, false},
		{"in doubt", 504, "in_doubt", "in_doubt", history.InDoubt, false, false},
		{"says two things", 504, "in_doubt", "not_applied", history.InDoubt, true, false},
		{"in doubt with another status", 500, "in_doubt", "in_doubt", history.InDoubt, true, false},
		{"no problem document", 502, "", "", history.InDoubt, true, false},
		{"hangs up", 0, "", "", history.InDoubt, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if c.status == 0 {
					panic(http.ErrAbortHandler)
				}
				w.WriteHeader(c.status)
				fmt.Fprintf(w, `{"code":%q,"outcome":%q,"detail":"x"}`, c.code, c.outcome)
			}))
			defer server.Close()
			client := NewHTTP(Endpoint{HTTP: strings.TrimPrefix(server.URL, "http://"), Timeout: time.Second})
			defer client.Close()
			r := client.Do(context.Background(), "SET", "k", "v")
			check(t, r, c.want, c.strange)
			if r.Refused != c.refused {
				t.Errorf("refused: %v", r.Refused)
			}
		})
	}
}
