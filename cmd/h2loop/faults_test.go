package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestLogsOnFullDisk has no room for the log of the server, nor for that of requests: both
// are served without, SIGHUP and SIGUSR1 change nothing about that, and the end is an
// ordinary one. With room again, requests are logged again.
func TestLogsOnFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	dir := t.TempDir()
	socket, access := filepath.Join(dir, "socket"), filepath.Join(dir, "access.log")
	if err := os.Symlink("/dev/full", access); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "--listen", "", "--listen-cleartext", "unix:"+socket, "--access-log", access, "--access-log-format", "common")
	cmd.Stderr, cmd.Stdout = full, full
	ended := startUnheard(t, cmd, socket)
	c := unixClient(socket)
	signal := func(s syscall.Signal) { t.Helper(); signalUnheard(t, cmd, c, s) }
	for range 5 {
		get(t, c, "http://h/hello")
	}
	signal(syscall.SIGHUP)
	signal(syscall.SIGUSR1)
	if err := os.Remove(access); err != nil { // and now there is room
		t.Fatal(err)
	}
	for deadline := time.Now().Add(long); fileSize(access) == 0; signal(syscall.SIGUSR1) {
		if time.Now().After(deadline) {
			t.Fatal("requests are not logged again")
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	endsWell(t, cmd, ended)
}

func fileSize(name string) int64 {
	info, err := os.Stat(name)
	if err != nil {
		return 0
	}
	return info.Size()
}

// startUnheard starts the program, whose log nobody reads, until the test ends, and
// returns once it serves on socket. ended is closed when it has ended.
func startUnheard(t *testing.T, cmd *exec.Cmd, socket string) (ended chan struct{}) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended = make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	waitForSocket(t, socket)
	return ended
}

// signalUnheard sends the program a signal that does not end it, and sees that it serves.
func signalUnheard(t *testing.T, cmd *exec.Cmd, c *http.Client, s syscall.Signal) {
	t.Helper()
	if err := cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
	get(t, c, "http://h/hello")
}

// endsWell waits until the program has ended, with status 0.
func endsWell(t *testing.T, cmd *exec.Cmd, ended chan struct{}) {
	t.Helper()
	select {
	case <-ended:
	case <-time.After(long):
		t.Fatal("it does not end")
	}
	if cmd.ProcessState.ExitCode() != 0 {
		t.Errorf("it has ended with %s", cmd.ProcessState)
	}
}

// waitForSocket waits until somebody listens, whose log does not tell.
func waitForSocket(t *testing.T, path string) {
	t.Helper()
	for deadline := time.Now().Add(long); ; time.Sleep(time.Millisecond) {
		if nc, err := net.Dial("unix", path); err == nil {
			_ = nc.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("in vain waited for %s", path)
		}
	}
}

// TestLogReaderGone has the process that reads the log end: the server goes on, as it
// does when the disk is full.
func TestLogReaderGone(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "socket")
	cmd := exec.Command(binary, "--listen", "", "--listen-cleartext", "unix:"+socket)
	cmd.Stderr, cmd.Stdout = w, w
	ended := startUnheard(t, cmd, socket)
	_ = w.Close()
	c := unixClient(socket)
	get(t, c, "http://h/hello")
	_ = r.Close()
	for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGTERM} { // each of which is logged
		get(t, c, "http://h/hello")
		if err := cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	endsWell(t, cmd, ended)
}

// TestLogNotRead has the log go to a pipe that is open, and from which nobody reads: the
// server serves on, lines that do not fit are dropped, and it ends when it is told to.
func TestLogNotRead(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	size, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, 2*pipeBuf)
	if err != nil {
		t.Skip(err)
	}
	if _, err := w.Write(make([]byte, size)); err != nil { // so that there is no room
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "socket")
	cmd := exec.Command(binary, "--listen", "", "--listen-cleartext", "unix:"+socket)
	cmd.Stderr = w
	ended := startUnheard(t, cmd, socket)
	_ = w.Close()
	c := unixClient(socket)
	signal := func(s syscall.Signal) { t.Helper(); signalUnheard(t, cmd, c, s) }
	for range 10 {
		signal(syscall.SIGHUP)
	}
	signal(syscall.SIGUSR1)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	endsWell(t, cmd, ended)
	told, err := io.ReadAll(r)
	if err != nil || strings.Contains(string(told), "draining") {
		t.Errorf("there was room for all of it, %v: %s", err, told)
	}
}

// TestEndBehindOtherSignals has a reload that does not come to its end, and many signals
// behind it: the one that ends the server is heard.
func TestEndBehindOtherSignals(t *testing.T) {
	in := installTwoSites(t)
	p := start(t, in.configure(twoSites)...)
	file := in.path("h2loop.toml")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	w := -1
	for deadline := time.Now().Add(long); w < 0; time.Sleep(time.Millisecond) {
		var err error
		if w, err = unix.Open(file, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0); err != nil && time.Now().After(deadline) {
			t.Fatalf("the configuration is not read: %v", err)
		}
	}
	defer unix.Close(w) // until then who reads it waits
	for range 20 {
		p.signal(syscall.SIGHUP)
		p.signal(syscall.SIGUSR1)
	}
	p.signal(syscall.SIGTERM)
	if status := p.wait(); status != 0 {
		t.Errorf("it has ended with %d", status)
	}
}
