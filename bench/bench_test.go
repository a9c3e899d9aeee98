package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestChoose(t *testing.T) {
	name := func(s string) string { return s }
	all := []string{"hello-h2c", "hello-tls", "10m-tls"}
	for _, tt := range []struct{ list, want string }{
		{"*", "hello-h2c hello-tls 10m-tls"},
		{"10m-tls,hello-h2c", "hello-h2c 10m-tls"},
		{"*-tls,hello-*", "hello-h2c hello-tls 10m-tls"},
	} {
		got, err := choose(all, name, tt.list)
		if err != nil || strings.Join(got, " ") != tt.want {
			t.Errorf("choose(%q) = %v, %v; want %s", tt.list, got, err, tt.want)
		}
	}
	for _, list := range []string{"", "hello-h2c,nothing", "[", "*,hello"} {
		if got, err := choose(all, name, list); err == nil {
			t.Errorf("choose(%q) = %v, want an error", list, got)
		}
	}
}

func TestBatch(t *testing.T) {
	w := workload{clients: 100, streams: 10}
	for n, want := range map[int]int{0: 1000, 1: 1000, 1000: 1000, 1001: 2000} {
		if got := w.batch(n); got != want {
			t.Errorf("batch(%d) = %d, want %d", n, got, want)
		}
	}
}

// TestServers sees each server that is installed serve every workload that it is
// measured with, and sees it end. h2loop and the net/http peer are always there.
func TestServers(t *testing.T) {
	if _, err := exec.LookPath("taskset"); err != nil {
		t.Skip(err)
	}
	runtime.LockOSThread() // children die with the thread that started them
	defer runtime.UnlockOSThread()
	g, err := newGround()
	if err != nil {
		t.Fatal(err)
	}
	defer g.remove()
	for _, s := range servers {
		if err := s.find(t.Context(), g); err != nil {
			if errors.Is(err, exec.ErrNotFound) {
				t.Logf("%s: skipped: %v", s.name, err)
				continue
			}
			t.Fatal(err)
		}
		kinds := map[endpoint][]workload{}
		for _, w := range workloads {
			if s.cannot(w) == "" {
				e := w.endpoint(0)
				kinds[e] = append(kinds[e], w)
			}
		}
		for _, loads := range kinds {
			p, port, err := startServer(t.Context(), g, s, loads[0])
			if err != nil {
				t.Errorf("%s: %v", s.name, err)
				continue
			}
			for _, w := range loads {
				if err := check(t.Context(), g, w, port); err != nil {
					t.Errorf("%s: %s: %v", s.name, w.name, err)
				}
			}
			if rss, err := p.rss(peak); err != nil || rss < mega {
				t.Errorf("%s: peak RSS of %d octets, %v", s.name, rss, err)
			}
			if _, err := p.cpu(); err != nil {
				t.Errorf("%s: %v", s.name, err)
			}
			p.stop()
			if left := groupMembers(t, p.cmd.Process.Pid); len(left) > 0 {
				t.Errorf("%s: left running: %q", s.name, left)
			}
		}
	}
}

// groupMembers returns the lines of /proc/PID/stat of the processes in group
// pgid that run.
func groupMembers(t *testing.T, pgid int) []string {
	names, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, name := range names {
		line, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended meanwhile
		}
		_, rest, _ := strings.Cut(string(line), ") ")
		fields := strings.Fields(rest)
		if len(fields) > 2 && fields[2] == strconv.Itoa(pgid) && fields[0] != "Z" {
			found = append(found, string(line))
		}
	}
	return found
}

// TestCheckRefuses sees a server that gives other answers than the workload's
// fail the check.
func TestCheckRefuses(t *testing.T) {
	if _, err := exec.LookPath("taskset"); err != nil {
		t.Skip(err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	g, err := newGround()
	if err != nil {
		t.Fatal(err)
	}
	defer g.remove()
	s := servers[slices.IndexFunc(servers, func(s *server) bool { return s.name == "nethttp" })]
	if err := s.find(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	p, port, err := startServer(t.Context(), g, s, workload{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	for _, w := range []workload{
		{path: "/bench/hello", size: 12},
		{path: "/bench/nothing", size: 19},
		{path: "/bench/hello", size: kilo, upload: true},
		{path: "/bench/hello", size: 13, tls: true},
	} {
		if err := check(t.Context(), g, w, port); err == nil {
			t.Errorf("%+v passed", w)
		}
	}
}

// TestServerThatDoesNotStart sees the server's own words in the error.
func TestServerThatDoesNotStart(t *testing.T) {
	if _, err := exec.LookPath("taskset"); err != nil {
		t.Skip(err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s := &server{name: "broken", command: func(*ground, endpoint) ([]string, error) {
		return []string{"sh", "-c", "echo no such luck >&2; exit 3"}, nil
	}}
	_, _, err := startServer(t.Context(), &ground{}, s, workload{})
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no such luck") {
		t.Errorf("startServer = %v, want the exit status and the output", err)
	}
}
