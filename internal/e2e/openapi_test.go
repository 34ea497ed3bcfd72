package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/internal/openapitest"
)

// TestAnswersAreAsDocumented: a node serves a document that every answer of its own keeps to,
// for every operation, and errors too.
func TestAnswersAreAsDocumented(t *testing.T) {
	n := StartCluster(t, Options{Nodes: 1}).Nodes[0]
	_, text, err := n.Do("GET", "/openapi.json", "")
	if err != nil {
		t.Fatal(err)
	}
	document, err := openapitest.New(text)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Timeout: 30 * time.Second, Transport: document.Transport(http.DefaultTransport, func(err error) { t.Error(err) })}
	var token struct{ Token string }
	for _, step := range []struct {
		call, body string
		status     int
	}{
		{"PUT /v1/keys/a%2Fb", `{"value":"1","ttl_ms":60000}`, 200},
		{"PUT /v1/keys/a%2Fb", `{"value":"x","if":"absent"}`, 412},
		{"GET /v1/keys/a%2Fb", ``, 200},
		{"HEAD /v1/keys/a%2Fb", ``, 200},
		{"GET /v1/keys/none", ``, 404},
		{"PUT /v1/keys/%ff", `{"value_base64":"/w=="}`, 200},
		{"GET /v1/keys?values=true", ``, 200},
		{"GET /v1/keys?limit=none", ``, 400},
		{"POST /v1/keys/n/incr", `{"by":5}`, 200},
		{"POST /v1/keys/%ff/incr", ``, 422},
		{"DELETE /v1/keys/n", ``, 200},
		{"POST /v1/commands", `["MGET","a/b","none"]`, 200},
		{"POST /v1/commands", `["GET","none"]`, 200},
		{"POST /v1/commands", `[["HELLO"],["INCR","none"],["GET",{"value_base64":"/w=="}],["NOPE"]]`, 200},
		{"POST /v1/commands", `["NOPE"]`, 400},
		{"POST /v1/transactions", `{"if":[{"key":"k","exists":false}],"then":[["SET","k","v"]],"else":[["GET","k"]]}`, 200},
		{"POST /v1/locks/l", `{"ttl_ms":60000}`, 200},
		{"POST /v1/locks/l", `{"ttl_ms":60000}`, 409},
		{"PUT /v1/locks/l", `{"ttl_ms":60000,"token":"TOKEN"}`, 200},
		{"GET /v1/locks/l", ``, 200},
		{"GET /v1/locks", ``, 200},
		{"DELETE /v1/locks/l", `{"token":"TOKEN"}`, 200},
		{"GET /v1/locks/l", ``, 200},
		{"POST /v1/fences", `{"above":1}`, 200},
		{"GET /v1/cluster", ``, 200},
		{"POST /v1/shards/0/leader", `{"node":"n1"}`, 200},
		{"POST /v1/shards/0/leader", `{"node":"n9"}`, 400},
		{"GET /v1/shards/0/backup", ``, 200},
		{"GET /v1/shards/9/backup", ``, 404},
		{"GET /v1/shards/0/digest", ``, 200},
		{"GET /healthz", ``, 200},
		{"GET /readyz", ``, 200},
		{"GET /metrics", ``, 200},
		{"GET /openapi.json", ``, 200},
		{"PUT /v1/keys/h", `{"type":"hash","value":{"f":"v"}}`, 200},
		{"PUT /v1/keys/h", `{"type":"hash","value":{}}`, 400},
		{"GET /v1/keys/h", ``, 200},
		{"PATCH /v1/keys/h", `{"type":"hash","put":{"g":2},"remove":["f"]}`, 200},
		{"PATCH /v1/keys/h", ``, 400},
		{"PATCH /v1/keys/h", `{"type":"set","put":["m"]}`, 422},
		{"POST /v1/keys/l/push", `{"values":["a",{"value_base64":"/w=="}]}`, 200},
		{"POST /v1/keys/l/pop", `{"count":5}`, 200},
		{"POST /v1/keys/l/pop", ``, 200},
		{"POST /v1/keys/h/pop", ``, 422},
		{"POST /v1/keys/k", ``, 405},
		{"GET /v1/nothing", ``, 404},
	} {
		method, path, _ := strings.Cut(step.call, " ")
		body := strings.ReplaceAll(step.body, "TOKEN", token.Token)
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+n.HTTP+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if body != "" {
			req.Header.Set("Content-Type", "application/json")
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != step.status {
			t.Errorf("%s %s: %d %.300s, %v; want %d", step.call, body, res.StatusCode, answer, err, step.status)
		}
		if token.Token == "" {
			_ = json.Unmarshal(answer, &token) // only a grant has one
		}
	}
	if left := document.Unseen("2"); len(left) > 0 {
		t.Errorf("not asked for: %v", left)
	}
}
