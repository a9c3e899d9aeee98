// Package interop has tests alone: of what is written for net/http, by others, served
// by loop's HandleHTTP. It is a module of its own, so that h2loop needs none of it.
package interop
