package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/h2loop/h2loop/internal/leaktest"
)

// binary is the program under test.
var binary string

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "h2loop-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "h2loop")
	args := []string{"build", "-o", binary}
	if isRaceBuild() {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, ".")...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return leaktest.Run(m)
}

// isRaceBuild reports whether this test looks for data races; then so does the
// program, which exits with another status if it has found one.
func isRaceBuild() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// long is when a test that waits for something gives up.
const long = 3 * time.Minute

// runOnce runs the program until it ends.
func runOnce(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("h2loop %q: %v", args, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// A process is the program, serving.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	urls []string // as logged, in the order of the listeners
	cert string   // fingerprint, as logged
	log  chan logLine

	admin    string   // URL, as logged
	warnings []string // as logged, until what was waited for
	warned   bool     // that others may reach it
}

// A logLine is a line of the log, in JSON.
type logLine struct {
	Level     string   `json:"level"`
	Message   string   `json:"message"`
	URLs      []string `json:"urls"`
	SHA256    string   `json:"sha256"`
	Fields    []string `json:"fields"`
	Directory string   `json:"directory"`
	Admin     string   `json:"admin"`

	Connections int `json:"connections"`
}

// start runs the program until the test ends, and returns once it serves.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	return startCommand(t, exec.Command(binary, args...))
}

// startCommand is start with a command that runs the program.
func startCommand(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := launch(t, cmd)
	p.urls = p.waitFor("serving").URLs
	return p
}

// launch runs the program until the test ends, and does not wait until it serves.
func launch(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, log: make(chan logLine, 100)}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.log)
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			var l logLine
			if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
				t.Errorf("log line %q: %v", lines.Text(), err)
			}
			p.log <- l
		}
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		if p.cmd.ProcessState == nil { // not waited for
			p.wait()
		}
	})
	return p
}

// waitFor returns the next log line whose message begins so.
func (p *process) waitFor(message string) logLine {
	p.t.Helper()
	timeout := time.After(long)
	for {
		select {
		case l, ok := <-p.log:
			if !ok {
				p.t.Fatalf("the log ended before %q", message)
			}
			if l.Level == "warn" {
				p.warnings = append(p.warnings, l.Message)
			}
			if l.SHA256 != "" {
				p.cert = l.SHA256
			}
			if l.Admin != "" {
				p.admin = l.Admin
				p.warned = p.warned || strings.Contains(l.Message, "open to other hosts")
			}
			if strings.HasPrefix(l.Message, message) {
				return l
			}
		case <-timeout:
			p.t.Fatalf("in vain waited for %q in the log", message)
		}
	}
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// wait returns the exit status.
func (p *process) wait() int {
	p.t.Helper()
	timer := time.AfterFunc(long, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	for range p.log { // Wait must come after the last read
	}
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

// newClient speaks HTTP/2, in cleartext and over TLS, to any certificate if
// roots is nil.
func newClient(roots *x509.CertPool) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Client{
		Transport: &http.Transport{
			Protocols:       protocols,
			TLSClientConfig: &tls.Config{RootCAs: roots, InsecureSkipVerify: roots == nil},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       long,
	}
}

// unixClient speaks cleartext HTTP/2 on a unix socket.
func unixClient(path string) *http.Client {
	c := newClient(nil)
	c.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
	return c
}

// get returns a response, read to its end.
func get(t *testing.T, c *http.Client, url string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, body := do(t, c, req)
	if resp.ProtoMajor != 2 {
		t.Fatalf("GET %s: %s, want HTTP/2", url, resp.Proto)
	}
	return resp, body
}

// do makes a request, and returns the response, read to its end.
func do(t *testing.T, c *http.Client, req *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	return resp, string(body)
}
