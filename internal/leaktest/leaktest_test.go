package leaktest

import (
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) { os.Exit(Run(m)) }

// TestWait leaves a goroutine and a descriptor behind, and takes them back.
func TestWait(t *testing.T) {
	goroutines, fds := runtime.NumGoroutine(), descriptors()
	if err := wait(goroutines, fds, patience); err != nil {
		t.Fatalf("nothing was left behind: %v", err)
	}

	release := make(chan struct{})
	go func() { <-release }()
	if err := wait(goroutines, fds, time.Millisecond); err == nil || !strings.Contains(err.Error(), "leaktest.TestWait") {
		t.Errorf("a goroutine is left: %v", err)
	}
	close(release)

	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	if err := wait(goroutines, fds, time.Millisecond); err == nil || !strings.Contains(err.Error(), os.DevNull) {
		t.Errorf("a descriptor is left: %v", err)
	}
	_ = f.Close()
	if err := wait(goroutines, fds, patience); err != nil {
		t.Errorf("everything was taken back: %v", err)
	}
}
