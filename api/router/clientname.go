package router

import (
	"strconv"

	"github.com/lockstepkv/lockstep/api/request"
	"github.com/lockstepkv/lockstep/resp"
)

var errBadClientName = request.CodeError.Reply("Client names cannot contain spaces, newlines or special characters.")

// maxNameBytes bounds what each line of CLIENT LIST says of a client's own choice. Redis has
// no bound, and so a few clients with long names make a reply of any size.
const maxNameBytes = 1024

var errLongClientName = request.CodeError.Reply("Client names are limited to " + strconv.Itoa(maxNameBytes) + " bytes")

// RefuseName is why a client name cannot stand in CLIENT LIST, or no error.
func RefuseName(name []byte) resp.Value {
	switch {
	case len(name) > maxNameBytes:
		return errLongClientName
	case !ValidName(name):
		return errBadClientName
	}
	return resp.Value{}
}

// ValidName reports whether a client name can be told apart from what follows it.
func ValidName(name []byte) bool {
	for _, c := range name {
		if c < '!' || c > '~' {
			return false
		}
	}
	return true
}
