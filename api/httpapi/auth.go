package httpapi

import (
	"net/http"
	"strings"
)

// authenticated lets requests pass that carry the password: as HTTP basic (the
// user is "default" or empty) or as a bearer token.
func (a *api) authenticated(next http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if a.router.NeedsPassword() && !a.passes(r) {
			fail(w, problem{Status: http.StatusUnauthorized, Code: "unauthorized",
				Detail: "this node asks for a password: HTTP basic with user default, or a bearer token"})
			return
		}
		next.ServeHTTP(w, r)
	}
}

func (a *api) passes(r *http.Request) bool {
	if user, pass, ok := r.BasicAuth(); ok {
		if user == "" {
			user = "default"
		}
		return a.router.CheckPassword([]byte(user), []byte(pass))
	}
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return ok && strings.EqualFold(scheme, "bearer") && a.router.CheckPassword([]byte("default"), []byte(strings.TrimSpace(token)))
}
