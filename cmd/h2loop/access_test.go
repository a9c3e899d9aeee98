package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestAccessLog rotates the log of a process, and ends it with requests logged.
func TestAccessLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	p := start(t, "--listen", "127.0.0.1:0", "--listen-cleartext", "", "--access-log", path, "--access-log-format", "combined")
	c := newClient(nil)
	get(t, c, p.urls[0]+"hello", "user-agent", "one")
	waitForLines(t, path, 1) // which are written behind the response
	old := path + ".1"
	if err := os.Rename(path, old); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGUSR1)
	p.waitFor("access log reopened")
	get(t, c, p.urls[0]+"hello", "user-agent", "two")
	p.signal(syscall.SIGTERM)
	if status := p.wait(); status != 0 {
		t.Errorf("status %d", status)
	}
	for name, want := range map[string]string{old: `"GET /hello HTTP/2.0" 200 14 "-" "one"`, path: `"GET /hello HTTP/2.0" 200 14 "-" "two"`} {
		text, err := os.ReadFile(name)
		if err != nil || strings.Count(string(text), "\n") != 1 || !strings.HasSuffix(string(text), want+"\n") {
			t.Errorf("%s: %q, %v; want %s", name, text, err, want)
		}
	}
}

// waitForLines waits until a log has so many.
func waitForLines(t *testing.T, path string, n int) {
	t.Helper()
	for end := time.Now().Add(long); ; time.Sleep(time.Millisecond) {
		text, err := os.ReadFile(path)
		if err == nil && strings.Count(string(text), "\n") >= n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not %d lines in %q, %v", n, text, err)
		}
	}
}

// TestAccessLogNone survives SIGUSR1 without an access log.
func TestAccessLogNone(t *testing.T) {
	p := start(t, "--listen", "127.0.0.1:0", "--listen-cleartext", "")
	p.signal(syscall.SIGUSR1)
	p.waitFor("there is no access log")
	get(t, newClient(nil), p.urls[0]+"hello")
}

// TestAccessLogFaults tells of flags that are of no use.
func TestAccessLogFaults(t *testing.T) {
	for want, args := range map[string][]string{
		"it must be json, common or combined":                        {"--access-log-format", "apache"},
		"access log: open /nowhere/log: no such file or directory\n": {"--access-log", "/nowhere/log"},
	} {
		_, stderr, status := runOnce(t, append(args, "--listen", "127.0.0.1:0", "--listen-cleartext", "")...)
		if status != 1 || !strings.Contains(stderr, want) {
			t.Errorf("%q: status %d, %q", args, status, stderr)
		}
	}
}
