package h2loop_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// wallClock has the files that take the time of day from a time, and for what. What
// lasts is measured on the monotonic clock, which does not jump when somebody sets the
// other: the difference of two times that [time.Now] has returned is.
var wallClock = map[string]string{
	"cmd/h2loop/internal/accesslog/format.go": "the time of a request",
	"loop/eventloop.go":                       "Date",
	"loop/hijack.go":                          "deadlines that have passed",
	"loop/listener.go":                        "a deadline that has passed",
	"loop/files/resource.go":                  "times of files: if the clock goes back, they are not cached until it has caught up",
}

var (
	reads = regexp.MustCompile(`\btime\.(Now|Since|Until)\(`)
	sheds = regexp.MustCompile(`\btime\.(Unix|UnixMilli|UnixMicro)\(|\.(Unix|UnixNano|UnixMilli|UnixMicro)\(\)|\.Round\(0\)`)
)

// TestWallClock wants who takes the time of day to be in wallClock, so that no timeout
// comes to depend on it unseen, and sees that the engines, which are told the time, read
// no clock.
func TestWallClock(t *testing.T) {
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name == "bench" || name == "examples" {
				return fs.SkipDir
			}
			return skipDir(name)
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if shed := sheds.Find(text); shed != nil {
			seen[name] = true
			if wallClock[name] == "" {
				t.Errorf("%s takes the time of day: %s", name, shed)
			}
		}
		if read := reads.Find(text); read != nil && covers([]string{"frames", "h2", "internal/h1", "internal/message"}, filepath.ToSlash(filepath.Dir(name))) {
			t.Errorf("%s reads a clock: %s", name, read)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range wallClock {
		if !seen[name] {
			t.Errorf("%s does not take the time of day", name)
		}
	}
}
