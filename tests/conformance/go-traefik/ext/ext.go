// Package ext stands where Traefik's go.mod replaces a module by a folder of its
// own, which no proxy serves: empty extensions of its configuration, as there.
package ext

type HTTP struct{}

type Router struct{}
