package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// listenNotify stands for a service manager that is told things.
func listenNotify(t *testing.T) (next func() string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return func() string {
		t.Helper()
		_ = conn.SetReadDeadline(time.Now().Add(long))
		b := make([]byte, 4096)
		n, err := conn.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
}

// TestNotify tells a service manager of readiness, of a reload, that it is alive, and of
// its end.
func TestNotify(t *testing.T) {
	next := listenNotify(t)
	t.Setenv("WATCHDOG_USEC", "300000")
	p := start(t, "--listen", "127.0.0.1:0", "--listen-cleartext", "")
	alive := 0
	until := func(want string) {
		t.Helper()
		for {
			got := next()
			if got == "WATCHDOG=1" {
				alive++
			}
			if regexp.MustCompile(want).MatchString(got) {
				return
			}
			if got != "WATCHDOG=1" {
				t.Fatalf("told %q, want %s", got, want)
			}
		}
	}
	until("^READY=1$")
	until("^WATCHDOG=1$")
	p.signal(syscall.SIGHUP)
	until(`^RELOADING=1\nMONOTONIC_USEC=\d+$`)
	until("^READY=1$")
	until("^WATCHDOG=1$")
	p.signal(syscall.SIGTERM)
	until("^STOPPING=1\nSTATUS=draining$")
	if status := p.wait(); status != 0 || alive < 2 {
		t.Errorf("status %d, alive %d times", status, alive)
	}
}

// TestNotifyWrong serves though the service manager cannot be told.
func TestNotifyWrong(t *testing.T) {
	for _, path := range []string{"/nowhere/notify", "vsock:2:1"} {
		t.Setenv("NOTIFY_SOCKET", path)
		p := start(t, "--listen", "127.0.0.1:0", "--listen-cleartext", "")
		get(t, newClient(nil), p.urls[0]+"hello")
	}
}

// TestSocketActivation serves on sockets that were handed over, by name and by number.
func TestSocketActivation(t *testing.T) {
	var files []*os.File
	var addrs []string
	for range 2 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		f, err := ln.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		addrs = append(addrs, ln.Addr().String())
		_ = ln.Close()
		files = append(files, f)
		defer f.Close()
	}
	run := func(args ...string) *exec.Cmd {
		// exec keeps the number of the process, which is part of the protocol.
		cmd := exec.Command("sh", append([]string{"-c", `LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=secure:plain exec "$0" "$@"`, binary}, args...)...)
		cmd.ExtraFiles = files
		return cmd
	}
	p := startCommand(t, run("--listen", "fd:secure", "--listen-cleartext", "fd:1"))
	for i, scheme := range []string{"https", "http"} {
		if want := scheme + "://" + addrs[i] + "/"; p.urls[i] != want {
			t.Errorf("serves at %s, want %s", p.urls[i], want)
		}
		get(t, newClient(nil), p.urls[i]+"hello")
	}
	out, err := run("--listen", "fd:secure", "--listen-cleartext", "fd:other").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "none of that name or number is left") {
		t.Errorf("%v: %s", err, out)
	}
}

// packaged returns a file of packaging/.
func packaged(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../packaging", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestUnit has systemd look at the unit, and the program at its command line.
func TestUnit(t *testing.T) {
	unit := packaged(t, "h2loop.service")
	command := regexp.MustCompile(`(?m)^ExecStart=(\S+) (.*)$`).FindStringSubmatch(unit)
	if command == nil {
		t.Fatal("no command")
	}
	opts, err := parseFlags(strings.Fields(strings.ReplaceAll(command[2], "${CREDENTIALS_DIRECTORY}", "/run")), nil)
	if err != nil {
		t.Errorf("%s: %v", command[0], err)
	}
	checkPatience(t, unit, `TimeoutStopSec=(\d+)`, drainOf(opts))
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip(err)
	}
	// It wants the program to be there.
	path := filepath.Join(t.TempDir(), "h2loop.service")
	if err := os.WriteFile(path, []byte(strings.Replace(unit, command[1], binary, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", "--man=no", path).CombinedOutput(); err != nil || strings.Contains(string(out), "h2loop.service") {
		t.Errorf("%v\n%s", err, out)
	}
}

// drainOf returns how long a drain may take.
func drainOf(opts *options) time.Duration {
	if opts.drain > 0 {
		return time.Duration(opts.drain)
	}
	return 30 * time.Second // as loop.Config.DrainTimeout is by default
}

// checkPatience fails the test if the time that is in text leaves none for the drain.
func checkPatience(t *testing.T, text, pattern string, drain time.Duration) {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no %s", pattern)
	}
	if n, _ := strconv.Atoi(m[1]); time.Duration(n)*time.Second <= drain {
		t.Errorf("%s is no longer than the drain, %v", m[0], drain)
	}
}

// TestKubernetes compares the times of the manifest, and reads its command line.
func TestKubernetes(t *testing.T) {
	manifest := packaged(t, "kubernetes.yaml")
	args := regexp.MustCompile(`args: \[(.*)\]`).FindStringSubmatch(manifest)
	if args == nil {
		t.Fatal("no args")
	}
	opts, err := parseFlags(strings.Split(strings.NewReplacer(`"`, "", " ", "").Replace(args[1]), ","), nil)
	if err != nil {
		t.Fatal(err)
	}
	sleep := regexp.MustCompile(`sleep: \{ seconds: (\d+) \}`).FindStringSubmatch(manifest)
	if sleep == nil {
		t.Fatal("no preStop")
	}
	n, _ := strconv.Atoi(sleep[1])
	checkPatience(t, manifest, `terminationGracePeriodSeconds: (\d+)`, drainOf(opts)+time.Duration(n)*time.Second)
}

// backlogOf returns how many connections may wait until the process takes them, where it
// serves at url.
func backlogOf(t *testing.T, pid int, url string) (length string) {
	t.Helper()
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(process)
	for n := range 64 {
		fd, err := unix.PidfdGetfd(process, n, 0)
		if err != nil {
			continue
		}
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		addr, _ := unix.Getsockname(fd)
		if a, ok := addr.(*unix.SockaddrInet4); ok && err == nil && strings.HasSuffix(url, fmt.Sprintf(":%d/", a.Port)) {
			length = strconv.FormatUint(uint64(info.Sacked), 10) // which is this for a listener, see tcp_get_info
		}
		_ = unix.Close(fd)
	}
	return length
}

// TestDockerfile builds as the image is built, and reads what it says of itself.
func TestDockerfile(t *testing.T) {
	text := packaged(t, "Dockerfile")
	m := regexp.MustCompile(`-ldflags="([^"]*)"`).FindStringSubmatch(text)
	if m == nil {
		t.Fatal("no -ldflags")
	}
	program := filepath.Join(t.TempDir(), "h2loop")
	given := strings.NewReplacer("${VERSION}", "v1.2.3", "${COMMIT}", "0123456789abcdef").Replace(m[1])
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags="+given, "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(program, "--version").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "h2loop v1.2.3 (commit 0123456789ab, go1.") {
		t.Errorf("%v: %s", err, out)
	}
	for _, name := range []string{"VERSION", "COMMIT"} {
		if !strings.Contains(text, "\nARG "+name+"=\n") {
			t.Errorf("there is no argument %s", name)
		}
	}
}

// TestMemoryLimits has Go know of less memory than the kernel allows.
func TestMemoryLimits(t *testing.T) {
	for name, bound := range map[string]string{"kubernetes.yaml": `limits: \{ memory: (\d+)Mi \}`, "h2loop.service": `MemoryMax=(\d+)M\n`} {
		text := packaged(t, name)
		number := func(pattern string) int {
			t.Helper()
			m := regexp.MustCompile(pattern).FindStringSubmatch(text)
			if m == nil {
				t.Fatalf("%s has no %s", name, pattern)
			}
			n, _ := strconv.Atoi(m[1])
			return n
		}
		if most, known := number(bound), number(`GOMEMLIMIT(?:=|, value: )(\d+)MiB`); known >= most || known < most/2 {
			t.Errorf("%s: GOMEMLIMIT is %d MiB, the bound %d", name, known, most)
		}
	}
}

// TestChroot runs a static program, as a container has it, where nothing else is.
func TestChroot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("chroot needs root")
	}
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(root, "h2loop"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command("/h2loop", "--listen", "127.0.0.1:0", "--listen-cleartext", "127.0.0.1:0", "--admin", ":0")
	cmd.Dir, cmd.Env = "/", []string{}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532, NoSetGroups: true},
	}
	p := startCommand(t, cmd)
	want, err := os.ReadFile("/proc/sys/net/core/somaxconn")
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(nil)
	for _, url := range p.urls {
		if n := backlogOf(t, p.cmd.Process.Pid, url); n != strings.TrimSpace(string(want)) {
			t.Errorf("the backlog of %s has room for %s, want %s", url, n, want)
		}
		if _, body := get(t, c, url+"hello"); body != "Hello, World!\n" {
			t.Errorf("%q", body)
		}
	}
	waitForHealth(t, p.admin)
	p.signal(syscall.SIGTERM)
	if status := p.wait(); status != 0 {
		t.Errorf("status %d", status)
	}
}
