package httpapi

import (
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
)

// TestValuesOfOtherTypes: a value goes in and comes out in the form of its type.
func TestValuesOfOtherTypes(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string // of an error the code
	}{
		{"PUT", "/v1/keys/h", `{"type":"hash","value":{"a":"1","b":2,"c":{"value_base64":"/w=="}}}`, 200, `{"expires_at_ms":null,"key":"h","version":1}`},
		{"GET", "/v1/keys/h", ``, 200, `{"key":"h","ttl_ms":null,"type":"hash","value":{"a":"1","b":"2","c":{"value_base64":"/w=="}},"version":1}`},
		{"PUT", "/v1/keys/h", `{"type":"hash","value":[[{"value_base64":"/w=="},"x"],["y","z"]],"if_version":1}`, 200, `{"expires_at_ms":null,"key":"h","version":2}`},
		{"GET", "/v1/keys/h", ``, 200, `{"key":"h","ttl_ms":null,"type":"hash","value":[[{"value_base64":"/w=="},"x"],["y","z"]],"version":2}`},
		{"PUT", "/v1/keys/h", `{"type":"hash","value":{"a":"1"},"if":"absent"}`, 412, `condition_failed`},
		{"PUT", "/v1/keys/h", `{"type":"hash","value":{"a":"1","a":"2"}}`, 400, `duplicate_field`},
		{"PUT", "/v1/keys/h", `{"type":"hash","value":{}}`, 400, `empty_value`},
		{"PUT", "/v1/keys/h", `{"type":"hash","value":[]}`, 400, `empty_value`},
		{"PUT", "/v1/keys/h", `{"type":"hash","value":"a"}`, 400, `wrong_type`},
		{"PUT", "/v1/keys/h", `{"type":"hash","value":[["a"]]}`, 400, `wrong_type`},
		{"PUT", "/v1/keys/h", `{"type":"hash","value":{"a":null}}`, 400, `wrong_type`},
		{"PUT", "/v1/keys/h", `{"type":"hash","value":{"a":{"b":"c"}}}`, 400, `wrong_type`},
		{"PUT", "/v1/keys/h", `{"type":"hash","value_base64":"YQ=="}`, 400, `wrong_type`},
		{"PUT", "/v1/keys/h", `{"type":"tree","value":"a"}`, 400, `bad_value`},
		{"PUT", "/v1/keys/s", `{"type":"string","value":"a"}`, 200, `{"expires_at_ms":null,"key":"s","version":3}`},
		{"PATCH", "/v1/keys/h", `{"type":"hash","put":{"y":"new","n":"1"},"remove":["n","none","y"]}`, 200, `{"added":1,"removed":2}`},
		{"PATCH", "/v1/keys/h", `{"type":"hash","put":{"y":"1"}}`, 200, `{"added":1}`},
		{"PATCH", "/v1/keys/h", `{"type":"hash","remove":["y"]}`, 200, `{"removed":1}`},
		{"PATCH", "/v1/keys/s", `{"type":"hash","put":{"y":"1"}}`, 422, `wrong_type`},
		{"PATCH", "/v1/keys/s", `{"type":"hash","put":{"y":"1"},"remove":["z"]}`, 422, `wrong_type`},
		{"PATCH", "/v1/keys/h", `{"type":"hash"}`, 400, `missing_field`},
		{"PATCH", "/v1/keys/h", `{"put":{"y":"1"}}`, 400, `bad_value`},
		{"PATCH", "/v1/keys/h", `{"type":"list","put":["1"]}`, 400, `bad_value`},
		{"PATCH", "/v1/keys/h", `{"type":"hash","remove":[]}`, 400, `wrong_type`},
		{"PATCH", "/v1/keys/h", `{"type":"hash","put":{"y":"1"},"x":1}`, 400, `unknown_field`},
		{"PUT", "/v1/keys/l", `{"type":"list","value":["a",1,{"value_base64":"/w=="}],"ttl_ms":100000000}`, 200, ``},
		{"POST", "/v1/keys/l/push", `{"values":["z",2]}`, 200, `{"length":5}`},
		{"POST", "/v1/keys/l/push", `{"values":["y"],"end":"left"}`, 200, `{"length":6}`},
		{"POST", "/v1/keys/l/pop", ``, 200, `{"values":["y"]}`},
		{"POST", "/v1/keys/l/pop", `{"count":2,"end":"right"}`, 200, `{"values":["2","z"]}`},
		{"POST", "/v1/keys/l/pop", `{"count":100}`, 200, `{"values":["a","1",{"value_base64":"/w=="}]}`},
		{"POST", "/v1/keys/l/pop", ``, 200, `{"values":[]}`},
		{"POST", "/v1/keys/h/pop", ``, 422, `wrong_type`},
		{"POST", "/v1/keys/l/pop", `{"count":0}`, 400, `bad_value`},
		{"POST", "/v1/keys/l/pop", `{"end":"middle"}`, 400, `bad_value`},
		{"POST", "/v1/keys/l/push", `{"values":[]}`, 400, `wrong_type`},
		{"POST", "/v1/keys/l/push", `{"end":"left"}`, 400, `missing_field`},
		{"POST", "/v1/keys/l/push", `{"values":["a"],"end":"right"}`, 200, `{"length":1}`},
		{"GET", "/v1/keys/l", ``, 200, `{"key":"l","ttl_ms":null,"type":"list","value":["a"],"version":14}`},
	} {
		w := f.call(c.method, c.path, c.body)
		got := strings.TrimSpace(w.Body.String())
		if w.Code >= 400 {
			got = checkProblem(t, w).Code
		}
		if w.Code != c.status || got != c.want && c.want != "" {
			t.Errorf("%s %s %s: %d %s, want %d %s", c.method, c.path, c.body, w.Code, got, c.status, c.want)
		}
	}
	if p := checkProblem(t, f.call("GET", "/v1/keys/h", "", "Accept: application/octet-stream")); p.Status != 406 || p.Code != "no_bytes" {
		t.Errorf("a hash as bytes: %+v", p)
	}
}
