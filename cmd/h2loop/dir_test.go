package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDirectoryFlags has a directory served with all that the flags can say of it.
func TestDirectoryFlags(t *testing.T) {
	dir := t.TempDir()
	before := time.Now().Add(-time.Hour)
	for name, body := range map[string]string{
		"a.css": strings.Repeat("body { margin: 0 }\n", 200), "b.txt": "text", ".404.html": "<p>nothing here", "assets/x.txt": "x",
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, before, before); err != nil {
			t.Fatal(err)
		}
	}
	p := start(t, append([]string{
		dir, "--list", "--compress", "--not-found", ".404.html",
		"--cache-control", "assets/: immutable", "--cache-control", "max-age=60",
	}, both...)...)
	time.Sleep(1100 * time.Millisecond) // what was touched just now is not compressed
	c := newClient(nil)
	for _, base := range p.urls {
		for _, tt := range []struct {
			path   string
			status int
			cache  string
			coding string
			body   string
		}{
			{"", 200, "", "", "a.css"},
			{"a.css", 200, "max-age=60", "zstd", ""},
			{"assets/x.txt", 200, "immutable", "", "x"},
			{"missing", 404, "", "", "<p>nothing here"},
			{".404.html", 404, "", "", "<p>nothing here"},
		} {
			resp, body := get(t, c, base+tt.path, "Accept-Encoding", "zstd")
			if resp.StatusCode != tt.status || resp.Header.Get("Cache-Control") != tt.cache ||
				resp.Header.Get("Content-Encoding") != tt.coding || !strings.Contains(body, tt.body) {
				t.Errorf("%s%s: %d, Cache-Control %q, coding %q, %q", base, tt.path, resp.StatusCode,
					resp.Header.Get("Cache-Control"), resp.Header.Get("Content-Encoding"), body)
			}
		}
	}
}
