// Package connection describes the commands about one client's connection. The router runs
// them; here are their Specs, so that the table is all that Lockstep speaks.
package connection
