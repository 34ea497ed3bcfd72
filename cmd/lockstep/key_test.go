package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/client"
)

// Bytes that are no text come out as they went in.
func TestKeyGetBinary(t *testing.T) {
	server := httptest.NewServer(newFakeAPI())
	defer server.Close()
	o := keyGetOptions{client: clientOptions{endpoints: []string{server.URL}, timeout: time.Minute}, raw: true}
	var out bytes.Buffer
	if err := keyGet(context.Background(), &out, o, "binary"); err != nil || !bytes.Equal(out.Bytes(), []byte{0xff, 0}) {
		t.Errorf("%x, %v", out.Bytes(), err)
	}
	body := setBody(keySetOptions{}, []byte{0xff, 0}, nil)
	if body["value_base64"] != "/wA=" || body["value"] != nil {
		t.Errorf("%v", body)
	}
}

func TestExitCodeOfAnswers(t *testing.T) {
	for _, tc := range []struct {
		status  int
		outcome string
		changes bool
		want    int
	}{
		{404, "not_applied", false, exitNotFound},
		{409, "not_applied", true, exitCondition},
		{412, "not_applied", true, exitCondition},
		{503, "not_applied", true, exitUnavailable},
		{504, "in_doubt", true, exitInDoubt},
		{502, "", true, exitInDoubt}, // a proxy that tells nothing
		{502, "", false, exitFailed},
		{507, "not_applied", true, exitFailed},
		{400, "not_applied", true, exitFailed},
		{503, "", true, exitUnavailable},
	} {
		answer := client.Answer{Status: tc.status, Body: fmt.Appendf(nil, `{"code":"c","outcome":%q}`, tc.outcome)}
		err := new(apiClient).coded(answer.Err(client.Request{Method: map[bool]string{true: "PUT", false: "GET"}[tc.changes]}))
		if got := exitCode(err); got != tc.want {
			t.Errorf("%+v: %d", tc, got)
		}
	}
}
