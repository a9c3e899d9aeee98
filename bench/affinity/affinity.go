// Package affinity keeps processes that measure on a core of their own.
package affinity

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Pin has this process run on one core, and so what it starts from now on. The error is
// EINVAL if there is no such core.
func Pin(core int) error {
	var set unix.CPUSet
	set.Set(core)
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range threads {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(tid, &set); err != nil && err != unix.ESRCH {
			return err
		}
	}
	return nil
}
