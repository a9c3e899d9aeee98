package files

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

func TestServesFiles(t *testing.T) { withAndWithoutCache(t, testServesFiles) }

func testServesFiles(t *testing.T, opts Options) {
	opts.Types = map[string]string{".odd": "application/x-odd", ".css": "text/x-css"}
	s := newSite(t, opts)
	s.write("index.html", []byte("<p>home"))
	s.write("a.txt", []byte("text"))
	s.write("empty.txt", nil)
	s.write("UPPER.JPG", []byte("jpeg"))
	s.write("noext", []byte("?"))
	s.write("x.odd", []byte("odd"))
	s.write("x.css", []byte("css"))
	s.write("docs/index.html", []byte("<p>docs"))
	s.write("docs/read me.md", []byte("# md"))
	s.write("bare/file.js", []byte("js"))
	s.write("whole/x.svg", []byte("svg"))
	s.write("100%.txt", []byte("percent"))
	s.write("grüße.txt", []byte("hello"))
	s.write("back\\slash.txt", []byte("odd name"))

	for _, tt := range []struct {
		path   string
		status int
		kind   string
		body   string
	}{
		{"/", 200, "text/html; charset=utf-8", "<p>home"},
		{"/?x=1", 200, "text/html; charset=utf-8", "<p>home"},
		{"/index.html", 200, "text/html; charset=utf-8", "<p>home"},
		{"/a.txt", 200, "text/plain; charset=utf-8", "text"},
		{"/a.txt?v=%2F..", 200, "text/plain; charset=utf-8", "text"},
		{"/%61.txt", 200, "text/plain; charset=utf-8", "text"},
		{"/empty.txt", 200, "text/plain; charset=utf-8", ""},
		{"/UPPER.JPG", 200, "image/jpeg", "jpeg"},
		{"/noext", 200, "application/octet-stream", "?"},
		{"/x.odd", 200, "application/x-odd", "odd"},
		{"/x.css", 200, "text/x-css", "css"},
		{"/docs/", 200, "text/html; charset=utf-8", "<p>docs"},
		{"/docs/read%20me.md", 200, "text/markdown; charset=utf-8", "# md"},
		{"/bare/file.js", 200, "text/javascript; charset=utf-8", "js"},
		{"/whole/x.svg", 200, "image/svg+xml", "svg"},
		{"/all/a.txt", 200, "text/plain; charset=utf-8", "text"},
		{"/all/", 200, "text/html; charset=utf-8", "<p>home"},
		{"/100%25.txt", 200, "text/plain; charset=utf-8", "percent"},
		{"/gr%C3%BC%C3%9Fe.txt", 200, "text/plain; charset=utf-8", "hello"},
		{"/back%5Cslash.txt", 200, "text/plain; charset=utf-8", "odd name"},
		{"/bare/", 404, "text/plain; charset=utf-8", "404 page not found\n"},
		{"/missing", 404, "text/plain; charset=utf-8", "404 page not found\n"},
		{"/missing/", 404, "text/plain; charset=utf-8", "404 page not found\n"},
		{"/a.txt/", 404, "text/plain; charset=utf-8", "404 page not found\n"},
		{"/a.txt/b", 404, "text/plain; charset=utf-8", "404 page not found\n"},
		{"/A.txt", 404, "text/plain; charset=utf-8", "404 page not found\n"},
		{"/" + strings.Repeat("n", 300), 404, "text/plain; charset=utf-8", "404 page not found\n"},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			r := s.do(s.request(method, tt.path))
			want := tt.body
			if method == "HEAD" {
				want = ""
			}
			if r.StatusCode != tt.status || r.Header.Get("Content-Type") != tt.kind || r.body != want {
				t.Errorf("%s %s:\ngot  %d %q %q\nwant %d %q %q", method, tt.path,
					r.StatusCode, r.Header.Get("Content-Type"), r.body, tt.status, tt.kind, want)
			}
			if r.ContentLength != int64(len(tt.body)) {
				t.Errorf("%s %s: content-length %d, want %d", method, tt.path, r.ContentLength, len(tt.body))
			}
			if tt.status != 200 {
				continue
			}
			for name, want := range map[string]string{
				"Last-Modified":          "Fri, 17 May 2024 12:30:15 GMT",
				"Accept-Ranges":          "bytes",
				"X-Content-Type-Options": "nosniff",
			} {
				if got := r.Header.Get(name); got != want {
					t.Errorf("%s %s: %s is %q, want %q", method, tt.path, name, got, want)
				}
			}
			if etag := r.Header.Get("ETag"); !strings.HasPrefix(etag, `"`) || !strings.HasSuffix(etag, `"`) {
				t.Errorf("%s %s: ETag is %q, want a strong one", method, tt.path, etag)
			}
		}
	}
}

// TestDepth serves what is as deep as may be, and nothing below it.
func TestDepth(t *testing.T) {
	s := newSite(t, Options{})
	deepest := strings.Repeat("d/", maxDepth)
	s.write(deepest+"file", []byte("deep"))
	s.write(deepest+"d/file", []byte("too deep"))
	for path, want := range map[string]int{"/" + deepest + "file": 200, "/" + deepest + "d/file": 404} {
		if r := s.do(s.request("GET", path)); r.StatusCode != want {
			t.Errorf("%d directories: %d, want %d", strings.Count(path, "/")-1, r.StatusCode, want)
		}
	}
}

func TestDirectoryRedirect(t *testing.T) {
	s := newSite(t, Options{})
	s.write("docs/index.html", []byte("<p>docs"))
	s.write("bare/x", nil)
	s.write("grüße/x", nil)
	s.write("evil.example/x", nil)
	for _, tt := range []struct{ path, want string }{
		{"/docs", "/docs/"},
		{"/docs?a=b&c", "/docs/?a=b&c"},
		{"/%64ocs", "/%64ocs/"},
		{"/bare", "/bare/"},
		{"/all/docs", "/all/docs/"},
		{"/gr%C3%BC%C3%9Fe", "/gr%C3%BC%C3%9Fe/"},
	} {
		r := s.get(tt.path)
		if got := r.Header.Get("Location"); r.StatusCode != 301 || got != tt.want {
			t.Errorf("GET %s: %d to %q, want 301 to %q", tt.path, r.StatusCode, got, tt.want)
		}
	}
	if got := s.locationPath(s.get("//evil.example")); got != "/evil.example" {
		t.Errorf("//evil.example leads to %q", got)
	}
	for path, want := range map[string]string{
		"//evil.example":    "/evil.example/",
		"/\\evil.example":   "/evil.example/",
		"/a\\b":             "/a%5Cb/",
		"/gr\xc3\xbc\xc3ae": "/gr%C3%BC%C3ae/",
	} {
		if got := slashed(path, ""); got != want {
			t.Errorf("slashed(%q) = %q, want %q", path, got, want)
		}
	}
}

func TestMethods(t *testing.T) {
	s := newSite(t, Options{})
	s.write("a.txt", []byte("text"))
	for _, path := range []string{"/a.txt", "/all/a.txt", "/all/missing"} {
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "ODD"} {
			r := s.do(s.request(method, path))
			if r.StatusCode != 405 || r.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d, Allow %q, want 405, Allow %q", method, path, r.StatusCode, r.Header.Get("Allow"), "GET, HEAD")
			}
		}
	}
}

// TestNoEscape has a secret beside the directory and asks for it in every way.
func TestNoEscape(t *testing.T) {
	s := newSite(t, Options{})
	const secret = "secret outside"
	outside := filepath.Dir(s.dir)
	if err := os.WriteFile(filepath.Join(outside, "secret.txt"), []byte(secret), 0o644); err != nil {
		t.Fatal(err)
	}
	s.write("in/a.txt", []byte("inside"))
	s.write(".hidden", []byte(secret))
	s.write(".git/config", []byte(secret))
	s.write("in/.env", []byte(secret))

	for _, path := range []string{
		"/../secret.txt",
		"/in/../../secret.txt",
		"/%2e%2e/secret.txt",
		"/%2E%2E/secret.txt",
		"/.%2e/secret.txt",
		"/..%2fsecret.txt",
		"/..%2Fsecret.txt",
		"/%2e%2e%2fsecret.txt",
		"/in/%2e%2e/%2e%2e/secret.txt",
		"/in/..%2f..%2fsecret.txt",
		"/in%2f..%2f..%2fsecret.txt",
		"/in%2fa.txt",
		"/in%2Fa.txt",
		"/..%5csecret.txt",
		"/..\\secret.txt",
		"/%252e%252e/secret.txt",
		"/..%252fsecret.txt",
		"/%c0%ae%c0%ae/secret.txt",
		"/..;/secret.txt",
		"/.../secret.txt",
		"/in/./a.txt/../../../secret.txt",
		"/in/%2e/a.txt",
		"//secret.txt",
		"///etc/passwd",
		"/%2fetc%2fpasswd",
		"//etc/passwd",
		"/in//..//..//secret.txt",
		"/in/a.txt%00",
		"/in/a.txt%00.html",
		"/%00",
		"/in/a.txt%2f",
		"/.hidden",
		"/%2ehidden",
		"/.git/config",
		"/in/.env",
		"/in/%2Eenv",
		"/in/.",
		"/in/..",
		"/in/%2e%2e",
		"/in/%2e%2e/",
		"/" + filepath.Join(outside, "secret.txt"),
		"/%zz",
		"/%2",
		"/%",
	} {
		for _, prefix := range []string{"", "/all", "/whole"} {
			r := s.get(prefix + path)
			if strings.Contains(r.body, secret) || strings.Contains(r.body, "root:") {
				t.Fatalf("GET %s%s gives the secret away", prefix, path)
			}
			switch r.StatusCode {
			case 404, 400:
			case 301, 307:
				// To the same path, cleaned; where that leads, it must lead
				// to nothing either.
				to := s.locationPath(r)
				if next := s.get(to); strings.Contains(next.body, secret) {
					t.Fatalf("GET %s%s leads to %s, which gives the secret away", prefix, path, to)
				}
			default:
				t.Errorf("GET %s%s: status %d, want 404 or 400", prefix, path, r.StatusCode)
			}
		}
	}
	if r := s.get("/in/a.txt"); r.body != "inside" {
		t.Errorf("what is inside is not served: %d %q", r.StatusCode, r.body)
	}
}

// TestWellKnown serves the one directory whose name begins with a dot, and nothing hidden
// in it.
func TestWellKnown(t *testing.T) {
	s := newSite(t, Options{List: true})
	s.write(".well-known/acme-challenge/token", []byte("key"))
	for _, name := range []string{
		".well-known/.hidden", ".well-known/.git/config", ".well-known/.well-known/x", "sub/.well-known/x", ".well-known2/x", ".well-know/x",
	} {
		s.write(name, []byte("secret"))
	}
	for path, want := range map[string]int{
		"/.well-known/acme-challenge/token":                         200,
		"/%2ewell-known/acme-challenge/token":                       200,
		"/.well-known":                                              301,
		"/.well-known/":                                             200,
		"/.well-known/acme-challenge":                               301,
		"/.well-known/missing":                                      404,
		"/.well-known/.hidden":                                      404,
		"/.well-known/.git/config":                                  404,
		"/.well-known/.well-known/x":                                404,
		"/.well-known/acme-challenge/%2e%2e/x":                      404,
		"/.well-known/%2e%2e/sub/.well-known/x":                     404,
		"/.well-known%2facme-challenge%2ftoken":                     404,
		"/sub/.well-known/x":                                        404,
		"/.well-known2/x":                                           404,
		"/.well-know/x":                                             404,
		"/.Well-Known/acme-challenge/token":                         404,
		"/.well-known/acme-challenge/token/../../../.well-known2/x": 404,
	} {
		for _, prefix := range []string{"", "/all"} {
			r := s.get(prefix + path)
			if r.StatusCode == 307 { // to the same path, cleaned
				r = s.get(s.locationPath(r))
			}
			if r.StatusCode != want {
				t.Errorf("%s%s: %d, want %d", prefix, path, r.StatusCode, want)
			}
			if strings.Contains(r.body, "secret") || strings.Contains(r.body, "./.git") || strings.Contains(r.body, "./.hidden") {
				t.Errorf("%s%s gives away %q", prefix, path, r.body)
			}
		}
	}
	for _, path := range []string{"/", "/sub/"} {
		if r := s.get(path); r.StatusCode != 200 || strings.Contains(r.body, "well-known") {
			t.Errorf("%s: %d, lists\n%s", path, r.StatusCode, r.body)
		}
	}
}

func TestSymlinks(t *testing.T) {
	s := newSite(t, Options{})
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret.txt"), []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.write("real/a.txt", []byte("inside"))
	for link, target := range map[string]string{
		"in.txt":       "real/a.txt",
		"indir":        "real",
		"real/up.txt":  "../real/a.txt",
		"chain":        "in.txt",
		"out.txt":      filepath.Join(outside, "secret.txt"),
		"outdir":       outside,
		"rel-out.txt":  "../" + filepath.Base(outside) + "/secret.txt",
		"real/out.txt": "../../secret.txt",
		"absolute-in":  filepath.Join(s.dir, "real/a.txt"),
		"dangling":     "nowhere",
		"loop":         "loop",
		"proc":         "/proc/self/environ",
	} {
		if err := os.Symlink(target, filepath.Join(s.dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		path   string
		status int
	}{
		{"/in.txt", 200},
		{"/indir/a.txt", 200},
		{"/real/up.txt", 200},
		{"/chain", 200},
		{"/indir", 301},
		{"/out.txt", 404},
		{"/outdir", 404},
		{"/outdir/", 404},
		{"/outdir/secret.txt", 404},
		{"/rel-out.txt", 404},
		{"/real/out.txt", 404},
		{"/absolute-in", 404},
		{"/dangling", 404},
		{"/loop", 404},
		{"/proc", 404},
	} {
		r := s.get(tt.path)
		if r.StatusCode != tt.status {
			t.Errorf("GET %s: status %d, want %d", tt.path, r.StatusCode, tt.status)
		}
		if tt.status == 200 && r.body != "inside" {
			t.Errorf("GET %s: body %q", tt.path, r.body)
		}
	}
}

// TestNotRegular would never end if a FIFO were opened as a file is.
func TestNotRegular(t *testing.T) {
	s := newSite(t, Options{})
	if err := syscall.Mkfifo(filepath.Join(s.dir, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("unix", filepath.Join(s.dir, "socket"))
	if err != nil {
		t.Skipf("no unix socket in %s: %v", s.dir, err)
	}
	defer ln.Close()
	s.write("dir/index.html/x", nil)
	paths := []string{"/fifo", "/socket", "/dir/"}
	if syscall.Mknod(filepath.Join(s.dir, "device"), syscall.S_IFCHR|0o666, 1<<8|5) == nil {
		paths = append(paths, "/device") // needs root
	}
	for _, path := range paths {
		if r := s.get(path); r.StatusCode != 404 && r.StatusCode != 403 {
			t.Errorf("GET %s: status %d, want 404", path, r.StatusCode)
		}
	}
}

func TestForbidden(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read everything")
	}
	s := newSite(t, Options{})
	s.write("a.txt", []byte("text"))
	if err := os.Chmod(filepath.Join(s.dir, "a.txt"), 0); err != nil {
		t.Fatal(err)
	}
	if r := s.get("/a.txt"); r.StatusCode != 403 {
		t.Errorf("status %d, want 403", r.StatusCode)
	}
}

func TestStatusOfErrors(t *testing.T) {
	nop := zerolog.Nop()
	asked := &fetch{files: &Files{opts: Options{Logger: &nop}}}
	for _, tt := range []struct {
		err  error
		want int
	}{
		{syscall.ENOENT, 404},
		{syscall.ENOTDIR, 404},
		{syscall.ELOOP, 404},
		{syscall.ENXIO, 404},
		{errNotFile, 404},
		{syscall.EACCES, 403},
		{syscall.EPERM, 403},
		{syscall.EMFILE, 503},
		{syscall.ENFILE, 503},
		{errTooMany, 503},
		{os.ErrClosed, 503},
		{syscall.ENAMETOOLONG, 404},
		{errors.New("path escapes from parent"), 404}, // as os.Root says it
		{syscall.EIO, 500},
		{syscall.EBADMSG, 500}, // a checksum is wrong
		{syscall.EUCLEAN, 500}, // the file system is damaged
		{syscall.ESTALE, 500},  // of a file system elsewhere
		{syscall.ETIMEDOUT, 500},
		{syscall.ENODEV, 500},
		{errUnsettled, 500},
	} {
		if got := asked.statusOf(&os.PathError{Op: "openat", Path: "x", Err: tt.err}); got != tt.want {
			t.Errorf("%v: status %d, want %d", tt.err, got, tt.want)
		}
	}
}

func TestConditional(t *testing.T) { withAndWithoutCache(t, testConditional) }

func testConditional(t *testing.T, opts Options) {
	s := newSite(t, opts)
	s.write("a.txt", []byte("0123456789"))
	etag := s.get("/a.txt").Header.Get("ETag")
	const (
		date   = "Fri, 17 May 2024 12:30:15 GMT"
		before = "Fri, 17 May 2024 12:30:14 GMT"
		after  = "Fri, 17 May 2024 12:30:16 GMT"
		other  = `"other"`
	)
	for _, tt := range []struct {
		headers []string
		status  int
	}{
		{[]string{"If-None-Match", etag}, 304},
		{[]string{"If-None-Match", "W/" + etag}, 304},
		{[]string{"If-None-Match", other + ", " + etag}, 304},
		{[]string{"If-None-Match", other + ",W/" + other + "," + etag + ",x"}, 304},
		{[]string{"If-None-Match", other, "If-None-Match", etag}, 304},
		{[]string{"If-None-Match", "*"}, 304},
		{[]string{"If-None-Match", other}, 200},
		{[]string{"If-None-Match", "garbage " + etag}, 200},
		{[]string{"If-None-Match", `"unclosed`}, 200},
		{[]string{"If-Modified-Since", date}, 304},
		{[]string{"If-Modified-Since", after}, 304},
		{[]string{"If-Modified-Since", before}, 200},
		{[]string{"If-Modified-Since", "Friday, 17-May-24 12:30:15 GMT"}, 304},
		{[]string{"If-Modified-Since", "Fri May 17 12:30:15 2024"}, 304},
		{[]string{"If-Modified-Since", "yesterday"}, 200},
		// If-None-Match has precedence, both ways.
		{[]string{"If-None-Match", other, "If-Modified-Since", date}, 200},
		{[]string{"If-None-Match", etag, "If-Modified-Since", before}, 304},
		{[]string{"If-Match", etag}, 200},
		{[]string{"If-Match", "*"}, 200},
		{[]string{"If-Match", other}, 412},
		{[]string{"If-Match", "W/" + etag}, 412},
		{[]string{"If-Unmodified-Since", date}, 200},
		{[]string{"If-Unmodified-Since", after}, 200},
		{[]string{"If-Unmodified-Since", before}, 412},
		{[]string{"If-Unmodified-Since", "yesterday"}, 200},
		{[]string{"If-Match", etag, "If-Unmodified-Since", before}, 200},
		{[]string{"If-Match", other, "If-None-Match", etag}, 412},
		// The conditions come before the range.
		{[]string{"If-None-Match", etag, "Range", "bytes=0-1"}, 304},
		{[]string{"If-None-Match", other, "Range", "bytes=0-1"}, 206},
		{[]string{"If-Range", etag, "Range", "bytes=0-1"}, 206},
		{[]string{"If-Range", "W/" + etag, "Range", "bytes=0-1"}, 200},
		{[]string{"If-Range", other, "Range", "bytes=0-1"}, 200},
		{[]string{"If-Range", other, "Range", "bytes=99-"}, 200},
		{[]string{"If-Range", etag, "Range", "bytes=99-"}, 416},
		{[]string{"If-Range", date, "Range", "bytes=0-1"}, 206},
		{[]string{"If-Range", before, "Range", "bytes=0-1"}, 200},
		{[]string{"If-Range", after, "Range", "bytes=0-1"}, 200},
		{[]string{"If-Range", "garbage", "Range", "bytes=0-1"}, 200},
		{[]string{"If-Range", etag}, 200},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			want := tt.status
			if method == "HEAD" && (want == 206 || want == 416) {
				want = 200
			}
			r := s.do(s.request(method, "/a.txt", tt.headers...))
			if r.StatusCode != want {
				t.Errorf("%s %q: status %d, want %d", method, tt.headers, r.StatusCode, want)
			}
			switch {
			case want == 304 && (r.body != "" || r.Header.Get("ETag") != etag || r.Header.Get("Last-Modified") != date):
				t.Errorf("%s %q: 304 with body %q, ETag %q, Last-Modified %q",
					method, tt.headers, r.body, r.Header.Get("ETag"), r.Header.Get("Last-Modified"))
			case want == 200 && method == "GET" && r.body != "0123456789":
				t.Errorf("%s %q: body %q", method, tt.headers, r.body)
			}
		}
	}
}

func TestETagFollowsContents(t *testing.T) {
	s := newSite(t, Options{})
	s.write("a.txt", []byte("one"))
	first := s.get("/a.txt").Header.Get("ETag")
	s.write("a.txt", []byte("three"))
	if got := s.get("/a.txt").Header.Get("ETag"); got == first {
		t.Errorf("the ETag of another length is the same: %s", got)
	}
	s.write("a.txt", []byte("two"))
	if err := os.Chtimes(filepath.Join(s.dir, "a.txt"), old, old.Add(time.Nanosecond)); err != nil {
		t.Fatal(err)
	}
	if got := s.get("/a.txt").Header.Get("ETag"); got == first {
		t.Errorf("the ETag of another time is the same: %s", got)
	}
}

// TestFreshFile has a file of the future, which may change again without its
// validators doing so, and whose date must not be told.
func TestFreshFile(t *testing.T) {
	s := newSite(t, Options{})
	s.write("a.txt", []byte("0123456789"))
	soon := time.Now().Add(time.Hour)
	if err := os.Chtimes(filepath.Join(s.dir, "a.txt"), soon, soon); err != nil {
		t.Fatal(err)
	}
	r := s.get("/a.txt")
	etag := r.Header.Get("ETag")
	if !strings.HasPrefix(etag, `W/"`) {
		t.Errorf("ETag is %s, want a weak one", etag)
	}
	if told, err := time.Parse(time.RFC1123, r.Header.Get("Last-Modified")); err != nil || told.After(time.Now()) {
		t.Errorf("Last-Modified is %q, which is to come", r.Header.Get("Last-Modified"))
	}
	if r := s.get("/a.txt", "If-None-Match", etag); r.StatusCode != 304 {
		t.Errorf("If-None-Match: status %d, want 304", r.StatusCode)
	}
	if r := s.get("/a.txt", "Range", "bytes=0-1", "If-Range", etag); r.StatusCode != 200 {
		t.Errorf("If-Range with a weak tag: status %d, want 200", r.StatusCode)
	}
}

func TestRange(t *testing.T) { withAndWithoutCache(t, testRange) }

func testRange(t *testing.T, opts Options) {
	s := newSite(t, opts)
	const body = "0123456789"
	s.write("a.txt", []byte(body))
	s.write("empty.txt", nil)
	for _, tt := range []struct {
		field  string
		status int
		want   string // body, or Content-Range of a 416
		span   string
	}{
		{"bytes=0-0", 206, "0", "bytes 0-0/10"},
		{"bytes=0-4", 206, "01234", "bytes 0-4/10"},
		{"bytes=5-", 206, "56789", "bytes 5-9/10"},
		{"bytes=9-", 206, "9", "bytes 9-9/10"},
		{"bytes=0-", 206, body, "bytes 0-9/10"},
		{"bytes=0-99", 206, body, "bytes 0-9/10"},
		{"bytes=-3", 206, "789", "bytes 7-9/10"},
		{"bytes=-99", 206, body, "bytes 0-9/10"},
		{"bytes=3-99999999999999999999999999", 206, "3456789", "bytes 3-9/10"},
		{"bytes=-99999999999999999999999999", 206, body, "bytes 0-9/10"},
		{"Bytes=0-0", 206, "0", "bytes 0-0/10"},
		{"bytes= 0-0 ,", 206, "0", "bytes 0-0/10"},
		{"bytes=,2-3,", 206, "23", "bytes 2-3/10"},
		{"bytes=10-", 416, "", "bytes */10"},
		{"bytes=10-20", 416, "", "bytes */10"},
		{"bytes=99999999999999999999999999-", 416, "", "bytes */10"},
		{"bytes=-0", 416, "", "bytes */10"},
		// Parts would be longer than what is between these.
		{"bytes=0-1,3-4", 206, "01234", "bytes 0-4/10"},
		{"bytes=0-0,-1", 206, body, "bytes 0-9/10"},
		{"bytes=0-0,10-,99-", 206, "0", "bytes 0-0/10"},
		{"bytes=10-,99-", 416, "", "bytes */10"},
		{"bytes=0-0,x", 200, body, ""},
		// Malformed, or of another unit: as if it were not there.
		{"bytes=5-2", 200, body, ""},
		{"bytes=", 200, body, ""},
		{"bytes=-", 200, body, ""},
		{"bytes=,", 200, body, ""},
		{"bytes", 200, body, ""},
		{"bytes=a-b", 200, body, ""},
		{"bytes=0x1-2", 200, body, ""},
		{"bytes=1-2-3", 200, body, ""},
		{"bytes=--1", 200, body, ""},
		{"bytes=+1-2", 200, body, ""},
		{"bytes=1 - 2", 200, body, ""},
		{"lines=0-1", 200, body, ""},
	} {
		r := s.get("/a.txt", "Range", tt.field)
		if r.StatusCode != tt.status || r.Header.Get("Content-Range") != tt.span {
			t.Errorf("%q: %d, Content-Range %q, want %d, %q", tt.field, r.StatusCode, r.Header.Get("Content-Range"), tt.status, tt.span)
		}
		if tt.status != 416 && r.body != tt.want {
			t.Errorf("%q: body %q, want %q", tt.field, r.body, tt.want)
		}
		if r := s.get("/empty.txt", "Range", tt.field); r.StatusCode != 200 || r.body != "" {
			t.Errorf("%q of an empty file: %d %q, want 200", tt.field, r.StatusCode, r.body)
		}
	}
}

// TestTypes sees that what the table says can be sent.
func TestTypes(t *testing.T) {
	if err := (&Options{Types: commonTypes}).validate(); err != nil {
		t.Error(err)
	}
}
