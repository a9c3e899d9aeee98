package main

import (
	"bufio"
	"bytes"
	"errors"
	"net/http"
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

func TestChooseWorkloads(t *testing.T) {
	for expr, want := range map[string]int{"": len(workloads), "^hello-h1-c100$": 1, "^10m-tls": 2} {
		if got, err := chooseWorkloads(expr); err != nil || len(got) != want {
			t.Errorf("%q: %d workloads, %v; want %d", expr, len(got), err, want)
		}
	}
	for _, expr := range []string{"(", "no such load"} {
		if got, err := chooseWorkloads(expr); err == nil {
			t.Errorf("chooseWorkloads(%q) = %v, want an error", expr, got)
		}
	}
}

// TestWorkloads sees that each has a name of its own and a complete command line.
func TestWorkloads(t *testing.T) {
	g := &ground{dir: "/ground", variedURLs: "/ground/urls", variedRequests: "/ground/requests", h2loadLog: "/ground/log"}
	names := map[string]bool{}
	for _, w := range workloads {
		if names[w.name] {
			t.Errorf("%s is there twice", w.name)
		}
		names[w.name] = true
		args := strings.Join(w.args(g, 8443, 7), " ")
		if !strings.Contains(args, w.origin(8443)) || !strings.Contains(args, "7") || slices.Contains(w.args(g, 8443, 7), "") {
			t.Errorf("%s: %s", w.name, args)
		}
	}
	for name, want := range map[string]string{
		"hello-h2c-c1-m100":     "-t1 -c 1 -m 100 -w 30 -W 30 -n 7 http://127.0.0.1:8443/bench/hello",
		"hello-h1-tls-c100-p16": "-t1 -c 100 -d 7s --timeout 10s --latency -s /ground/wrk/pipeline.lua https://127.0.0.1:8443/bench/hello -- 16",
		"post-1k-h1-c100":       "-t1 -c 100 -d 7s --timeout 10s --latency -s /ground/wrk/post.lua http://127.0.0.1:8443/bench/upload -- /ground/body-1024",
		"varied-h1-c100":        "-t1 -c 100 -d 7s --timeout 10s --latency -s /ground/wrk/varied.lua http://127.0.0.1:8443/bench/varied/articles-000 -- /ground/requests",
		"rate-10k-h1-c100":      "-t1 -c 100 -d 7s --timeout 10s --latency -R 10000 http://127.0.0.1:8443/bench/hello",
		"connect-tls-resumed":   "-mode resumed -n 7 -c 16 https://127.0.0.1:8443/bench/hello",
	} {
		loads, err := chooseWorkloads("^" + name + "$")
		if err != nil {
			t.Error(err)
			continue
		}
		if got := strings.Join(loads[0].args(g, 8443, 7), " "); got != want {
			t.Errorf("%s:\n%s, want\n%s", name, got, want)
		}
	}
}

// TestVaried sees requests that differ, and that the tools get the same ones.
func TestVaried(t *testing.T) {
	targets := variedTargets()
	if n := len(slices.Compact(slices.Sorted(slices.Values(targets)))); n != variedCount {
		t.Errorf("%d targets differ, want %d", n, variedCount)
	}
	if !slices.Contains(targets, variedPath) {
		t.Errorf("%s is none of them", variedPath)
	}
	requests := bufio.NewReader(bytes.NewReader(variedRequests()))
	for i, target := range targets {
		req, err := http.ReadRequest(requests)
		if err != nil {
			t.Fatal(err)
		}
		if req.RequestURI != target || req.Host == "" || len(req.Header) != len(variedFields[i%len(variedFields)]) {
			t.Errorf("%d: %s with %d fields", i, req.RequestURI, len(req.Header))
		}
	}
	if n := requests.Buffered(); n != 0 {
		t.Errorf("%d octets follow", n)
	}
}

// TestPeerConfigs sees each configuration say where to listen, whatever for.
func TestPeerConfigs(t *testing.T) {
	g := &ground{dir: "/ground", docs: "/ground/docs", cert: "/ground/cert", key: "/ground/key", both: "/ground/both"}
	files, err := peerConfigs.ReadDir("peers")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d configurations, %v", len(files), err)
	}
	for _, file := range files {
		for _, e := range []endpoint{{Port: 8443, TLS: true}, {Port: 8443}, {Port: 8443, H2C: true}} {
			text, err := g.render(file.Name(), e)
			if err != nil {
				t.Errorf("%s: %v", file.Name(), err)
				continue
			}
			if !bytes.Contains(text, []byte("8443")) || bytes.Contains(text, []byte("{{")) ||
				e.TLS != (bytes.Contains(text, []byte(g.cert)) || bytes.Contains(text, []byte(g.both))) {
				t.Errorf("%s for %+v:\n%s", file.Name(), e, text)
			}
		}
	}
}

// TestRun measures h2loop, as briefly as can be, with each tool that is here.
func TestRun(t *testing.T) {
	if _, err := exec.LookPath("taskset"); err != nil {
		t.Skip(err)
	}
	if runtime.NumCPU() <= max(serverCore, loadCore) {
		t.Skip("one core is for the server, another for the load")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const loads = "^(hello-h2c-c1-m100|varied-h1-c100|connect-tls-resumed)$" // without their tools they are skipped
	var out string
	for try := 1; ; try++ {
		out = t.TempDir()
		err := run(t.Context(), []string{"-servers", subject, "-workloads", loads, "-rounds", "1", "-scale", "0.02", "-out", out})
		if err == nil {
			break
		}
		// In so short a time a machine that stands still answers nothing.
		if try == 5 || !strings.Contains(err.Error(), "runs without a figure, 0 requests failed") {
			t.Fatal(err)
		}
		t.Log(err)
	}
	for _, end := range []string{".json", ".md", ".cpu.svg", ".rate.svg"} {
		files, err := filepath.Glob(filepath.Join(out, "*"+end))
		if err != nil || len(files) != 1 {
			t.Errorf("%d files end in %s, %v", len(files), end, err)
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
		g.pgo = "off" // it takes long
		if err := s.find(t.Context(), g); err != nil {
			if errors.Is(err, exec.ErrNotFound) {
				t.Logf("%s: skipped: %v", s.name, err)
				continue
			}
			t.Fatal(err)
		}
		kinds := map[endpoint][]workload{}
		for _, w := range workloads {
			e := w.endpoint(0)
			same := func(other workload) bool {
				return other.http1 == w.http1 && other.path == w.path && other.size == w.size && other.upload == w.upload
			}
			if s.cannot(w) == "" && !slices.ContainsFunc(kinds[e], same) {
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
