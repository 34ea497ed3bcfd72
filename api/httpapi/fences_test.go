package httpapi

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
)

// What a restore needs is a request of its own, with the password, and within
// what the clock allows.
func TestRaiseFences(t *testing.T) {
	f := newFixture(t, routertest.Options{Shards: 2}, router.Config{Passwords: []string{"s3cret"}}, Options{})
	const auth = "Authorization: Bearer s3cret"
	above := uint64(time.Now().Add(24*time.Hour).UnixMilli()-1577836800000) << 12
	for _, c := range []struct {
		body   string
		header string
		status int
		code   string
	}{
		{fmt.Sprintf(`{"above":%d}`, above), "Authorization: Basic eDp5", 401, "unauthorized"},
		{`{"above":4611686018427387904}`, auth, 422, "fence_too_high"},
		{`{"above":18446744073709551615}`, auth, 400, "bad_parameter"},
		{`{"above":-1}`, auth, 400, ""},
		{`{}`, auth, 400, "missing_field"},
		{`{"above":1,"x":2}`, auth, 400, "unknown_field"},
		{fmt.Sprintf(`{"above":%d}`, above), auth, 200, ""},
	} {
		w := f.call("POST", "/v1/fences", c.body, c.header)
		if w.Code != c.status || c.code != "" && checkProblem(t, w).Code != c.code {
			t.Errorf("%s: %d %s", c.body, w.Code, w.Body)
		}
	}
	for _, name := range []string{"a", "b", "c"} {
		w := f.call("POST", "/v1/locks/"+name, `{"ttl_ms":1000}`, auth)
		var fence uint64
		if _, after, found := strings.Cut(w.Body.String(), `"fence":`); found {
			fmt.Sscan(after, &fence)
		}
		if fence <= above || fence >= 1<<53 {
			t.Errorf("lock %s: fence %d, raised above %d", name, fence, above)
		}
	}
}
