package h2loop_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// TestLeaksAreLookedFor wants each package that has tests to have leaktest look at
// them; that needs a TestMain, and is therefore easily forgotten.
func TestLeaksAreLookedFor(t *testing.T) {
	tested, looks := map[string]bool{}, map[string]bool{}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skipDir(name)
		}
		if !strings.HasSuffix(name, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		dir := path.Dir(filepath.ToSlash(name))
		tested[dir] = tested[dir] || strings.Contains(string(text), "\nfunc Test")
		looks[dir] = looks[dir] || strings.Contains(string(text), "leaktest.Run(m)") ||
			dir == "internal/leaktest" && strings.Contains(string(text), "os.Exit(Run(m))")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(tested) < 2 {
		t.Fatalf("tests in %d directories: the walk has lost its way", len(tested))
	}
	for dir := range tested {
		if tested[dir] && !looks[dir] {
			t.Errorf("%s has tests, and no TestMain with leaktest.Run", dir)
		}
	}
}
