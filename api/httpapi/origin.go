package httpapi

import (
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// foreign refuses requests that a browser sends for a page of somebody else, whatever
// their method: a page must not even make a node work. A name that its owner points at
// this node makes his page one of the same origin (DNS rebinding), so without a
// password the Host must be one that nobody else can own.
func (a *api) foreign(next http.Handler) http.Handler {
	guard := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !a.router.NeedsPassword() && !a.ownHost(r.Host) {
			fail(w, problem{Status: http.StatusForbidden, Code: "host_not_allowed",
				Detail: "without a password this node answers under IP addresses, localhost and the names of --http-allowed-hosts"})
			return
		}
		unsafe := *r
		unsafe.Method = http.MethodPost // the guard lets every GET pass
		if guard.Check(&unsafe) != nil {
			fail(w, problem{Status: http.StatusForbidden, Code: "cross_origin", Detail: "a browser sent this for a page of another origin"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ownHost judges the Host of a request. No browser leaves it out.
func (a *api) ownHost(host string) bool {
	if host == "" {
		return true
	}
	if name, port, err := net.SplitHostPort(host); err == nil {
		if _, err := strconv.ParseUint(port, 10, 16); port != "" && err != nil {
			return false
		}
		host = name
	} else {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	host = hostName(host)
	return host == "localhost" || a.hosts[host]
}

// hostName is the one form of a name that is compared.
func hostName(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
