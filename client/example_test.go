package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/lockstepkv/lockstep/client"
)

// cluster stands for nodes of Lockstep: the key "colour" is blue and has version 7.
func cluster() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPut && r.Header.Get("Idempotency-Key") == "":
			w.WriteHeader(http.StatusPreconditionFailed)
			_, _ = io.WriteString(w, `{"code":"condition_failed","outcome":"not_applied","detail":"the key has another version"}`)
		case r.Method == http.MethodPut:
			_, _ = io.WriteString(w, `{"key":"colour","version":8,"expires_at_ms":null}`)
		default:
			_, _ = io.WriteString(w, `{"key":"colour","type":"string","value":"blue","version":7,"ttl_ms":null}`)
		}
	}))
}

// A read asks one node after the other until one answers.
func ExampleHTTP_JSON() {
	node := cluster()
	defer node.Close()
	c, err := client.NewHTTP([]string{"http://127.0.0.1:1", node.URL}, client.Options{Timeout: 10 * time.Second})
	if err != nil {
		panic(err)
	}
	defer c.Close()
	var key struct {
		Value   string `json:"value"`
		Version uint64 `json:"version"`
	}
	_, err = c.JSON(context.Background(), client.Request{Method: http.MethodGet, Path: "/v1/keys/colour"}, &key)
	fmt.Println(key.Value, key.Version, err)
	// Output: blue 7 <nil>
}

// A write under an idempotency key is sent again until it is known what happened: it
// happens once however often it is sent.
func ExampleRequest() {
	node := cluster()
	defer node.Close()
	c, err := client.NewHTTP([]string{node.URL}, client.Options{Timeout: 10 * time.Second})
	if err != nil {
		panic(err)
	}
	defer c.Close()
	set := client.Request{Method: http.MethodPut, Path: "/v1/keys/colour", Body: []byte(`{"value":"red"}`), Once: "order-17"}
	for range 5 {
		if _, err = c.Do(context.Background(), set); !client.IsInDoubt(err) {
			break
		}
	}
	fmt.Println(err)
	// Output: <nil>
}

// A program asks for the code and the outcome, and people read the text.
func ExampleError() {
	node := cluster()
	defer node.Close()
	c, err := client.NewHTTP([]string{node.URL}, client.Options{})
	if err != nil {
		panic(err)
	}
	defer c.Close()
	_, err = c.Do(context.Background(), client.Request{Method: http.MethodPut, Path: "/v1/keys/colour", Body: []byte(`{"value":"red","if_version":6}`)})
	var failure *client.Error
	if errors.As(err, &failure) {
		fmt.Println(failure.Code, failure.Outcome, failure.Status)
	}
	fmt.Println(err)
	// Output:
	// condition_failed not_applied 412
	// 412 Precondition Failed: the key has another version (condition_failed)
}

func ExampleDial() {
	_, err := client.Dial(context.Background(), "127.0.0.1:1", client.Options{Version: 3, Timeout: 10 * time.Second})
	fmt.Println(client.Code(err), client.IsInDoubt(err))
	// Output: unreachable false
}
