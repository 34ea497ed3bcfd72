package router

import (
	"crypto/sha256"
	"crypto/subtle"
)

// passwords are the hashes of what clients may show; none: nobody is asked.
type passwords [][sha256.Size]byte

// DefaultUser is the only user that there is.
const DefaultUser = "default"

// SetPasswords replaces the passwords that clients may show; none: nobody is
// asked. Several are valid at a time while clients change from one to the next.
// Connections that have shown one stay.
func (r *Router) SetPasswords(list []string) {
	hashes := make(passwords, len(list))
	for i, p := range list {
		hashes[i] = sha256.Sum256([]byte(p))
	}
	r.passwords.Store(&hashes)
}

// NeedsPassword reports whether clients have to authenticate.
func (r *Router) NeedsPassword() bool { return len(*r.passwords.Load()) > 0 }

// CheckPassword compares in a time that does not depend on where the two
// differ, on the length of the true password, nor on which of them it is. There
// is one user, default.
func (r *Router) CheckPassword(user, password []byte) bool {
	valid := *r.passwords.Load()
	shown := sha256.Sum256(password)
	match := 0
	for i := range valid {
		match |= subtle.ConstantTimeCompare(shown[:], valid[i][:])
	}
	return string(user) == DefaultUser && (match == 1 || len(valid) == 0)
}
