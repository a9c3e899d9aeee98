// Package freeport finds ports for servers that have to be told one.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
)

// Addrs returns n addresses of 127.0.0.1 on which nobody listens. Their ports are none
// that the kernel gives to those who take any, as clients do: before the server has
// started, thousands of those may come.
func Addrs(n int) (addrs []string, err error) {
	least, most := chosen()
	for range 1000 {
		if len(addrs) == n {
			return addrs, nil
		}
		port := 0
		if least < most {
			port = least + rand.IntN(most-least)
		}
		ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", fmt.Sprint(port)))
		if err != nil {
			continue
		}
		defer ln.Close() // when all have been found
		addrs = append(addrs, ln.Addr().String())
	}
	return nil, errors.New("no port is free")
}

// chosen returns the bounds of the ports that are somebody's only if he asks for that one,
// from least to below most. There may be none.
func chosen() (least, most int) {
	const lowest = 10_000 // below are those of services
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return 0, 0
	}
	var first, last int
	if _, err := fmt.Sscan(string(text), &first, &last); err != nil {
		return 0, 0
	}
	if first-lowest > 1000 {
		return lowest, first
	}
	if last < 64_000 {
		return last + 1, 65_536
	}
	return 0, 0
}
