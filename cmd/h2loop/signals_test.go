package main

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

// TestEndIsHeard has nobody hear signals for a while: those that came first, however many,
// leave room for the one that ends the process, and for a second.
func TestEndIsHeard(t *testing.T) {
	s := catchSignals()
	defer signal.Reset(syscall.SIGPIPE)
	defer s.stop()
	send := func(sig syscall.Signal, until func() bool) {
		t.Helper()
		for end := time.Now().Add(long); !until(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%v was not heard", sig)
			}
			if err := syscall.Kill(os.Getpid(), sig); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(syscall.SIGHUP, func() bool { return len(s.reload) == cap(s.reload) })
	send(syscall.SIGUSR1, func() bool { return len(s.reopen) == cap(s.reopen) })
	for range 100 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGHUP)
	}
	send(syscall.SIGTERM, func() bool { return len(s.end) >= 1 })
	send(syscall.SIGINT, func() bool { return len(s.end) == 2 })
}
