package files

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/h2loop/h2loop/loop"
	"github.com/h2loop/h2loop/loop/looptest"
)

// A trap is a directory that is served, with what must not be: hidden files, and a
// directory beside it that links of all kinds lead to. Every octet that must not
// leave is in a file that says so.
type trap struct {
	dir  string
	root *os.Root
}

const secret = "SECRET"

func newTrap(t testing.TB) *trap {
	t.Helper()
	base := t.TempDir()
	dir := filepath.Join(base, "www")
	for name, text := range map[string]string{
		"outside/secret.txt": secret, "outside/index.html": secret, "secret.txt": secret, "www.txt": secret,
		"www/a.txt": "a", "www/index.html": "home", "www/sub/index.html": "sub", "www/sub/b.txt": "b", "www/sub/deep/c.txt": "c",
		"www/.env": secret, "www/.git/config": secret, "www/sub/.hidden": secret, "www/sub/.hid/x.txt": secret, "www/...": secret, "www/..x": secret,
		"www/odd name%2e.txt": "odd", "www/back\\slash": "odd", "www/ü": "odd", "www/%2e%2e": "odd", "www/a.txt.gz": "compressed",
		"www/sub/index.html~": "odd", "www/.well-known/security.txt": "contact", "www/.well-known/.env": secret, "www/sub/.well-known/x.txt": secret,
	} {
		name = filepath.Join(base, name)
		err := os.MkdirAll(filepath.Dir(name), 0o755)
		if err == nil {
			err = os.WriteFile(name, []byte(text), 0o600)
		}
		if err == nil {
			err = os.Chtimes(name, old, old)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{
		"out": "../outside", "out.txt": "../outside/secret.txt", "abs": filepath.Join(base, "outside"), "abs.txt": filepath.Join(base, "secret.txt"),
		"in": "sub", "in.txt": "sub/b.txt", "round": "sub/../sub/./b.txt", "over": "../www/a.txt", "self": "self", "up": "..", "twice": "up/outside",
		"sub/out": "../../outside", "sub/up": "..", "slash": "/", "sub/b.txt.gz": "../../secret.txt", "sub/deep/index.html": "../../../secret.txt",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return &trap{dir, root}
}

// answer says what a server of the directory has to answer to a path that the
// router has left as it is: the status, and the body if it is 200. It thinks of names
// as one does who decodes the path, splits it, and opens what it finds.
func (tr *trap) answer(rawPath string) (status int, body string) {
	for i, elem := range strings.Split(strings.TrimPrefix(rawPath, "/"), "/") {
		name, err := url.PathUnescape(elem)
		if err != nil {
			return 400, "" // or 404
		}
		if i == 0 && name == ".well-known" {
			continue
		}
		if strings.ContainsAny(name, "/\x00") || strings.HasPrefix(name, ".") {
			return 404, ""
		}
	}
	name, err := url.PathUnescape(strings.TrimPrefix(rawPath, "/"))
	if err != nil || strings.Contains(name, "//") || strings.HasPrefix(name, "/") {
		return 404, ""
	}
	isDir := name == "" || strings.HasSuffix(name, "/")
	if isDir {
		name = path.Join(name, "index.html")
	}
	f, err := tr.root.Open(name)
	if err != nil {
		return 404, ""
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return 404, ""
	case info.IsDir() && !isDir:
		return 301, ""
	case !info.Mode().IsRegular():
		return 404, ""
	}
	b, err := io.ReadAll(f)
	if err != nil {
		return 500, ""
	}
	return 200, string(b)
}

// A rawClient asks for paths as they are, over HTTP/1.1.
type rawClient struct {
	addr string
	conn net.Conn
	r    *bufio.Reader
}

func (c *rawClient) get(host, path string) (resp *http.Response, body string, err error) {
	if c.conn == nil {
		if c.conn, err = net.Dial("tcp", c.addr); err != nil {
			return nil, "", err
		}
		c.r = bufio.NewReader(c.conn)
	}
	_ = c.conn.SetDeadline(time.Now().Add(long))
	_, err = fmt.Fprintf(c.conn, "GET %s HTTP/1.1\r\nHost: %s\r\nAccept-Encoding: gzip\r\n\r\n", path, host)
	if err == nil {
		resp, err = http.ReadResponse(c.r, nil)
	}
	if err != nil {
		return nil, "", err
	}
	b, err := io.ReadAll(resp.Body)
	if resp.Close {
		_ = c.conn.Close()
		c.conn = nil
	}
	return resp, string(b), err
}

// FuzzPath asks for a path in every way in which files are served, and follows where
// it is led. Nothing secret may come, and what comes must be what os.Root finds.
func FuzzPath(f *testing.F) {
	for _, p := range []string{
		"/", "/a.txt", "/sub", "/sub/", "/sub/b.txt", "/sub/deep/", "/in/", "/in.txt", "/round/b.txt", "/over", "/self", "/out/secret.txt",
		"/out", "/out.txt", "/abs/secret.txt", "/abs.txt", "/up/secret.txt", "/twice/secret.txt", "/slash/etc/passwd", "/sub/up/a.txt", "/../secret.txt",
		"/%2e%2e/secret.txt", "/sub/..%2f..%2fsecret.txt", "/sub/%2e%2e%2f%2e%2e/secret.txt", "//secret.txt", "/..%5csecret.txt", "/.env", "/%2eenv",
		"/.git/config", "/sub/.hid/x.txt", "/sub//.hidden", "/...", "/..x", "/odd%20name%252e.txt", "/back\\slash", "/\xc3\xbc", "/%c3%bc", "/%252e%252e",
		"/a.txt/", "/a.txt/..", "/./a.txt", "/a.txt%00", "/a.txt%00/../../secret.txt", "/%", "/%zz", "/a%2", "/sub/%2e/b.txt", "/sub/../.env",
		"/%ff%fe", "/a.txt.gz", "/sub/b.txt.gz", "/sub/index.html~", "/sub/out/secret.txt", "/.well-known/security.txt", "/.well-known", "/.well-known//", "/.well-known/.env", "/sub/.well-known/x.txt", "/.well-known/../sub/.well-known/x.txt", "/%2Fetc/passwd", "/a.txt?x=/../../secret.txt", "/;/a.txt",
	} {
		f.Add(p)
	}
	tr := newTrap(f)
	kept, err := New(tr.dir, Options{CacheValid: time.Hour, eager: true})
	if err != nil {
		f.Fatal(err)
	}
	listed, err := New(tr.dir, Options{Cache: -1, List: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _, _ = kept.Close(), listed.Close() })
	nop := zerolog.Nop() // f must not be logged to from within a fuzz target
	ts := looptest.NewConfig(f, loop.Config{Logger: &nop}, func(srv *loop.Server) {
		srv.Handle("kept/{path...}", kept.Handler("path"))
		srv.Handle("whole/", kept.Handler(""))
		srv.Handle("listed/{path...}", listed.Handler("path"))
	})
	c := rawClient{addr: ts.Addr()}
	f.Cleanup(func() {
		if c.conn != nil {
			_ = c.conn.Close()
		}
	})
	f.Fuzz(func(t *testing.T, p string) {
		if len(p) > 4<<10 || !strings.HasPrefix(p, "/") || strings.ContainsFunc(p, func(r rune) bool { return r <= ' ' || r == '#' || r == 0x7f }) {
			t.Skip("no path of a request")
		}
		for _, host := range []string{"kept", "whole", "listed"} {
			at := p
			for range 5 {
				resp, body, err := c.get(host, at)
				if err != nil {
					t.Fatalf("%s of %s: %v", at, host, err)
				}
				if strings.Contains(body, secret) {
					t.Fatalf("%s of %s (from %s) gives away %q", at, host, p, body)
				}
				if to := resp.Header.Get("Location"); to != "" {
					if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.HasPrefix(to, "/\\") {
						t.Fatalf("%s of %s leads to %q", at, host, to)
					}
					at = to
					continue
				}
				tr.check(t, host, at, resp, body)
				break
			}
		}
	})
}

// check holds a response that is no redirect against what the directory has.
func (tr *trap) check(t *testing.T, host, at string, resp *http.Response, body string) {
	t.Helper()
	at, _, _ = strings.Cut(at, "?")
	status, want := tr.answer(at)
	switch {
	case resp.StatusCode == 200 && status == 200:
		if body != want && resp.Header.Get("Content-Encoding") == "" {
			t.Fatalf("%s of %s: %q, want %q", at, host, body, want)
		}
	case resp.StatusCode == 200 && host == "listed" && strings.HasSuffix(at, "/"):
		for _, name := range []string{"outside", "secret", ".env", ".git", ".hid", "out.txt", "abs", "self", "slash"} {
			if strings.Contains(body, `href="`+name) || strings.Contains(body, `href="./`+name) {
				t.Fatalf("%s lists %s:\n%s", at, name, body)
			}
		}
	case resp.StatusCode == 200, status == 200, resp.StatusCode >= 500:
		t.Fatalf("%s of %s: %d %q, want %d %q", at, host, resp.StatusCode, body, status, want)
	}
}
