package loop

import (
	"net"
	"testing"
	"time"
)

// TestListenerWaitsInKernel closes a listener whose Accept waits in the kernel, because
// the socket has become blocking.
func TestListenerWaitsInKernel(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.Fd() // makes both block
	l := &listener{ln: ln.(*net.TCPListener)}
	l.accepting.Add(1)
	go func() {
		defer l.accepting.Add(-1)
		if nc, err := ln.Accept(); err == nil {
			_ = nc.Close()
		}
	}()
	time.Sleep(50 * time.Millisecond) // for it to get there; too soon is no failure
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		l.close()
	}()
	select {
	case <-closed:
	case <-time.After(stressPatience):
		t.Error("close waits for Accept")
	}
}
