package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/h2loop/h2loop/loop"
)

// serve runs the server until it is told to end or its standard input closes.
func serve(args []string) error {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	addr := flags.String("addr", "127.0.0.1:0", "address to listen on, cleartext")
	lowWater := flags.Int("lowwater", 0, "loop.Config.SendLowWater, octets")
	loops := flags.Int("loops", 0, "loop.Config.Loops")
	key := flags.String("tls", "", "also listen on a port of 127.0.0.1 over TLS, with a key that is ecdsa or rsa")
	where := flags.String("handshakes", "auto", "loop.Listener.Handshakes of that: auto, loop or off")
	timeout := flags.Duration("handshake-timeout", 0, "loop.Config.HandshakeTimeout")
	most := flags.Int("max-handshakes", 0, "loop.Config.MaxHandshakes")
	mostOne := flags.Int("max-handshakes-per-addr", 0, "loop.Config.MaxHandshakesPerAddr")
	sites := flags.Bool("sites", false, "record every allocation, for /sites")
	child := flags.Bool("child", false, "end with standard input")
	if err := flags.Parse(args); err != nil {
		return err
	}
	runtime.MemProfileRate = 0
	if *sites {
		runtime.MemProfileRate = 1
	}
	cfg := loop.Config{
		Listeners:            []loop.Listener{{Address: *addr}},
		SendLowWater:         *lowWater,
		Loops:                *loops,
		HandshakeTimeout:     *timeout,
		MaxHandshakes:        *most,
		MaxHandshakesPerAddr: *mostOne,
	}
	if *key != "" {
		ln, err := listenerTLS(*key, *where)
		if err != nil {
			return err
		}
		cfg.Listeners = append(cfg.Listeners, ln)
	}
	srv, err := loop.New(cfg)
	if err != nil {
		return err
	}
	for name, size := range map[string]int{"1k": 1 << 10, "64k": 64 << 10, "1m": 1 << 20, "10m": 10 << 20, "64m": 64 << 20} {
		// Outside the heap, whose size decides how often it is collected.
		body, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			return err
		}
		for i := range body {
			body[i] = 'x'
		}
		srv.Handle("GET /"+name, loop.Static(200, "text/plain", body))
	}
	srv.Handle("GET /hello", loop.Static(200, "text/plain", []byte("Hello, World!")))
	srv.HandleHTTP("POST /count", http.HandlerFunc(countBody))
	srv.HandleHTTP("POST /echo", http.HandlerFunc(echoBody))
	srv.Handle("GET /mem", func(x *loop.Exchange) { _ = x.SendString(200, memory(x.RawQuery() == "gc")) })
	srv.Handle("GET /figures", func(x *loop.Exchange) { _ = x.SendString(200, figures(srv.Stats())) })
	srv.Handle("GET /sites", func(x *loop.Exchange) { _ = x.SendString(200, allocationSites()) })
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *child {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			stop()
		}()
	}
	fmt.Println(strings.Trim(fmt.Sprint(srv.Addrs()), "[]"))
	return srv.Run(ctx)
}

func countBody(w http.ResponseWriter, r *http.Request) {
	n, _ := io.Copy(io.Discard, r.Body)
	fmt.Fprint(w, n)
}

// echoBody gives back what comes, as it comes.
func echoBody(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w)
	_ = flush.Flush()
	b := make([]byte, 4<<10)
	for {
		n, err := r.Body.Read(b)
		if n > 0 {
			if _, err := w.Write(b[:n]); err != nil {
				return
			}
			_ = flush.Flush()
		}
		if err != nil {
			return
		}
	}
}

// figures returns one line of name=value pairs, as memory does. Limits that were
// not crossed are left out.
func figures(s loop.Stats) string {
	pairs := []string{
		fmt.Sprint("connections=", s.Connections), fmt.Sprint("handshakes=", s.Handshakes),
		fmt.Sprint("accepted=", s.Accepted), fmt.Sprint("requests=", s.Requests),
	}
	for name, n := range s.Limits {
		if n > 0 {
			pairs = append(pairs, fmt.Sprint("limit.", name, "=", n))
		}
	}
	return strings.Join(pairs, " ")
}

// memory returns one line of name=value pairs. It stops the world, on the loop,
// which is for a measurement only.
func memory(collect bool) string {
	if collect {
		runtime.GC()
		runtime.GC() // what a sync.Pool holds outlives one
		debug.FreeOSMemory()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return fmt.Sprintf("inuse=%d alloc=%d stacks=%d objects=%d mallocs=%d collections=%d pause=%d goroutines=%d",
		m.HeapInuse, m.HeapAlloc, m.StackInuse, m.HeapObjects, m.Mallocs, m.NumGC, m.PauseTotalNs, runtime.NumGoroutine())
}

// A server is a child process that serves.
type server struct {
	cmd     *exec.Cmd
	stdin   io.Closer
	addr    string // cleartext
	addrTLS string // if it was asked for
}

// start runs this program as a server on cores, as taskset names them, or
// anywhere if that is empty. It has one loop unless args say otherwise.
func start(cores string, env []string, args ...string) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	argv := append([]string{self, "serve", "-child"}, args...)
	if cores != "" {
		argv = append([]string{"taskset", "-c", cores}, argv...)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the server has not started: %w", err), in.Close(), cmd.Wait())
	}
	addr, addrTLS, _ := strings.Cut(strings.TrimSpace(line), " ")
	return &server{cmd: cmd, stdin: in, addr: addr, addrTLS: addrTLS}, nil
}

func (s *server) stop() error { return errors.Join(s.stdin.Close(), s.cmd.Wait()) }

// resident returns VmRSS of the server in octets.
func (s *server) resident() (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n << 10, err
		}
	}
	return 0, errors.New("no VmRSS in /proc/PID/status")
}

// cpu returns the user and system time of the server in microseconds.
func (s *server) cpu() (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	// Fields count from behind the name, which may have spaces.
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	const tick = 10_000 // USER_HZ is 100
	return (user + system) * tick, errors.Join(err1, err2)
}

// cpuOf runs h2load, n of whose requests are to be answered, and returns the CPU that the
// server has used meanwhile, in us.
func (s *server) cpuOf(h2load *exec.Cmd, n int) (us int64, err error) {
	before, err := s.cpu()
	if err != nil {
		return 0, err
	}
	out, err := h2load.Output()
	if err != nil {
		return 0, err
	}
	after, err := s.cpu()
	if err != nil {
		return 0, err
	}
	if got := succeeded(out); got != n {
		return 0, fmt.Errorf("%d of %d requests were answered", got, n)
	}
	return after - before, nil
}
