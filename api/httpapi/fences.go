package httpapi

import (
	"encoding/json"
	"math"
	"net/http"

	"github.com/lockstepkv/lockstep/api/request"
)

// raiseFences is POST /v1/fences: it makes all further fences higher than one
// that another cluster may have given out. A restore asks for it.
func (a *api) raiseFences(w http.ResponseWriter, r *http.Request) {
	above, err := a.decodeFences(w, r)
	if err != nil {
		failWith(w, err)
		return
	}
	v := a.router.RaiseFences(r.Context(), above)
	switch e := request.OfReply(v); {
	case !v.IsError():
		a.log.Warn("fences were raised", "above", above, "client", r.RemoteAddr)
		reply(w, http.StatusOK, map[string]any{"above": above})
	case e.Code == request.CodeError:
		fail(w, problem{Status: http.StatusUnprocessableEntity, Code: "fence_too_high", Detail: e.Text})
	default:
		failWith(w, problemOf(v))
	}
}

func (a *api) decodeFences(w http.ResponseWriter, r *http.Request) (above uint64, err error) {
	if err := noQuery(r.URL); err != nil {
		return 0, err
	}
	body, held, err := a.readJSON(w, r)
	if err != nil {
		return 0, err
	}
	defer held.release()
	f, err := fields(body)
	if err != nil {
		return 0, err
	}
	var given json.RawMessage
	for name, v := range f {
		if name != "above" {
			return 0, unknownField(name)
		}
		given = v
	}
	if given == nil {
		return 0, badRequest("missing_field", `"above" is missing: the fence that all further ones are to be higher than`)
	}
	if err := decode("above", given, &above); err != nil {
		return 0, err
	}
	if above > math.MaxInt64 {
		return 0, badParameter("above", "a fence")
	}
	return above, nil
}
