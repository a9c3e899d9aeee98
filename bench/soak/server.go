package main

import (
	"bufio"
	"bytes"
	"errors"
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
	"time"
)

// A server is one that runs.
type server struct {
	cmd   *exec.Cmd
	at    targets
	admin *http.Client
	log   *serverLog
	ended chan struct{} // closed when it has ended …
	err   error         // … with this
}

// start starts the server and waits until it serves. In a program, it is for the main
// goroutine: see main.
func (g *ground) start() (*server, error) {
	s := &server{at: g.at, log: &serverLog{}, ended: make(chan struct{}), admin: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{}}}
	s.cmd = exec.Command(g.server, "--bench", "--config", g.config())
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.ended)
	}()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); {
		if resp, err := s.get("/readyz"); err == nil && resp.status == http.StatusOK {
			return s, nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-s.ended:
			return nil, fmt.Errorf("the server has ended: %w: %s", s.err, s.log.String())
		}
	}
	s.stop()
	return nil, fmt.Errorf("the server does not become ready: %s", s.log.String())
}

func (s *server) stop() {
	s.admin.CloseIdleConnections()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(15 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
}

type adminAnswer struct {
	status int
	body   []byte
}

// get asks the admin listener.
func (s *server) get(path string) (adminAnswer, error) {
	resp, err := s.admin.Get("http://" + s.at.admin + path)
	if err != nil {
		return adminAnswer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return adminAnswer{resp.StatusCode, body}, err
}

// A state is what the server holds, and has done.
type state struct {
	RSS, Heap          int64 // octets
	Files, Goroutines  int
	Connections        int
	Streams            int
	Held, Unread       int64   // octets of output and of request bodies that wait
	Requests           int64   // since the start
	Lines, Dropped     int64   // of the access log, since the start
	CPU                float64 // seconds since the start
	Panics             int64
	SlowCallbacks      int64
	LimitsCrossed      int64
	HandshakesUnderWay int
}

// look returns the state as /metrics has it.
func (s *server) look() (st state, err error) {
	m, err := s.get("/metrics")
	if err != nil {
		return st, err
	}
	v, err := parseMetrics(m.body)
	if err != nil {
		return st, err
	}
	return state{
		RSS: int64(v["process_resident_memory_bytes"]), Heap: int64(v["go_memstats_heap_inuse_bytes"]),
		Files: int(v["process_open_fds"]), Goroutines: int(v["go_goroutines"]),
		Connections: int(v["h2loop_connections"]), Streams: int(v["h2loop_requests_in_progress"]),
		Held: int64(v["h2loop_output_held_bytes"]), Unread: int64(v["h2loop_unread_body_bytes"]),
		Requests: int64(v["h2loop_requests_total"]),
		Lines:    int64(v["h2loop_access_log_lines_total"]), Dropped: int64(v["h2loop_access_log_dropped_total"]),
		CPU: v["process_cpu_seconds_total"], Panics: int64(v["h2loop_panics_total"]),
		SlowCallbacks: int64(v["h2loop_slow_callbacks_total"]), LimitsCrossed: int64(v["h2loop_limits_crossed_total"]),
		HandshakesUnderWay: int(v["h2loop_tls_handshakes_in_progress"]),
	}, nil
}

// parseMetrics adds up the samples of each name in the text format of Prometheus.
func parseMetrics(text []byte) (map[string]float64, error) {
	sums := map[string]float64{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		if at < 0 {
			return nil, fmt.Errorf("no metric: %q", line)
		}
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("no metric: %q: %w", line, err)
		}
		name, _, _ := strings.Cut(line[:at], "{")
		sums[name] += value
	}
	for _, name := range []string{"process_resident_memory_bytes", "go_memstats_heap_inuse_bytes", "go_goroutines", "process_open_fds", "h2loop_connections", "h2loop_requests_in_progress"} {
		if _, ok := sums[name]; !ok {
			return nil, fmt.Errorf("/metrics does not tell %s", name)
		}
	}
	return sums, lines.Err()
}

// settled collects garbage and looks.
func (s *server) settled() (state, error) {
	for range 2 { // what a sync.Pool holds outlives one collection
		if _, err := s.get("/debug/pprof/heap?gc=1"); err != nil {
			return state{}, err
		}
	}
	time.Sleep(200 * time.Millisecond) // the figures of loops are up to 0.1 s old
	return s.look()
}

// open tells what descriptors and goroutines there are.
func (s *server) open() string {
	var b strings.Builder
	dir := filepath.Join("/proc", strconv.Itoa(s.cmd.Process.Pid), "fd")
	fds, _ := os.ReadDir(dir)
	for _, fd := range fds {
		if target, err := os.Readlink(filepath.Join(dir, fd.Name())); err == nil {
			fmt.Fprintf(&b, "%s -> %s\n", fd.Name(), target)
		}
	}
	if g, err := s.get("/debug/pprof/goroutine?debug=1"); err == nil {
		b.Write(g.body)
	}
	return b.String()
}

// signal sends a signal.
func (s *server) signal(sig os.Signal) error {
	err := s.cmd.Process.Signal(sig)
	if errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("the server has ended: %s", s.log.String())
	}
	return err
}

// A serverLog keeps the end of the log, and the lines that tell of errors.
type serverLog struct {
	mu     sync.Mutex
	end    []byte
	rest   []byte
	errors []string // the first ones …
	count  int      // … and how many there are
}

const (
	keptLog    = 8 << 10
	keptErrors = 50
)

func (l *serverLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end = append(l.end, p...)
	l.end = l.end[max(0, len(l.end)-keptLog):]
	l.rest = append(l.rest, p...)
	for {
		line, rest, ok := bytes.Cut(l.rest, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		l.rest = rest
		if bytes.Contains(line, []byte(`"level":"warn"`)) || bytes.Contains(line, []byte(`"level":"info"`)) {
			continue
		}
		if l.count++; len(l.errors) < keptErrors {
			l.errors = append(l.errors, string(line))
		}
	}
}

func (l *serverLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.end)
}

// told returns the lines that are neither information nor warnings, and how many they
// are.
func (l *serverLog) told() ([]string, int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.errors...), l.count
}
