// Package leaktest looks, once the tests of a package have ended, for goroutines
// and descriptors that they have left behind:
//
//	func TestMain(m *testing.M) { os.Exit(leaktest.Run(m)) }
package leaktest

import (
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"
)

// patience is how long what is on its way out may take.
const patience = time.Minute

// Run runs the tests and returns the exit status. If they have passed, it waits
// for what they have started to end, and panics if some of it does not: what runs
// failing tests again would find that no test has failed. Fuzzing keeps goroutines of
// its own: it is not looked at.
func Run(m *testing.M) int {
	flag.Parse()
	goroutines, fds := warmUp(), descriptors()
	code := m.Run()
	if f := flag.Lookup("test.fuzz"); code != 0 || f != nil && f.Value.String() != "" {
		return code
	}
	if err := wait(goroutines, fds, patience); err != nil {
		panic(err)
	}
	return 0
}

// warmUp has the runtime open what it keeps for ever, and returns the number of
// goroutines once those that only start something up are gone.
func warmUp() (goroutines int) {
	if ln, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		_ = ln.Close()
	}
	goroutines = runtime.NumGoroutine()
	for range 20 {
		time.Sleep(time.Millisecond)
		goroutines = min(goroutines, runtime.NumGoroutine())
	}
	return goroutines
}

// wait waits, for patience at most, until no more goroutines and descriptors are
// there than were at the start.
func wait(goroutines int, fds map[string]string, patience time.Duration) error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if runtime.NumGoroutine() <= goroutines && len(descriptors()) <= len(fds) {
			return nil
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "LEAK: %d goroutines, %d at the start; descriptors that are new:\n", runtime.NumGoroutine(), goroutines)
	for fd, target := range descriptors() {
		if fds[fd] != target {
			fmt.Fprintf(&b, "%s -> %s\n", fd, target)
		}
	}
	_ = pprof.Lookup("goroutine").WriteTo(&b, 1)
	return fmt.Errorf("%s", b.String())
}

// descriptors maps the process's descriptors to what they are.
func descriptors() map[string]string {
	const dir = "/proc/self/fd"
	fds := map[string]string{}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if target, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil { // not that of ReadDir itself
			fds[e.Name()] = target
		}
	}
	return fds
}
