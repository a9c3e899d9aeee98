package loop

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// stressChild is set in the environment of a child that serves, to the number
// of descriptors that it may have.
const stressChild = "H2LOOP_STRESS_DESCRIPTORS"

// stressServeShort is what that child does until its standard input closes.
func stressServeShort(t *testing.T) {
	limit, err := strconv.ParseUint(os.Getenv(stressChild), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	log := zerolog.New(os.Stderr).Level(zerolog.WarnLevel)
	srv, err := New(Config{
		Listeners: []Listener{{Address: "127.0.0.1:0"}}, Loops: 2, Logger: &log, DrainTimeout: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Handle("GET /small", func(x *Exchange) { _ = x.SendString(200, "small") })
	srv.Handle("GET /busy", func(x *Exchange) {
		time.Sleep(2 * time.Second) // as a callback must not
		_ = x.SendString(200, "busy")
	})
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	fmt.Printf("serving %s\n", srv.Addrs()[0])
	if err := srv.Run(ctx); err != nil {
		t.Fatal(err)
	}
}

// A stressProcess is a child that serves.
type stressProcess struct {
	t    *testing.T
	cmd  *exec.Cmd
	addr net.Addr

	mu  sync.Mutex
	log bytes.Buffer
}

func (p *stressProcess) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *stressProcess) logged(what string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Count(p.log.String(), what)
}

func stressStartProcess(t *testing.T, descriptors int) *stressProcess {
	t.Helper()
	p := &stressProcess{t: t}
	p.cmd = exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=10m")
	p.cmd.Env = append(os.Environ(), fmt.Sprint(stressChild, "=", descriptors))
	p.cmd.Stderr = p
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if addr, ok := strings.CutPrefix(lines.Text(), "serving "); ok {
			if p.addr, err = net.ResolveTCPAddr("tcp", addr); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	t.Cleanup(func() {
		_ = in.Close()
		rest, _ := io.ReadAll(out)
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("the server ended with %v\n%s\n%s", err, rest, p.log.String())
		}
	})
	if p.addr == nil {
		t.Fatal("the server has not started")
	}
	return p
}

// cpu returns the processor time the child has used.
func (p *stressProcess) cpu() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	user, err1 := strconv.Atoi(f[11])
	system, err2 := strconv.Atoi(f[12])
	if err := errors.Join(err1, err2); err != nil {
		p.t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

// hasInput reports whether something has arrived on fd.
func stressHasInput(fd int) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return err == nil && n > 0
}

// TestStressDescriptorShortage opens many more connections than the server may
// have descriptors, also while both its loops are busy. The server waits for
// better times without spinning, and loses none of those who wait: as others
// go, they are served.
func TestStressDescriptorShortage(t *testing.T) {
	if os.Getenv(stressChild) != "" {
		stressServeShort(t)
		return
	}
	const (
		descriptors = 100
		conns       = 250
	)
	srv := stressStartProcess(t, descriptors)
	for _, busy := range []bool{false, true} {
		name := map[bool]string{false: "idle loops", true: "busy loops"}[busy]
		ok := t.Run(name, func(t *testing.T) {
			open := func(path string) *stressPeer {
				fd := stressSocket(t)
				stressConnect(t, fd, srv.addr)
				p := stressNewPeer(t, fd)
				p.write(stressPreface(1 << 20))
				p.get(path)
				return p
			}
			if busy {
				for range 2 { // one for each loop
					open("/busy")
					time.Sleep(100 * time.Millisecond)
				}
			}
			began := time.Now()
			var waiting []*stressPeer
			for range conns {
				waiting = append(waiting, open("/small"))
			}
			// Until those that find room are served.
			served := func() (n int) {
				for _, p := range waiting {
					if stressHasInput(p.fd) {
						n++
					}
				}
				return n
			}
			stressWait(t, "the first are served", func() bool { return served() >= descriptors/2 })
			stressWait(t, "accepting pauses", func() bool { return srv.logged("accepting pauses") > 0 })
			before, lines, since := srv.cpu(), srv.logged("\n"), time.Now()
			time.Sleep(time.Second)
			used, lines, took := srv.cpu()-before, srv.logged("\n")-lines, time.Since(since)
			t.Logf("%d of %d served after %v; then, in %v: %v of CPU, %d lines of log",
				served(), conns, since.Sub(began).Round(time.Millisecond), took.Round(time.Millisecond), used, lines)
			if used > took*3/10 {
				t.Errorf("the server used %v of CPU in %v in which it could do nothing", used, took)
			}
			if lines > 50*int(took/time.Second) {
				t.Errorf("the server logged %d lines in %v", lines, took)
			}
			for deadline := time.Now().Add(60 * time.Second); len(waiting) > 0; {
				if time.Now().After(deadline) {
					t.Fatalf("%d connections wait for ever", len(waiting))
				}
				var still []*stressPeer
				for _, p := range waiting {
					if !stressHasInput(p.fd) {
						still = append(still, p)
						continue
					}
					p.endOf(1) // fails if the connection has been closed
					p.close()
				}
				waiting = still
				time.Sleep(time.Millisecond)
			}
			p := open("/small")
			p.endOf(1)
			p.close()
		})
		if !ok {
			break
		}
	}
	t.Logf("%d pauses were logged, %d other lines", srv.logged("accepting pauses"), srv.logged("\n")-srv.logged("accepting pauses"))
}
