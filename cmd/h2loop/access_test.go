package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
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

// TestAccessLogPipe waits for somebody to read the log, says so, and can be ended meanwhile.
func TestAccessLogPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	begin := func() *process {
		p := launch(t, exec.Command(binary, "--listen", "127.0.0.1:0", "--listen-cleartext", "", "--access-log", path, "--access-log-format", "common"))
		p.waitFor("the access log is a pipe that nobody reads")
		return p
	}
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		p := begin()
		p.signal(s)
		p.waitFor("ended before it served")
		if status := p.wait(); status != 0 {
			t.Errorf("%v: status %d", s, status)
		}
	}
	p := begin()
	f, err := os.Open(path) // returns once the process has opened it
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p.urls = p.waitFor("serving").URLs
	get(t, newClient(nil), p.urls[0]+"hello")
	if line, err := bufio.NewReader(f).ReadString('\n'); err != nil || !strings.Contains(line, `"GET /hello HTTP/2.0" 200 14`) {
		t.Errorf("%q, %v", line, err)
	}
	p.signal(syscall.SIGTERM)
	if status := p.wait(); status != 0 {
		t.Errorf("status %d", status)
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
		"it must be json, common or combined":                {"--access-log-format", "apache"},
		"--access-log: /nowhere: no such directory: make it": {"--access-log", "/nowhere/log"},
	} {
		_, stderr, status := runOnce(t, append(args, "--listen", "127.0.0.1:0", "--listen-cleartext", "")...)
		if status != 1 || !strings.Contains(stderr, want) {
			t.Errorf("%q: status %d, %q", args, status, stderr)
		}
	}
}
