package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestListenHint has a remedy that fits the address.
func TestListenHint(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	unix := func(name string) net.Addr { return &net.UnixAddr{Name: name, Net: "unix"} }
	for _, tt := range []struct {
		addr  net.Addr
		errno syscall.Errno
		want  string
	}{
		{&net.TCPAddr{Port: 80}, syscall.EACCES, "ports below 1024"},
		{&net.TCPAddr{Port: 8080}, syscall.EACCES, ""},
		{&net.TCPAddr{Port: 8080}, syscall.EADDRINUSE, "another address"},
		{&net.TCPAddr{Port: 8080}, syscall.EADDRNOTAVAIL, "does not have that address"},
		{unix(file), syscall.EADDRINUSE, "no socket: remove it"},
		{unix(file + "2"), syscall.EADDRINUSE, "another process"},
		{unix(file), syscall.EACCES, "cannot make files in " + dir},
	} {
		got := listenHint(tt.addr, tt.errno)
		if !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("%s: %v: %q, want %q", tt.addr, tt.errno, got, tt.want)
		}
	}
}

// TestListenMode has the configuration say who may connect to a unix socket, and a change of
// that take a restart.
func TestListenMode(t *testing.T) {
	dir := t.TempDir()
	file, socket := filepath.Join(dir, "h2loop.toml"), filepath.Join(dir, "s")
	write := func(mode string) {
		t.Helper()
		text := "log.format = 'json'\n[[listeners]]\naddress = 'unix:s'\nmode = '" + mode + "'\n[[sites]]\nroot = '.'\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("0666")
	p := start(t, "--config", file)
	if info, err := os.Lstat(socket); err != nil || info.Mode() != os.ModeSocket|0o666 {
		t.Errorf("%v, %v", info, err)
	}
	write("0600")
	if l := p.reload("these changes take a restart"); strings.Join(l.Fields, " ") != "listeners" {
		t.Errorf("fields %q", l.Fields)
	}
}

// TestListenTaken names the option, the variable or the place in the file that says where to
// listen.
func TestListenTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	addr := taken.Addr().String()
	file := filepath.Join(t.TempDir(), "h2loop.toml")
	text := fmt.Sprintf("admin = '%s'\n[[listeners]]\naddress = '127.0.0.1:0'\n[[listeners]]\naddress = '%[1]s'\n", addr)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	refused := func(want string, args ...string) {
		t.Helper()
		_, stderr, status := runOnce(t, append(args, "--log-level", "error")...)
		if want = "h2loop: " + want + "cannot listen on " + addr + ": address already in use (another process"; status != 1 || !strings.HasPrefix(stderr, want) {
			t.Errorf("status %d, %q, want %q", status, stderr, want)
		}
	}
	refused("--admin: ", append([]string{"--admin", addr}, both...)...)
	refused("--listen: ", "--listen", "127.0.0.1:0", "--listen", addr)
	refused(file+":5:1: listeners[1].address: ", "--config", file, "--admin", "127.0.0.1:0")
	_, port, _ := net.SplitHostPort(addr)
	t.Setenv("H2LOOP_ADMIN", ":"+port)
	refused("H2LOOP_ADMIN: ", both...)
}
