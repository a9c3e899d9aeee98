package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestUncleanPaths asks for paths that http.ServeMux redirects to where they lead.
func TestUncleanPaths(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"index.html", "sub/index.html", "assets/a.css"} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(filepath.Base(name)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p := start(t, append([]string{dir}, both...)...)
	for _, http2 := range []bool{true, false} {
		c := newClient(nil)
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		t.Cleanup(c.CloseIdleConnections)
		if !http2 {
			c.Transport.(*http.Transport).Protocols = new(http.Protocols)
			c.Transport.(*http.Transport).Protocols.SetHTTP1(true)
		}
		for path, want := range map[string]string{
			"/":                       "200 index.html",
			"/assets/a.css":           "200 a.css",
			"//":                      "307 /",
			"/assets//a.css?x=y":      "307 /assets/a.css?x=y",
			"//sub":                   "307 /sub",
			"/a/../../etc/passwd":     "307 /etc/passwd",
			"/nonexistent//app.js":    "307 /nonexistent/app.js",
			"//evil.example/%2e%2e//": "307 /evil.example/%2e%2e/",
			`/\evil.example//`:        "307 /%5Cevil.example/",
			"/sub":                    "301 /sub/",
		} {
			for _, base := range p.urls {
				resp, body := getAsIs(t, c, strings.TrimSuffix(base, "/"), path)
				got := strconv.Itoa(resp.StatusCode) + " " + resp.Header.Get("Location")
				if resp.StatusCode == 200 {
					got += body
				}
				if got != want {
					t.Errorf("%s of %s, %s: %q, want %q", path, base, resp.Proto, got, want)
				}
			}
		}
	}
	// In absolute-form, no path is the root.
	nc, err := net.Dial("tcp", p.addr(1))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_, _ = io.WriteString(nc, "GET http://any.example HTTP/1.1\r\nHost: any.example\r\nConnection: close\r\n\r\n")
	if got, err := io.ReadAll(nc); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 200 ") || !strings.HasSuffix(string(got), "\r\n\r\nindex.html") {
		t.Errorf("absolute-form: %q, %v", got, err)
	}
}

// getAsIs asks for a path that the client is not to change.
func getAsIs(t *testing.T, c *http.Client, base, path string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.URL.Opaque = "//" + req.URL.Host + path
	return do(t, c, req)
}

// TestDirectoryFlags has a directory served with all that the flags can say of it.
func TestDirectoryFlags(t *testing.T) {
	dir := t.TempDir()
	before := time.Now().Add(-time.Hour)
	for name, body := range map[string]string{
		"a.css": strings.Repeat("body { margin: 0 }\n", 200), "b.txt": "text", ".404.html": "<p>nothing here", "assets/x.txt": "x",
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, before, before); err != nil {
			t.Fatal(err)
		}
	}
	p := start(t, append([]string{
		dir, "--list", "--compress", "--not-found", ".404.html",
		"--cache-control", "assets/: immutable", "--cache-control", "max-age=60",
	}, both...)...)
	time.Sleep(1100 * time.Millisecond) // what was touched just now is not compressed
	c := newClient(nil)
	for _, base := range p.urls {
		for _, tt := range []struct {
			path   string
			status int
			cache  string
			coding string
			body   string
		}{
			{"", 200, "", "", "a.css"},
			{"a.css", 200, "max-age=60", "zstd", ""},
			{"assets/x.txt", 200, "immutable", "", "x"},
			{"missing", 404, "", "", "<p>nothing here"},
			{".404.html", 404, "", "", "<p>nothing here"},
		} {
			resp, body := get(t, c, base+tt.path, "Accept-Encoding", "zstd")
			if resp.StatusCode != tt.status || resp.Header.Get("Cache-Control") != tt.cache ||
				resp.Header.Get("Content-Encoding") != tt.coding || !strings.Contains(body, tt.body) {
				t.Errorf("%s%s: %d, Cache-Control %q, coding %q, %q", base, tt.path, resp.StatusCode,
					resp.Header.Get("Cache-Control"), resp.Header.Get("Content-Encoding"), body)
			}
		}
	}
}
