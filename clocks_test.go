package h2loop_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// wallClock has the files that look at the time of day, and for what. Whatever lasts is
// measured on the monotonic clock, which does not jump when somebody sets the other: the
// difference of two times that [time.Now] has returned is, unless it was taken from what
// matches sheds.
var wallClock = map[string]string{
	"cmd/h2loop/cert.go":                      "the life of a certificate",
	"cmd/h2loop/main.go":                      "certificates that have expired",
	"cmd/h2loop/settings.go":                  "certificates that have expired",
	"cmd/h2loop/internal/accesslog/format.go": "the time of a request",
	"cmd/h2loop/internal/admin/debug.go":      "the time that a page shows",
	"loop/eventloop.go":                       "Date",
	"loop/hijack.go":                          "Date, and deadlines that have passed",
	"loop/listener_close.go":                  "a deadline that has passed",
	"loop/looptest/identity.go":               "the life of a certificate",
	"loop/trace.go":                           "the time of a line",
	"loop/files/resource.go":                  "times of files: if it goes back, they are not cached until it has caught up",
	"loop/files/files.go":                     "nothing: since is monotonic",
	"loop/server.go":                          "nothing: since is monotonic",
	"loop/connections.go":                     "nothing: until is monotonic",
	"internal/leaktest/leaktest.go":           "nothing: before is monotonic",
	"cmd/h2loop/internal/accesslog/log.go":    "nothing: since is monotonic",
	"loop/httpdeadline.go":                    "deadlines that a handler gives",
}

var (
	looks = regexp.MustCompile(`\btime\.(Now|Until|Unix)\(`)
	sheds = regexp.MustCompile(`\.(Unix|UnixNano|UnixMilli|UnixMicro)\(\)|\.Round\(0\)|\.UTC\(\)\.Sub|\.Truncate\(time`)
)

// TestWallClock wants who looks at the time of day to be in wallClock, so that no
// timeout comes to depend on it unseen; h2 and h1, which are told the time, do not look.
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
		look, shed := looks.Find(text), sheds.Find(text)
		if look == nil && shed == nil {
			return nil
		}
		seen[name] = true
		if wallClock[name] == "" {
			t.Errorf("%s looks at the time of day: %s %s", name, look, shed)
		}
		if why := wallClock[name]; strings.HasPrefix(why, "nothing") && shed != nil {
			t.Errorf("%s sheds the monotonic clock: %s", name, shed)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range wallClock {
		if !seen[name] {
			t.Errorf("%s does not look at the time of day", name)
		}
	}
}
