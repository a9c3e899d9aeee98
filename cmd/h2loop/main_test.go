package main

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/h2loop/h2loop/cmd/h2loop/internal/config"
)

// both are listeners whose ports are free.
var both = []string{"--listen", "127.0.0.1:0", "--listen-cleartext", "127.0.0.1:0"}

func TestHelp(t *testing.T) {
	for _, arg := range []string{"--help", "-help", "-h"} {
		stdout, stderr, status := runOnce(t, arg)
		if status != 0 || stdout != usage || stderr != "" {
			t.Errorf("%s: status %d, stderr %q, or another text", arg, status, stderr)
		}
	}
	flags, _ := newFlags()
	flags.VisitAll(func(f *flag.Flag) {
		if !strings.Contains(usage, "\n  --"+f.Name+" ") {
			t.Errorf("the help does not tell of --%s", f.Name)
		}
	})
	for _, m := range regexp.MustCompile(`\n  --([a-z-]+) `).FindAllStringSubmatch(usage, -1) {
		if flags.Lookup(m[1]) == nil && m[1] != "help" {
			t.Errorf("the help tells of --%s, which there is not", m[1])
		}
	}
	for line := range strings.Lines(usage) {
		if len(line) > 81 {
			t.Errorf("the help has a line of %d columns: %q", len(line)-1, line)
		}
	}
}

func TestVersion(t *testing.T) {
	stdout, _, status := runOnce(t, "--version")
	if ok, _ := regexp.MatchString(`^h2loop \S+ \(commit \S+, go1\.\S+, linux/\S+\)\n$`, stdout); !ok || status != 0 {
		t.Errorf("status %d, %q", status, stdout)
	}
}

// TestErrors wants status 1 and one line that says what is wrong.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	cert, key := writeCertificate(t, dir)
	_, otherKey := writeCertificate(t, t.TempDir())
	garbage := filepath.Join(dir, "garbage")
	if err := os.WriteFile(garbage, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	missing := filepath.Join(dir, "missing")

	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"--lop", "1"}, []string{"unknown flag --lop", "--loops"}},
		{[]string{"--clear", "1"}, []string{"unknown flag --clear"}},
		{[]string{"--drain-timeout", "0s"}, []string{"--drain-timeout", "more than 0"}},
		{[]string{"--drain-timeout", "soon"}, []string{"--drain-timeout", "soon"}},
		{[]string{"--log-format", "xml"}, []string{"--log-format", "xml", "json"}},
		{[]string{"--nonsense"}, []string{"unknown flag --nonsense", "--help"}},
		{[]string{"public", "--nonsense"}, []string{"unknown flag --nonsense"}},
		{[]string{"--loops", "many"}, []string{"many", "--loops"}},
		{[]string{"--loops", "-1"}, []string{"--loops", "negative"}},
		{[]string{"--loops"}, []string{"--loops"}},
		{[]string{"--log-level", "loud"}, []string{"--log-level", "loud", "debug"}},
		{[]string{"--list"}, []string{"--list", "directory"}},
		{[]string{"--cache-control", "*.css: ", dir}, []string{"--cache-control", "no value"}},
		{append(both, "--cache-control", "[: no-cache", dir), []string{"--cache-control", "no pattern"}},
		{append(both, "--cache-control", "no\ncache", dir), []string{"--cache-control", "cannot be the value"}},
		{append(both, "--not-found", "missing.html", dir), []string{"--not-found", "missing.html", "no such file"}},
		{append(both, "--not-found", missing, dir), []string{"--not-found", missing}},
		{[]string{"one", "two"}, []string{"one two"}},
		{[]string{""}, []string{"directory"}},
		{[]string{"--listen", "", "--listen-cleartext", ""}, []string{"nowhere to serve"}},
		{[]string{"--user", "no-such-user"}, []string{"--user: ", `no user "no-such-user"`}},
		{[]string{"--user", "root", "--group", "no-such-group"}, []string{"--group: ", `no group "no-such-group"`}},
		{[]string{"--group", "root"}, []string{"--group: ", "needs a user"}},
		{[]string{"--user", "54321"}, []string{"--user: ", "needs a group"}},
		{[]string{"--cert", cert}, []string{"--cert needs --key"}},
		{[]string{"--key", key}, []string{"--key needs --cert"}},
		{[]string{"--cert", missing, "--key", key}, []string{"--cert", missing, "no such file"}},
		{[]string{"--cert", cert, "--key", missing}, []string{"--key", missing, "no such file"}},
		{[]string{"--cert", cert, "--key", dir}, []string{"--key", dir, "is a directory"}},
		{[]string{"--cert", cert, "--key", garbage}, []string{garbage, "failed to find"}},
		{[]string{"--cert", cert, "--key", otherKey}, []string{otherKey, "does not match"}},
		{[]string{"--redirect-https=99999"}, []string{`h2loop: invalid value "99999" for --redirect-https: `, "a port from 1 to 65535"}},
		{[]string{"--redirect-https", "8443"}, []string{"--redirect-https needs an equals sign before the port: --redirect-https=8443"}},
		{[]string{"-redirect-https", "8443", dir}, []string{"equals sign"}},
		{[]string{"--list=perhaps", dir}, []string{`invalid value "perhaps" for --list: it must be true or false`}},
		{[]string{"help"}, []string{`no directory "help": is it --help?`}},
		{[]string{"version"}, []string{`no directory "version": is it --version?`}},
		{append(both, "--admin", "garbage"), []string{`--admin: "garbage" is no address`}},
		{append(both, "--access-log", missing+"/log"), []string{"--access-log: " + missing + ": no such directory"}},
		{append(both, missing), []string{missing, "no such file"}},
		{append(both, garbage), []string{garbage, "not a directory"}},
		{[]string{"--listen", taken.Addr().String()}, []string{"cannot listen on " + taken.Addr().String(), "in use"}},
		{[]string{"--listen", "", "--listen-cleartext", taken.Addr().String()}, []string{taken.Addr().String(), "in use"}},
		{[]string{"--listen", "127.0.0.1:99999"}, []string{"99999"}},
		{[]string{"--listen", "", "--listen-cleartext", "unix:" + missing + "/socket"}, []string{"--listen-cleartext: " + missing, "no such directory"}},
	} {
		stdout, stderr, status := runOnce(t, tt.args...)
		if status != 1 || stdout != "" {
			t.Errorf("h2loop %q: status %d, stdout %q, want 1 and nothing", tt.args, status, stdout)
		}
		if strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "h2loop: ") {
			t.Errorf("h2loop %q: want one line, got %q", tt.args, stderr)
		}
		for _, want := range tt.want {
			if !strings.Contains(stderr, want) {
				t.Errorf("h2loop %q: %q does not say %q", tt.args, stderr, want)
			}
		}
	}
}

func TestFlags(t *testing.T) {
	opts, err := parseFlags([]string{"--listen", ":1", "dir", "--listen", "unix:/s", "--listen-cleartext=", "--loops=3", "--bench"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(opts.listen, []config.Address{":1", "unix:/s"}) || len(opts.cleartext) != 0 ||
		opts.dir != "dir" || opts.loops != 3 || !opts.bench {
		t.Errorf("%+v", opts)
	}
	opts, err = parseFlags([]string{"--", "--bench"}, nil)
	if err != nil || opts.dir != "--bench" || opts.bench {
		t.Errorf("behind --: %+v, %v", opts, err)
	}
	opts, err = parseFlags(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := opts.settings(nil)
	if err != nil || !slices.Equal(cfg.Listeners, []config.Listener{{Address: ":8443", TLS: true}, {Address: ":8080"}}) ||
		!cfg.IsDemo() || !cfg.IsForDevelopment() {
		t.Errorf("defaults: %+v, %v", cfg, err)
	}
}

// TestPrecedence has a file say everything, the environment some of it, and flags less.
func TestPrecedence(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"file", "variable", "flag"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "h2loop.toml")
	text := "loops = 1\ndrain_timeout = '1s'\nlog = {level = 'debug', format = 'json'}\nlimits.idle_timeout = '1m'\n" +
		"listeners = [{address = ':1', tls = true}, {address = ':2'}, {address = ':3'}]\n" +
		"[[sites]]\nhosts = ['a']\nroot = 'file'\n[[sites]]\nroot = 'file'\nlist = true\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	of := func(environ, args []string) *config.Config {
		t.Helper()
		opts, err := parseFlags(args, environ)
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := opts.settings(environ)
		if err != nil && !strings.Contains(err.Error(), "certificates") {
			t.Fatal(err)
		}
		return cfg
	}
	file = "--config=" + file
	cleartext := func(addrs ...config.Address) (l []config.Listener) {
		for _, a := range addrs {
			l = append(l, config.Listener{Address: a})
		}
		return l
	}
	onlyFile := of([]string{"H2LOOP_LISTEN=:4"}, []string{file, "--listen="}) // the flag, which is empty
	if !slices.Equal(onlyFile.Listeners, cleartext(":2", ":3")) || onlyFile.Loops != 1 || onlyFile.Log.Level != "debug" ||
		onlyFile.Sites[1].Root != filepath.Join(dir, "file") || !onlyFile.Sites[1].List {
		t.Errorf("the file: %+v", onlyFile)
	}
	environ := []string{
		"H2LOOP_LISTEN_CLEARTEXT=:5,unix:/6", "H2LOOP_LOOPS=2", "H2LOOP_DRAIN_TIMEOUT=2s", "H2LOOP_LOG_LEVEL=warn",
		"H2LOOP_LIMITS_IDLE_TIMEOUT=2m", "H2LOOP_DIR=" + filepath.Join(dir, "variable"), "H2LOOP_LIST=false",
		"H2LOOP_CACHE_CONTROL=*.css: public, max-age=1\nno-cache",
	}
	over := of(environ, []string{file, "--listen="})
	if !slices.Equal(over.Listeners, cleartext(":5", "unix:/6")) || over.Loops != 2 || over.DrainTimeout != config.Duration(2*time.Second) ||
		over.Log != (config.Log{Level: "warn", Format: "json"}) || over.Limits.IdleTimeout != config.Duration(2*time.Minute) ||
		over.Sites[0].Root != filepath.Join(dir, "file") || over.Sites[1].Root != filepath.Join(dir, "variable") || over.Sites[1].List ||
		!slices.Equal(over.Sites[1].Cache, []config.CacheRule{{Match: "*.css", Value: "public, max-age=1"}, {Value: "no-cache"}}) {
		t.Errorf("the environment: %+v", over)
	}
	both := of(environ, []string{
		file, "--listen=", "--listen-cleartext=:7", "--loops=3", "--drain-timeout=3s", "--log-level=error", "--log-format=text",
		filepath.Join(dir, "flag"), "--list", "--cache-control=no-store",
	})
	if !slices.Equal(both.Listeners, cleartext(":7")) || both.Loops != 3 || both.DrainTimeout != config.Duration(3*time.Second) ||
		both.Log != (config.Log{Level: "error", Format: "text"}) || both.Limits.IdleTimeout != config.Duration(2*time.Minute) ||
		both.Sites[1].Root != filepath.Join(dir, "flag") || !both.Sites[1].List ||
		!slices.Equal(both.Sites[1].Cache, []config.CacheRule{{Value: "no-store"}}) {
		t.Errorf("flags: %+v", both)
	}
	if _, err := parseFlags(nil, []string{"H2LOOP_LISTEN=8443"}); err == nil || !strings.HasPrefix(err.Error(), "H2LOOP_LISTEN is ") {
		t.Errorf("a bad variable: %v", err)
	}
}

// TestCheck has the command find what is wrong.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) string {
		t.Helper()
		name := filepath.Join(dir, "h2loop.toml")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for _, tt := range []struct {
		text   string
		status int
		want   []string // the beginnings of lines
	}{
		{"[[listeners]]\naddress = ':8080'\n[[sites]]\nroot = '.'\n", 0, []string{"good: listeners: 1, sites: 1"}},
		{"loop = 1\nloops = 'x'\n", 1, []string{":1:1: loop: there is no such field", ":2:9: loops: "}},
		{
			"[[listeners]]\naddress = ':8080'\n[[sites]]\nroot = 'missing'\n[[sites]]\nhosts = ['a', 'a']\nroot = '.'", 1,
			[]string{":6:15: sites[1].hosts[1]: ", ":4:1: sites[0].root: "},
		},
		{"[[sites]]\nroot = '.'\n", 1, []string{": no listener"}},
	} {
		name := write(tt.text)
		stdout, stderr, status := runOnce(t, "check", "--config", name)
		lines := strings.Split(strings.TrimSuffix(stdout+stderr, "\n"), "\n")
		if status != tt.status || len(lines) != len(tt.want) || (stderr == "") != (status == 0) {
			t.Errorf("%q: status %d\n%s%s", tt.text, status, stdout, stderr)
			continue
		}
		for i, want := range tt.want {
			if strings.HasPrefix(want, ":") {
				want = name + want
			}
			if !strings.HasPrefix(lines[i], want) {
				t.Errorf("%q: %q, want %q", tt.text, lines[i], want)
			}
		}
	}
	if _, stderr, status := runOnce(t, "check", "--config", filepath.Join(dir, "missing")); status != 1 || !strings.Contains(stderr, "no such file") {
		t.Errorf("%d %s", status, stderr)
	}
	if _, _, status := runOnce(t, "check", dir); status != 0 {
		t.Errorf("a directory alone: %d", status)
	}
}

func TestPage(t *testing.T) {
	p := start(t, both...)
	c := newClient(nil)
	for i, base := range p.urls {
		if want := []string{"https://127.0.0.1:", "http://127.0.0.1:"}[i]; !strings.HasPrefix(base, want) {
			t.Fatalf("address %d is %s, want %s", i, base, want)
		}
		resp, body := get(t, c, base)
		if resp.StatusCode != 200 || !strings.Contains(body, "<title>h2loop") {
			t.Errorf("%s: status %d, %d octets", base, resp.StatusCode, len(body))
		}
		for _, m := range regexp.MustCompile(`(?:src|href)="(/[^"]*)"`).FindAllStringSubmatch(body, -1) {
			if resp, _ := get(t, c, strings.TrimSuffix(base, "/")+m[1]); resp.StatusCode != 200 {
				t.Errorf("the page leads to %s, which is %d", m[1], resp.StatusCode)
			} else if kind := resp.Header.Get("Content-Type"); kind == "" {
				t.Errorf("%s has no content type", m[1])
			}
		}
		tag := resp.Header.Get("ETag")
		for known, want := range map[string]int{tag: 304, "W/" + tag: 304, `"other", ` + tag: 304, "*": 304, `"other"`: 200, "garbage": 200} {
			if resp, _ := get(t, c, base, "If-None-Match", known); resp.StatusCode != want {
				t.Errorf("%s, %s is known already: status %d, want %d", base, known, resp.StatusCode, want)
			}
		}
		if resp, _ := get(t, c, base+"missing"); resp.StatusCode != 404 {
			t.Errorf("%smissing: status %d, want 404", base, resp.StatusCode)
		}
		var info connection
		_, body = get(t, c, base+"connection")
		if err := json.Unmarshal([]byte(body), &info); err != nil {
			t.Fatalf("%sconnection: %v", base, err)
		}
		if info.Protocol != "HTTP/2.0" || info.Scheme+"://" != base[:strings.Index(base, "//")+2] || (info.TLS != nil) != (i == 0) {
			t.Errorf("%sconnection: %+v", base, info)
		}
		for _, r := range info.Routes {
			if resp, _ := get(t, c, strings.TrimSuffix(base, "/")+r.Path); resp.StatusCode != 200 {
				t.Errorf("route %s is told of, and is %d", r.Path, resp.StatusCode)
			}
		}
		if _, body := get(t, c, base+"headers?a=b", "X-Odd", "value"); !strings.Contains(body, "x-odd: value\n") ||
			!strings.Contains(body, ":path: /headers?a=b\n") {
			t.Errorf("%sheaders: %q", base, body)
		}
		if resp, _ := get(t, c, base+"bench/hello"); resp.StatusCode != 404 {
			t.Errorf("without --bench, /bench/hello is %d", resp.StatusCode)
		}
	}
}

func TestBench(t *testing.T) {
	p := start(t, append(both, "--bench", "--loops", "1")...)
	c := newClient(nil)
	for _, base := range p.urls {
		for path, want := range map[string]int{"hello": 13, "varied/x-1": 13, "1k": 1 << 10, "64k": 64 << 10, "10m": 10 << 20, "204": 0} {
			resp, body := get(t, c, base+"bench/"+path)
			status := 200
			if path == "204" {
				status = 204
			}
			if resp.StatusCode != status || len(body) != want {
				t.Errorf("/bench/%s: %d, %d octets, want %d, %d", path, resp.StatusCode, len(body), status, want)
			}
		}
		for _, n := range []int{0, 1, 100_000, 5_000_000} {
			resp, err := c.Post(base+"bench/upload", "application/octet-stream", io.LimitReader(rand.Reader, int64(n)))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || string(body) != strconv.Itoa(n) {
				t.Errorf("upload of %d octets: %q, %v", n, body, err)
			}
		}
	}
}

func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte("<p>mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	p := start(t, append([]string{dir, "--bench"}, both...)...)
	c := newClient(nil)
	for _, base := range p.urls {
		if resp, body := get(t, c, base); body != "<p>mine" || resp.Header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s: %d %q", base, resp.StatusCode, body)
		}
		if resp, _ := get(t, c, base+"connection"); resp.StatusCode != 404 {
			t.Errorf("%sconnection: %d, and there is no such file", base, resp.StatusCode)
		}
		if _, body := get(t, c, base+"bench/hello"); body != "Hello, World!" {
			t.Errorf("%sbench/hello: %q", base, body)
		}
		resp, err := c.Post(base, "text/plain", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 405 || resp.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("POST: %d, Allow %q", resp.StatusCode, resp.Header.Get("Allow"))
		}
	}
}

// TestUnixSocket also has a socket in the way that nobody listens on.
func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Skipf("no unix sockets here: %v", err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	p := start(t, "--listen", "", "--listen-cleartext", "unix:"+path)
	if resp, _ := get(t, unixClient(path), "http://localhost/hello"); resp.StatusCode != 200 {
		t.Errorf("status %d", resp.StatusCode)
	}
	if _, stderr, status := runOnce(t, "--listen", "", "--listen-cleartext", "unix:"+path); status != 1 || !strings.Contains(stderr, "in use") {
		t.Errorf("a second server on the same socket: status %d, %q", status, stderr)
	}
	p.signal(syscall.SIGTERM)
	if status := p.wait(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("the socket was left behind")
	}
}

// TestDevCertificate trusts the certificate made for development, and then has
// each of its names checked.
func TestDevCertificate(t *testing.T) {
	p := start(t, both...)
	resp, _ := get(t, newClient(nil), p.urls[0])
	leaf := resp.TLS.PeerCertificates[0]
	if resp.TLS.NegotiatedProtocol != "h2" {
		t.Errorf("ALPN chose %q", resp.TLS.NegotiatedProtocol)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	names := []string{"localhost", "127.0.0.1", "::1"}
	if host, err := os.Hostname(); err == nil && isHostname(host) {
		names = append(names, host)
	}
	for _, name := range names {
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Errorf("for %s: %v", name, err)
		}
	}
	if got := fmt.Sprintf("%X", sha256.Sum256(leaf.Raw)); got != strings.ReplaceAll(p.cert, ":", "") {
		t.Errorf("the fingerprint is %s, the log says %s", got, p.cert)
	}
	if resp, _ := get(t, newClient(roots), p.urls[0]); resp.StatusCode != 200 {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestOwnCertificate(t *testing.T) {
	cert, key := writeCertificate(t, t.TempDir())
	p := start(t, append(both, "--cert", cert, "--key", key)...)
	certPEM, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certPEM)
	if resp, _ := get(t, newClient(roots), p.urls[0]); resp.StatusCode != 200 {
		t.Errorf("status %d", resp.StatusCode)
	}
	if p.cert != "" {
		t.Error("a certificate was made though one was given")
	}
}

// TestDrain stops the server in the middle of a download.
func TestDrain(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		dir := t.TempDir()
		want := writeBigFile(t, dir)
		p := start(t, append(both, "--drain-timeout", "5m", dir)...)
		var bodies []io.ReadCloser
		for _, base := range p.urls {
			resp, err := newClient(nil).Get(base + "big")
			if err != nil {
				t.Fatal(err)
			}
			bodies = append(bodies, resp.Body)
		}
		p.signal(sig)
		p.waitFor("draining")
		for i, base := range p.urls {
			waitRefused(t, base)
			h := sha256.New()
			if _, err := io.Copy(h, bodies[i]); err != nil {
				t.Errorf("%v, %s: the download was cut off: %v", sig, base, err)
			}
			if [sha256.Size]byte(h.Sum(nil)) != want {
				t.Errorf("%v, %s: the download is not what the file is", sig, base)
			}
			bodies[i].Close()
		}
		if status := p.wait(); status != 0 {
			t.Errorf("%v: exit status %d, want 0", sig, status)
		}
	}
}

// TestSecondSignal does not wait for the download.
func TestSecondSignal(t *testing.T) {
	dir := t.TempDir()
	writeBigFile(t, dir)
	p := start(t, append(both, dir)...)
	resp, err := newClient(nil).Get(p.urls[1] + "big")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	p.signal(syscall.SIGTERM)
	p.waitFor("draining")
	p.signal(syscall.SIGTERM)
	if status := p.wait(); status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Error("the download ended in order")
	}
}

// testCurlHTTP1 uses curl over HTTP/1.1 in each of its ways.
func testCurlHTTP1(t *testing.T, curl string, p *process) {
	t.Helper()
	medium := filepath.Join(t.TempDir(), "medium")
	if err := os.WriteFile(medium, make([]byte, 2_000_000), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, base := range p.urls {
		for _, tt := range []struct {
			args []string
			want string
		}{
			{[]string{base + "hello"}, "Hello, World!\n1.1 200"},
			{[]string{"--http1.0", base + "hello"}, "Hello, World!\n1.1 200"}, // the version of the response
			{[]string{"-I", "-o", os.DevNull, base + "hello"}, "1.1 200"},
			{[]string{"--upload-file", medium, "-X", "POST", base + "bench/upload"}, "20000001.1 200"}, // Expect: 100-continue
			{[]string{"-H", "Expect:", "--data-binary", "@" + medium, base + "bench/upload"}, "20000001.1 200"},
			{[]string{"-H", "Transfer-Encoding: chunked", "--data-binary", "@" + medium, base + "bench/upload"}, "20000001.1 200"},
			{[]string{"-r", "0-4", base + "style.css", "-o", os.DevNull}, "1.1 200"}, // no ranges of the page
			{[]string{base + "nowhere", "-o", os.DevNull}, "1.1 404"},
			{[]string{"-X", "OPTIONS", "--request-target", "*", base, "-o", os.DevNull}, "1.1 200"},
		} {
			args := append([]string{"--http1.1", "-sSk", "--max-time", "60", "-w", "%{http_version} %{http_code}"}, tt.args...)
			if out, err := exec.Command(curl, args...).CombinedOutput(); err != nil || string(out) != tt.want {
				t.Errorf("curl %q: %v\n%s", args, err, out)
			}
		}
		args := []string{"--http1.1", "-sSk", "--max-time", "60", "--parallel", "--parallel-max", "50", base + "hello?[1-200]"}
		if out, err := exec.Command(curl, args...).CombinedOutput(); err != nil || strings.Count(string(out), "Hello, World!\n") != 200 {
			t.Errorf("curl %q: %v\n%.500s", args, err, out)
		}
	}
}

// TestRedirectHTTPS sends clients to the TLS port, of both versions of HTTP.
func TestRedirectHTTPS(t *testing.T) {
	p := start(t, append(both, "--redirect-https=8443")...)
	for _, http2 := range []bool{false, true} {
		c := newClient(nil)
		tr := c.Transport.(*http.Transport)
		tr.Protocols = new(http.Protocols)
		tr.Protocols.SetHTTP1(!http2)
		tr.Protocols.SetUnencryptedHTTP2(http2)
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		t.Cleanup(c.CloseIdleConnections)
		resp, err := c.Get(p.urls[1] + "hello?x=y")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if where := resp.Header.Get("Location"); resp.StatusCode != 301 || where != "https://127.0.0.1:8443/hello?x=y" {
			t.Errorf("%s: %d to %q", resp.Proto, resp.StatusCode, where)
		}
	}
}

func TestCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	features, err := exec.Command(curl, "--version").Output()
	if err != nil || !strings.Contains(string(features), "HTTP2") {
		t.Skip("this curl does not speak HTTP/2")
	}
	p := start(t, append(both, "--bench")...)
	for _, args := range [][]string{
		{"-k", p.urls[0] + "hello"},
		{"--http2-prior-knowledge", p.urls[1] + "hello"},
	} {
		args = append([]string{"-sS", "--max-time", "60", "-w", "%{http_version} %{http_code}"}, args...)
		if out, err := exec.Command(curl, args...).CombinedOutput(); err != nil || string(out) != "Hello, World!\n2 200" {
			t.Errorf("curl %q: %v\n%s", args, err, out)
		}
	}
	testCurlHTTP1(t, curl, p)
	big := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(big, make([]byte, 3_000_000), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(curl, "-sSk", "--max-time", "60", "--data-binary", "@"+big, p.urls[0]+"bench/upload").CombinedOutput()
	if err != nil || string(out) != "3000000" {
		t.Errorf("curl upload: %v\n%s", err, out)
	}
}

// writeCertificate writes a certificate and its key as PEM files.
func writeCertificate(t *testing.T, dir string) (certFile, keyFile string) {
	t.Helper()
	cert, err := newDevCertificate(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: cert.Certificate[0]},
		keyFile:  {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// writeBigFile writes a file that no window and no socket holds.
func writeBigFile(t *testing.T, dir string) [sha256.Size]byte {
	t.Helper()
	body := make([]byte, 64<<20)
	_, _ = rand.Read(body)
	if err := os.WriteFile(filepath.Join(dir, "big"), body, 0o600); err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(body)
}

// waitRefused waits until nobody listens there any more.
func waitRefused(t *testing.T, base string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, base, nil)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(long); ; time.Sleep(time.Millisecond) {
		c, err := net.Dial("tcp", req.URL.Host)
		if err != nil {
			return
		}
		c.Close()
		if time.Now().After(deadline) {
			t.Fatal("new connections are still taken")
		}
	}
}
