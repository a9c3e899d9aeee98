package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/h2loop/h2loop/bench/freeport"
)

// The cores of the server and of its clients. With one CPU there is one for both.
const serverCore, clientCore = 0, 1

// A ground is where servers are started.
type ground struct {
	dir    string // of ours
	site   string // what is served
	binary string
}

// targets are the addresses of a server.
type targets struct{ tls, cleartext, admin string }

// prepare builds the server, unless there is one, and what it serves.
func prepare(ctx context.Context, binary string) (_ *ground, err error) {
	dir, err := os.MkdirTemp("", "h2loop-attack-")
	if err != nil {
		return nil, err
	}
	g := &ground{dir: dir, binary: binary, site: filepath.Join(dir, "site")}
	defer func() {
		if err != nil {
			g.remove()
		}
	}()
	if binary == "" {
		g.binary = filepath.Join(dir, "h2loop")
		build := exec.CommandContext(ctx, "go", "build", "-o", g.binary, "github.com/h2loop/h2loop/cmd/h2loop")
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building the server: %w: %s", err, out)
		}
	}
	if err := os.Mkdir(g.site, 0o755); err != nil {
		return nil, err
	}
	for name, size := range map[string]int{"index.html": 100, "small": 1000, "large": 16 << 20} {
		if err := os.WriteFile(filepath.Join(g.site, name), bytes.Repeat([]byte("."), size), 0o644); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte(secret), 0o644); err != nil {
		return nil, err
	}
	return g, nil
}

// secret is what nobody may read.
const secret = "outside the directory that is served"

func (g *ground) remove() { _ = os.RemoveAll(g.dir) }

// A server is one that runs.
type server struct {
	targets
	cmd   *exec.Cmd
	log   tail
	ended chan struct{}
}

// start starts a server and waits until it listens.
func (g *ground) start(ctx context.Context) (*server, error) {
	addrs, err := freeport.Addrs(3)
	if err != nil {
		return nil, err
	}
	s := &server{targets: targets{tls: addrs[0], cleartext: addrs[1], admin: addrs[2]}, ended: make(chan struct{})}
	s.cmd = exec.CommandContext(ctx, "taskset", "-c", strconv.Itoa(serverCore), g.binary,
		"--bench", "--log-level", "error", "--listen", s.tls, "--listen-cleartext", s.cleartext, "--admin", s.admin, g.site)
	s.cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.ended)
	}()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if nc, err := net.Dial("tcp", s.cleartext); err == nil {
			_ = nc.Close()
			return s, nil
		}
	}
	s.stop()
	return nil, fmt.Errorf("the server does not listen: %s", s.log.String())
}

// stop ends the server.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(3 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
}

// A state is what a server holds, and what CPU it has used.
type state struct {
	rss     int64 // octets
	files   int
	tasks   int // goroutines
	threads int
	cpu     time.Duration
}

// look returns the state of the server; an error says that it is gone.
func (s *server) look() (st state, err error) {
	select {
	case <-s.ended:
		return st, fmt.Errorf("it has ended: %s", s.log.String())
	default:
	}
	proc := filepath.Join("/proc", strconv.Itoa(s.cmd.Process.Pid))
	stat, err := os.ReadFile(filepath.Join(proc, "stat"))
	if err != nil {
		return st, err
	}
	_, rest, ok := strings.Cut(string(stat), ") ")
	f := strings.Fields(rest)
	if !ok || len(f) < 22 {
		return st, fmt.Errorf("%s/stat: %q", proc, stat)
	}
	var n [4]int64
	for i, at := range []int{11, 12, 17, 21} { // utime, stime, num_threads, rss
		if n[i], err = strconv.ParseInt(f[at], 10, 64); err != nil {
			return st, err
		}
	}
	const tick = 10 * time.Millisecond
	st = state{cpu: time.Duration(n[0]+n[1]) * tick, threads: int(n[2]), rss: n[3] * int64(os.Getpagesize())}
	fds, err := os.ReadDir(filepath.Join(proc, "fd"))
	st.files = len(fds)
	if err == nil {
		st.tasks, err = s.goroutines()
	}
	return st, err
}

// goroutines asks the server how many it has.
func (s *server) goroutines() (int, error) {
	c := http.Client{Timeout: goodPatience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Get("http://" + s.admin + "/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if n, ok := strings.CutPrefix(lines.Text(), "go_goroutines "); ok {
			return strconv.Atoi(n)
		}
	}
	return 0, errors.Join(errors.New("the metrics have no go_goroutines"), lines.Err())
}

// A watcher looks at a server again and again.
type watcher struct {
	end  chan struct{}
	done sync.WaitGroup
	most state
}

func (s *server) watch() *watcher {
	w := &watcher{end: make(chan struct{})}
	w.done.Go(func() {
		for {
			if st, err := s.look(); err == nil {
				w.most = state{
					rss: max(w.most.rss, st.rss), files: max(w.most.files, st.files), tasks: max(w.most.tasks, st.tasks),
					threads: max(w.most.threads, st.threads), cpu: st.cpu,
				}
			}
			select {
			case <-w.end:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	return w
}

// stop returns the most that was seen.
func (w *watcher) stop() state {
	close(w.end)
	w.done.Wait()
	return w.most
}

// A tail keeps the end of what is written to it.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if extra := len(t.b) - 4096; extra > 0 {
		t.b = t.b[extra:]
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}
