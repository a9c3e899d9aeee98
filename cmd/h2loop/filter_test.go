package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestUnitFilter sees the unit's SystemCallFilter admit every system call that the program
// makes while it serves, reloads, begins another log and drains.
func TestUnitFilter(t *testing.T) {
	if isRaceBuild() {
		t.Skip("the race detector makes calls of its own")
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip(err)
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip(err)
	}
	if out, err := exec.Command(strace, "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		t.Skipf("strace: %v: %s", err, out)
	}
	admitted := admittedCalls(t, analyze, packaged(t, "h2loop.service"))
	if !admitted["accept4"] || admitted["setresuid"] || admitted["reboot"] {
		t.Fatal("the filter is read wrongly")
	}

	dir := t.TempDir()
	cert, key := writeCertificate(t, dir)
	if err := os.Mkdir(filepath.Join(dir, "www"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "www", "big"), make([]byte, 3<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	table := filepath.Join(dir, "calls")
	args := append([]string{"-D", "-f", "-c", "-o", table, binary}, both...)
	p := startCommand(t, exec.Command(strace, append(args, "--bench", "--compress", "--list", "--admin", ":0", "--cert", cert, "--key", key,
		"--access-log", filepath.Join(dir, "log"), filepath.Join(dir, "www"))...))
	c := newClient(rootsOf(t, cert))
	for _, url := range p.urls {
		for _, path := range []string{"", "bench/10m", "big", "nothing"} {
			get(t, c, url+path)
		}
	}
	ask(t, "GET", p.admin+"metrics")
	p.reload("reloaded")
	p.signal(syscall.SIGUSR1)
	p.waitFor("access log reopened")
	c.CloseIdleConnections()
	p.signal(syscall.SIGTERM)
	if status := p.wait(); status != 0 {
		t.Errorf("status %d", status)
	}
	for name := range called(t, table) {
		if !admitted[name] {
			t.Errorf("the program calls %s, which the filter of the unit refuses", name)
		}
	}
}

// called reads the table of strace -c, which it writes when the program has ended.
func called(t *testing.T, table string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for end := time.Now().Add(long); !names["total"]; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("strace tells of nothing")
		}
		text, _ := os.ReadFile(table)
		for _, m := range regexp.MustCompile(`(?m)^ *[0-9].* ([a-z0-9_]+)$`).FindAllStringSubmatch(string(text), -1) {
			names[m[1]] = true
		}
	}
	delete(names, "total")
	if !names["accept4"] || !names["writev"] {
		t.Fatalf("the program calls %v, and not what it must", names)
	}
	return names
}

// admittedCalls expands the filter of a unit, line by line as systemd.exec(5) says.
func admittedCalls(t *testing.T, analyze, unit string) map[string]bool {
	t.Helper()
	out, err := exec.Command(analyze, "syscall-filter", "--no-pager").Output()
	if err != nil {
		t.Skip(err)
	}
	sets, set := map[string][]string{}, ""
	for line := range strings.Lines(string(out)) {
		name := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "@"):
			set = name
		case !strings.HasPrefix(line, " "):
			set = ""
		case set != "" && !strings.HasPrefix(name, "#"):
			sets[set] = append(sets[set], name)
		}
	}
	admitted := map[string]bool{}
	var put func(name string, on bool)
	put = func(name string, on bool) {
		if !strings.HasPrefix(name, "@") {
			admitted[name] = on
		} else if len(sets[name]) == 0 {
			t.Skipf("this systemd does not know %s", name)
		}
		for _, inner := range sets[name] {
			put(inner, on)
		}
	}
	put("@default", true) // of every list of what is admitted
	for _, m := range regexp.MustCompile(`(?m)^SystemCallFilter=(~?)(.*)$`).FindAllStringSubmatch(unit, -1) {
		for name := range strings.FieldsSeq(m[2]) {
			put(name, m[1] == "")
		}
	}
	return admitted
}
