// Package server describes the commands about a node: its configuration, figures and
// logs. The router runs them; here are their Specs.
package server
