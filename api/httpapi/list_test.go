package httpapi

import (
	"encoding/json"
	"fmt"
	"net/url"
	"testing"

	"github.com/lockstepkv/lockstep/api/router"
	"github.com/lockstepkv/lockstep/api/router/routertest"
)

type keyPage struct {
	Keys []struct {
		Key         string
		KeyBase64   []byte `json:"key_base64"`
		Type        string
		Version     int64
		TTL         *int64 `json:"ttl_ms"`
		Value       *string
		ValueBase64 []byte `json:"value_base64"`
	}
	Cursor *string
}

// page gets one page of keys.
func (f fixture) page(t *testing.T, query string) (p keyPage) {
	t.Helper()
	w := f.call("GET", "/v1/keys"+query, "")
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != 200 || w.Header().Get(indexHeader) == "" {
		t.Fatalf("%s: %d %s %v", query, w.Code, w.Body, w.Header())
	}
	return p
}

func TestListKeys(t *testing.T) {
	for _, shards := range []int{1, 4} {
		f := newFixture(t, routertest.Options{Shards: shards, Led: func(int) string { return "n2" }}, router.Config{}, Options{})
		for i := range 100 {
			f.call("PUT", fmt.Sprintf("/v1/keys/a:%d", i), fmt.Sprintf(`{"value":"%d"}`, i))
			f.call("PUT", fmt.Sprintf("/v1/keys/b:%d", i), `{"value":"x","ttl_ms":60000}`)
		}
		f.call("PUT", "/v1/keys/%FF%00", `{"value_base64":"/w=="}`)
		seen := map[string]bool{}
		cursor := ""
		for {
			p := f.page(t, "?prefix=a%3A&limit=7&values=true"+cursor)
			if len(p.Keys) > 7 {
				t.Fatalf("%d keys on a page of 7", len(p.Keys))
			}
			for _, k := range p.Keys {
				if seen[k.Key] || k.Type != "string" || k.Value == nil || "a:"+*k.Value != k.Key || k.Version == 0 || k.TTL != nil {
					t.Fatalf("%+v", k)
				}
				seen[k.Key] = true
			}
			if p.Cursor == nil {
				break
			}
			cursor = "&cursor=" + url.QueryEscape(*p.Cursor)
		}
		if len(seen) != 100 {
			t.Errorf("%d shards: %d keys, want 100", shards, len(seen))
		}
		all := 0
		for cursor := ""; ; {
			p := f.page(t, "?prefix=&limit=10000"+cursor) // an empty prefix is one of every key
			for _, k := range p.Keys {
				all++
				if k.Value != nil || (k.Key != "" && k.Key[0] == 'b') != (k.TTL != nil) {
					t.Errorf("%+v", k)
				}
			}
			if p.Cursor == nil {
				break
			}
			cursor = "&cursor=" + *p.Cursor
		}
		if all != 201 {
			t.Errorf("%d shards: %d keys, want 201", shards, all)
		}
		found := false
		for cursor := ""; ; {
			p := f.page(t, "?prefix=%FF&values=1&consistency=stale&min_index=1"+cursor)
			for _, k := range p.Keys {
				found = string(k.KeyBase64) == "\xff\x00" && string(k.ValueBase64) == "\xff"
			}
			if p.Cursor == nil {
				break
			}
			cursor = "&cursor=" + *p.Cursor
		}
		if !found {
			t.Errorf("%d shards: a binary key was not listed", shards)
		}
	}
}

// TestAPageIsOfOneState: its header has the index of the shard that it is from.
func TestAPageIsOfOneState(t *testing.T) {
	f := newFixture(t, routertest.Options{Shards: 2}, router.Config{}, Options{})
	for range 5 {
		f.call("PUT", "/v1/keys/a", `{"value":"x"}`) // one of the two shards gets all of them
	}
	indexes := map[string]bool{}
	for cursor := ""; ; {
		w := f.call("GET", "/v1/keys?limit=1"+cursor, "")
		var p keyPage
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		indexes[w.Header().Get(indexHeader)] = true
		if p.Cursor == nil {
			break
		}
		cursor = "&cursor=" + *p.Cursor
	}
	if !indexes["5"] || !indexes["0"] || len(indexes) != 2 {
		t.Errorf("%v", indexes)
	}
}

func TestListsThatAreRefused(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	for _, q := range []string{
		"?limit=0", "?limit=10001", "?limit=x", "?limit=-1", "?cursor=x", "?cursor=-1", "?cursor=", "?values=maybe", "?prefix=a&prefix=b",
		"?max_staleness_ms=1", "?min_index=x",
	} {
		if p := checkProblem(t, f.call("GET", "/v1/keys"+q, "")); p.Status != 400 || p.Code != "bad_parameter" {
			t.Errorf("%s: %+v", q, p)
		}
	}
	if p := checkProblem(t, f.call("GET", "/v1/keys?match=*", "")); p.Code != "unknown_parameter" {
		t.Errorf("%+v", p)
	}
	if w := f.call("DELETE", "/v1/keys", ""); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// TestListsAreWrittenInOrder: the items first, and readable.
func TestListsAreWrittenInOrder(t *testing.T) {
	f := newFixture(t, routertest.Options{}, router.Config{}, Options{})
	f.call("PUT", "/v1/keys/a%26%3Cb", `{"value":"x"}`)
	for path, want := range map[string]string{
		"/v1/keys?prefix=none": `{"keys":[],"cursor":null}` + "\n",
		"/v1/keys":             `{"keys":[{"key":"a&<b","ttl_ms":null,"type":"string","version":1}],"cursor":null}` + "\n",
		"/v1/locks":            `{"locks":[],"cursor":null}` + "\n",
	} {
		if got := f.call("GET", path, "").Body.String(); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}
