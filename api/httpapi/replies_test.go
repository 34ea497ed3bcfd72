package httpapi

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
)

// A few bytes of commands do not make a gigabyte of JSON, and one long value is
// answered all the same.
func TestRepliesOfARequestAreBounded(t *testing.T) {
	for _, shards := range []int{1, 3} {
		f := newFixture(t, routertest.Options{Shards: shards}, router.Config{SpanShards: true}, Options{})
		big := strings.Repeat("v", 1<<20)
		for _, key := range []string{"a", "b", "c"} {
			if w := f.call("POST", "/v1/commands", `["SET","`+key+`","`+big+`"]`); w.Code != 200 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
		}
		get, mget := `["GET","a"],`, `["MGET"`+strings.Repeat(`,"a","b","c"`, 100)+`]`
		for name, body := range map[string]string{
			"pipeline":    "[" + strings.Repeat(get, 200) + `["PING"]]`,
			"transaction": `[["MULTI"],` + strings.Repeat(get, 200) + `["EXEC"]]`,
			"mget":        mget,
			"mgets":       "[" + strings.Repeat(mget+",", 20) + `["PING"]]`,
		} {
			w := f.call("POST", "/v1/commands", body)
			if n := w.Body.Len(); n > 36<<20 || !json.Valid(w.Body.Bytes()) {
				t.Errorf("%d shards, %s: %d bytes", shards, name, n)
			}
		}
		if w := f.call("GET", "/v1/keys/a", ""); w.Code != 200 || w.Body.Len() < 1<<20 {
			t.Errorf("GET: %d, %d bytes", w.Code, w.Body.Len())
		}
	}
}
