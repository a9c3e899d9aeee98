// Package origin tells whom a bound for one address is for.
package origin

import "net/netip"

// Of returns an IPv4 address, or the /64 network of an IPv6 one, of which a client has
// all addresses. It is not valid for the zero Addr, as on a unix socket.
func Of(a netip.Addr) netip.Prefix {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}
