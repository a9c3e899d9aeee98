package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// somebody is a user, and a group, that the system need not know.
const somebody = 54321

// openDir makes a directory that everybody may look into.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestUser has root become somebody, who serves with what root has opened, and has nothing
// more than somebody has.
func TestUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	in := install(t)
	in.dir = openDir(t)
	in.certificate("cert", "a.test")
	in.write("www/open.txt", "open")
	in.write("www/closed.txt", "closed")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Chmod(in.path("www/open.txt"), 0o644))
	must(os.Chmod(in.path("www"), 0o711)) // which root alone may list, and so open
	must(os.Mkdir(in.path("log"), 0o755))
	must(os.Chown(in.path("log"), somebody, somebody))
	args := in.configure(fmt.Sprintf(`
user = "%d"
group = "%[1]d"
access_log.file = "log/access.log"
admin = "unix:admin.sock"
[tls]
watch = "off"
[[sites]]
hosts = ["a.test"]
root = "www"
certificates = [{cert = "cert.crt", key = "cert.key"}]
`, somebody))
	p := start(t, args...)
	for _, part := range []string{"cannot read these files"} {
		if !slices.ContainsFunc(p.warnings, func(w string) bool { return strings.Contains(w, part) }) {
			t.Errorf("no warning that says %q: %q", part, p.warnings)
		}
	}

	checkThreads(t, p.cmd.Process.Pid)
	for _, name := range []string{"admin.sock", "log/access.log"} {
		checkOwner(t, in.path(name))
	}
	c := in.client(p, true)
	if body, resp := fetch(t, c, "https://a.test/open.txt"); resp.StatusCode != 200 || body != "200 open" {
		t.Errorf("status %d, %q", resp.StatusCode, body)
	}
	if body, resp := fetch(t, c, "https://a.test/closed.txt"); resp.StatusCode == 200 {
		t.Errorf("what only root may read is served: %q", body)
	}
	if text := askUnix(t, in.path("admin.sock"), "/metrics"); !strings.Contains(text, "process_open_fds ") || !strings.Contains(text, "h2loop_connections ") {
		t.Errorf("the admin listener says %q", text)
	}

	// Certificates that somebody may not read are not read, and the old ones hold.
	l := p.reload("not reloaded: ")
	if !strings.Contains(l.Message, "permission denied") || !strings.Contains(l.Message, `as user "54321"`) {
		t.Errorf("%q", l.Message)
	}
	c.CloseIdleConnections()
	fetch(t, c, "https://a.test/open.txt")
	in.certificate("cert", "a.test", "b.test")
	for _, name := range []string{"cert.crt", "cert.key", "h2loop.toml"} {
		must(os.Chown(in.path(name), somebody, somebody))
	}
	p.reload("reloaded")
	c.CloseIdleConnections()
	if _, resp := fetch(t, c, "https://a.test/open.txt"); !slices.Contains(resp.TLS.PeerCertificates[0].DNSNames, "b.test") {
		t.Errorf("the certificate is still that for %v", resp.TLS.PeerCertificates[0].DNSNames)
	}

	waitForLines(t, in.path("log/access.log"), 4) // which are written behind the responses
	must(os.Rename(in.path("log/access.log"), in.path("log/old.log")))
	p.signal(syscall.SIGUSR1)
	p.waitFor("access log reopened")
	checkOwner(t, in.path("log/access.log"))
	checkThreads(t, p.cmd.Process.Pid) // those that have been made since
	p.signal(syscall.SIGTERM)
	if status := p.wait(); status != 0 {
		t.Errorf("status %d", status)
	}
	old, err := os.ReadFile(in.path("log/old.log"))
	if n := bytes.Count(old, []byte("\n")); err != nil || n != 4 {
		t.Errorf("%d lines in the log, want 4; %v", n, err)
	}
}

// checkThreads sees each thread of a process be somebody, without privileges and without a
// way to some.
func checkThreads(t *testing.T, pid int) {
	t.Helper()
	names, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(names) < 2 {
		t.Fatalf("threads %q, %v", names, err)
	}
	for _, name := range names {
		status, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		who := strings.Repeat(fmt.Sprint("\t", somebody), 4)
		for _, want := range []string{
			"Uid:" + who, "Gid:" + who, fmt.Sprintf("Groups:\t%d ", somebody), "NoNewPrivs:\t1",
			"CapInh:\t0000000000000000", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "CapAmb:\t0000000000000000",
		} {
			if !strings.Contains(string(status), want+"\n") {
				t.Errorf("%s does not say %q:\n%s", name, want, status)
			}
		}
	}
	// It is not dumpable: what is its own belongs to root.
	info, err := os.Stat(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		t.Fatal(err)
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid != 0 {
		t.Errorf("the process is dumpable: its memory is open to user %d", uid)
	}
}

func checkOwner(t *testing.T, name string) {
	t.Helper()
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if s := info.Sys().(*syscall.Stat_t); s.Uid != somebody || s.Gid != somebody {
		t.Errorf("%s belongs to %d and group %d", name, s.Uid, s.Gid)
	}
}

// askUnix asks on a unix socket, as HTTP/1.1.
func askUnix(t *testing.T, socket, path string) string {
	t.Helper()
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr, Timeout: long}).Get("http://localhost" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestUserLog refuses a log that somebody could have root write elsewhere, and one that
// somebody cannot write.
func TestUserLog(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	dir := openDir(t)
	link, closed := filepath.Join(dir, "link"), filepath.Join(dir, "closed")
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), link); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(closed, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{link: "symbolic link", closed: "permission denied"} {
		_, stderr, status := runOnce(t, append(both, "--log-level", "error", "--user", fmt.Sprint(somebody), "--group", fmt.Sprint(somebody), "--access-log", file)...)
		if status != 1 || !strings.Contains(stderr, want) || !strings.Contains(stderr, file) {
			t.Errorf("status %d, %q does not say %q", status, stderr, want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "elsewhere")); err == nil {
		t.Error("root has made a file where the link points")
	}
}

// TestCheckRights has the check find what this user cannot do.
func TestCheckRights(t *testing.T) {
	dir := openDir(t)
	program := filepath.Join(dir, "h2loop")
	if err := os.Link(binary, program); err != nil {
		t.Fatal(err)
	}
	closed, log := filepath.Join(dir, "closed"), filepath.Join(dir, "log")
	if err := os.Mkdir(closed, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(log, nil, 0); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, append([]string{"check", "--user", "root", "--access-log", log, closed}, both...)...)
	cmd.Dir = "/"
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: somebody, Gid: somebody}}
	}
	out, err := cmd.CombinedOutput()
	for _, want := range []string{
		`--user: only root can become user "root"`, "--access-log: this user cannot write " + log, "DIR: this user may not read " + closed,
	} {
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%v: %q does not say %q", err, out, want)
		}
	}
}

// TestUserNeedsRoot refuses to serve as anybody else than who was asked for.
func TestUserNeedsRoot(t *testing.T) {
	program := filepath.Join(openDir(t), "h2loop")
	if err := os.Link(binary, program); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		user string
		may  bool
	}{{"root", false}, {fmt.Sprint(somebody), os.Geteuid() == 0}} {
		cmd := exec.Command(program, append(both, "--user", tt.user, "--group", fmt.Sprint(somebody))...)
		cmd.Dir = "/"
		if os.Geteuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: somebody, Gid: somebody}}
		}
		if tt.may {
			startCommand(t, cmd)
			continue
		}
		out, err := cmd.CombinedOutput()
		if want := fmt.Sprintf("only root can become user %q", tt.user); err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%v: %q does not say %q", err, out, want)
		}
	}
}
