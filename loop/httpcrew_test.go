package loop

import (
	"testing"
	"time"
)

// TestHTTPCrew sees goroutines be used again, and go when nobody needs them.
func TestHTTPCrew(t *testing.T) {
	t.Parallel()
	var w httpCrew
	waits := func(n int) {
		t.Helper()
		for end := time.Now().Add(stressPatience); ; time.Sleep(time.Millisecond) {
			w.mu.Lock()
			got := len(w.idle)
			w.mu.Unlock()
			if got == n {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%d wait, want %d", got, n)
			}
		}
	}
	for range 8 {
		next := make(chan *httpCall, 1)
		if !w.wait(next) {
			t.Fatal("there is nothing to wait for")
		}
	}
	waits(8)
	w.trim() // what has waited was not there all the time
	waits(8)
	w.trim()
	waits(4)
	w.idle = w.idle[:3] // as call does
	w.spare = 3
	w.trim()
	waits(1)
	w.trim()
	waits(0)
	w.trim()
	next := make(chan *httpCall, 1)
	w.wait(next)
	w.end()
	if c := <-next; c != nil || w.wait(next) {
		t.Error("the end is not told")
	}
	w.trim()
	w.end()
}
