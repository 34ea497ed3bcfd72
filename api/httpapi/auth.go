package httpapi

import (
	"net/http"
	"strings"

	"github.com/lockstepkv/lockstep/api/router"
)

// authenticated lets requests pass that carry the password: as HTTP basic (the
// user is "default" or empty) or as a bearer token.
func (a *api) authenticated(next http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if a.router.NeedsPassword() {
			if p := a.login(r); p != nil {
				w.Header().Set("Connection", "close") // a stranger gets no idle connection
				fail(w, *p)
				return
			}
		}
		if c, ok := r.Context().Value(connKey{}).(*conn); ok {
			c.trusted.Store(true)
		}
		next.ServeHTTP(w, r)
	}
}

// login returns why r is not let in, or nil.
func (a *api) login(r *http.Request) *problem {
	user, pass, shown := credentials(r)
	outcome := router.LoginWrong
	if shown {
		outcome = a.router.Login(r.Context(), r.RemoteAddr, router.KindHTTP, []byte(user), []byte(pass))
	}
	switch outcome {
	case router.LoginOK:
		return nil
	case router.LoginRefused:
		return &problem{Status: http.StatusTooManyRequests, Code: "too_many_failed_logins",
			Detail: "too many failed logins from this address, the password was not looked at"}
	}
	return &problem{Status: http.StatusUnauthorized, Code: "unauthorized",
		Detail: "this node asks for a password: HTTP basic with user default, or a bearer token"}
}

// credentials are the password that r shows, if it shows one.
func credentials(r *http.Request) (user, password string, shown bool) {
	if user, pass, ok := r.BasicAuth(); ok {
		if user == "" {
			user = "default"
		}
		return user, pass, true
	}
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return "default", strings.TrimSpace(token), ok && strings.EqualFold(scheme, "bearer")
}
