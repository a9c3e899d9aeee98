package tlsbridge

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"testing"
	"time"
)

// TestMain fails if the tests leave goroutines behind. There are no descriptors:
// nothing here does I/O. Fuzzing keeps goroutines of its own; its targets look
// themselves.
func TestMain(m *testing.M) {
	before := runtime.NumGoroutine()
	code := m.Run()
	fuzzing := flag.Lookup("test.fuzz").Value.String() != ""
	if code == 0 && !fuzzing && !haveLeft(before) {
		fmt.Fprintf(os.Stderr, "%d goroutines are left, were %d\n", runtime.NumGoroutine(), before)
		_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
		code = 1
	}
	os.Exit(code)
}

// haveLeft waits until there are no more goroutines than before.
func haveLeft(before int) bool {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if runtime.NumGoroutine() <= before {
			return true
		}
	}
	return false
}
