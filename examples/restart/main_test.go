package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A program is the first of a dynasty of processes.
type program struct {
	cmd  *exec.Cmd
	url  [2]string // of its two listeners
	gone chan struct{}
}

// start runs the program that is at path.
func start(t *testing.T, path string) *program {
	t.Helper()
	p := &program{cmd: exec.Command(path, "-listen", "127.0.0.1:0,127.0.0.1:0"), gone: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), asProgram+"=1")
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // which successors are in, too
	p.cmd.Stderr = os.Stderr
	// A pipe of exec would be waited for until the last of them has ended.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	p.cmd.Stdout = w
	err = p.cmd.Start()
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) })
	go func() { _ = p.cmd.Wait(); close(p.gone) }()
	lines := bufio.NewReader(r)
	for i := range p.url {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		_, url, _ := strings.Cut(strings.TrimSpace(line), ": ")
		p.url[i] = strings.TrimSuffix(url, "/pid")
	}
	return p
}

// isGone reports whether a process has ended, though nobody may have waited for it.
func isGone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, behind, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(behind, "Z") || strings.HasPrefix(behind, "X")
}

func waitFor(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within two minutes: %s", what)
		}
	}
}

// ask returns the number of the process that answers.
func ask(c *http.Client, method, url string) (pid int, err error) {
	req, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(""))
	if err != nil {
		return 0, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != 200 {
		err = fmt.Errorf("%s", resp.Status)
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(body)))
}

// askOnce is ask on a connection of its own.
func askOnce(url string) (pid int, err error) {
	return ask(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, "GET", url)
}

// TestRestart replaces the program again and again under load, and no request fails.
func TestRestart(t *testing.T) {
	p := start(t, os.Args[0])
	var http1, http2 http.Protocols
	http1.SetHTTP1(true)
	http2.SetUnencryptedHTTP2(true)
	loads := []struct {
		name, method, path string
		tr                 *http.Transport
	}{
		{"HTTP/2", "POST", "/pid", &http.Transport{Protocols: &http2}}, // POST is not sent again if it may have been seen
		{"HTTP/2", "GET", "/slow", &http.Transport{Protocols: &http2}},
		{"HTTP/1.1", "GET", "/pid", &http.Transport{Protocols: &http1}},
		{"HTTP/1.1", "GET", "/slow", &http.Transport{Protocols: &http1}},
		{"HTTP/1.1, a connection each", "POST", "/pid", &http.Transport{Protocols: &http1, DisableKeepAlives: true}},
	}
	var (
		mu       sync.Mutex
		requests = make([]int, len(loads))
		pids     = map[int]int{}
		stop     = make(chan struct{})
		askers   sync.WaitGroup
	)
	for i, load := range loads {
		for worker := range 4 {
			url := p.url[worker%2] + load.path
			askers.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					pid, err := ask(&http.Client{Transport: load.tr}, load.method, url)
					if err != nil {
						t.Errorf("%s %s: %v", load.name, load.path, err)
						return
					}
					mu.Lock()
					requests[i]++
					pids[pid]++
					mu.Unlock()
					if worker > 0 {
						time.Sleep(time.Millisecond)
					}
				}
			})
		}
	}
	pid := p.cmd.Process.Pid
	for range 3 {
		time.Sleep(300 * time.Millisecond)
		_ = syscall.Kill(pid, syscall.SIGHUP)
		old := pid
		waitFor(t, fmt.Sprintf("%d has gone", old), func() bool { return isGone(old) })
		var err error
		if pid, err = askOnce(p.url[0] + "/pid"); err != nil || pid == old {
			t.Fatalf("%d, %v, answers in place of %d", pid, err, old)
		}
		waitFor(t, fmt.Sprintf("%d has answered one of those who ask all the time", pid), func() bool {
			mu.Lock()
			defer mu.Unlock()
			return pids[pid] > 0
		})
	}
	close(stop)
	askers.Wait()
	for i, load := range loads {
		t.Logf("%6d requests %s %s", requests[i], load.name, load.path)
		load.tr.CloseIdleConnections()
		if requests[i] == 0 {
			t.Error("there were none")
		}
	}
	if t.Logf("answered by %v", pids); len(pids) != 4 {
		t.Errorf("%d processes have answered, want 4", len(pids))
	}
	_ = syscall.Kill(pid, syscall.SIGTERM)
	waitFor(t, "the last one has gone", func() bool { return isGone(pid) })
	<-p.gone
	if _, err := askOnce(p.url[0] + "/pid"); err == nil {
		t.Error("somebody answers still")
	}
}

// TestBadSuccessor replaces the program by one that does not work: the old one stays.
func TestBadSuccessor(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "program")
	binary, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, binary, 0o700); err != nil {
		t.Fatal(err)
	}
	p := start(t, path)
	for _, bad := range []string{"#!/bin/false\n", "no program"} {
		next := filepath.Join(dir, "next")
		if err := os.WriteFile(next, []byte(bad), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, path); err != nil {
			t.Fatal(err)
		}
		_ = p.cmd.Process.Signal(syscall.SIGHUP)
		for range 20 {
			time.Sleep(10 * time.Millisecond)
			if pid, err := askOnce(p.url[1] + "/pid"); err != nil || pid != p.cmd.Process.Pid {
				t.Fatalf("%d, %v, answers in place of %d", pid, err, p.cmd.Process.Pid)
			}
		}
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	<-p.gone
}
