package httpapi

import (
	"math"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// wantsRaw negotiates between the two forms of a value, RFC 9110 section 12.5.1: raw
// when Accept prefers application/octet-stream to application/json. With equal
// weights the one that is named more exactly wins, then JSON.
func wantsRaw(r *http.Request) bool {
	raw, rawExact := preference(r.Header, octetStream)
	text, textExact := preference(r.Header, "application/json")
	return raw > text || raw == text && raw > 0 && rawExact > textExact
}

// preference is the weight of a media type in Accept, 0 to 1, and how exactly the
// range that gives it names the type: 3 by its name, 1 by */*, 0 not at all.
func preference(h http.Header, typ string) (weight float64, exact int) {
	group, _, _ := strings.Cut(typ, "/")
	for part := range strings.SplitSeq(strings.Join(h.Values("Accept"), ","), ",") {
		name, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		level := map[string]int{"*/*": 1, group + "/*": 2, typ: 3}[name]
		if level == 0 {
			continue
		}
		q := 1.0
		if s, given := params["q"]; given {
			if q, err = strconv.ParseFloat(s, 64); err != nil || math.IsNaN(q) || q < 0 || q > 1 {
				continue
			}
		}
		if level > exact || level == exact && q > weight {
			weight, exact = q, level
		}
	}
	return weight, exact
}
