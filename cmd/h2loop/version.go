package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// What was built, where no repository says so. The linker sets them, with -X.
var builtVersion, builtCommit string

// readVersion says what was built, of what and for what.
func readVersion() string {
	version, commit := "devel", "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		if v := info.Main.Version; v != "" && v != "(devel)" {
			version = v
		}
		modified := ""
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				commit = s.Value[:min(12, len(s.Value))]
			case "vcs.modified":
				if s.Value == "true" {
					modified = "+modified"
				}
			}
		}
		commit += modified
	}
	if builtVersion != "" {
		version = builtVersion
	}
	if builtCommit != "" {
		commit = builtCommit[:min(12, len(builtCommit))]
	}
	return fmt.Sprintf("h2loop %s (commit %s, %s, %s/%s)", version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
