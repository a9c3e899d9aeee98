package freeport

import (
	"net"
	"testing"
)

// TestAddrs sees addresses that differ, and on which one can listen.
func TestAddrs(t *testing.T) {
	addrs, err := Addrs(20)
	if err != nil || len(addrs) != 20 {
		t.Fatalf("%q, %v", addrs, err)
	}
	seen := map[string]bool{}
	for _, addr := range addrs {
		if seen[addr] {
			t.Errorf("%s is there twice", addr)
		}
		seen[addr] = true
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		port := ln.Addr().(*net.TCPAddr).Port
		_ = ln.Close()
		if least, most := chosen(); least < most && (port < least || port >= most) {
			t.Errorf("port %d, want one from %d to below %d", port, least, most)
		}
	}
}
