// Package cluster describes CLUSTER, by which cluster clients ask where slots are. The router
// runs it; here are the Specs.
package cluster
