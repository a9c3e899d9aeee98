package files

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

func TestListing(t *testing.T) {
	s := newSite(t, Options{List: true})
	s.write("docs/file10.txt", make([]byte, 10))
	s.write("docs/File2.txt", make([]byte, 3000))
	s.write("docs/file1.txt", make([]byte, 20))
	s.write("docs/sub/x", nil)
	s.write("docs/.hidden", nil)
	s.write("indexed/index.html", []byte("the index"))
	for link, target := range map[string]string{"docs/in": "../indexed", "docs/out": "/etc/passwd", "docs/dangling": "nowhere"} {
		if err := os.Symlink(target, filepath.Join(s.dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	s.touch("docs/file1.txt", old.Add(time.Hour))
	for _, tt := range []struct {
		path string
		want string
	}{
		{"/docs/", "../ ./in/ ./sub/ ./file1.txt ./File2.txt ./file10.txt"},
		{"/docs/?by=name&desc", "../ ./sub/ ./in/ ./file10.txt ./File2.txt ./file1.txt"},
		{"/docs/?by=size", "../ ./in/ ./sub/ ./file10.txt ./file1.txt ./File2.txt"},
		{"/all/docs/?by=time&desc", "../ ./sub/ ./in/ ./file1.txt ./file10.txt ./File2.txt"},
		{"/docs/?by=nonsense", "../ ./in/ ./sub/ ./file1.txt ./File2.txt ./file10.txt"},
		{"/", "./docs/ ./indexed/"},
		{"/docs/sub/", "../ ./x"},
	} {
		r := s.get(tt.path)
		if got := strings.Join(hrefs(t, r.body), " "); r.StatusCode != 200 || r.Header.Get("Content-Type") != "text/html; charset=utf-8" ||
			strings.Replace(got, "./sub/ ./in/", "./in/ ./sub/", 1) != strings.Replace(tt.want, "./sub/ ./in/", "./in/ ./sub/", 1) {
			t.Errorf("%s: %d %q, want %q", tt.path, r.StatusCode, got, tt.want)
		}
		if csp := r.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; style-src 'sha256-") {
			t.Errorf("%s: Content-Security-Policy %q", tt.path, csp)
		}
		etag := r.Header.Get("ETag")
		if r := s.get(tt.path, "If-None-Match", etag); r.StatusCode != 304 || r.Header.Get("ETag") != etag {
			t.Errorf("%s, again: %d", tt.path, r.StatusCode)
		}
		if r := s.get(tt.path, "If-Match", `"other"`); r.StatusCode != 412 {
			t.Errorf("%s, If-Match: %d", tt.path, r.StatusCode)
		}
		if h := s.do(s.request("HEAD", tt.path)); h.ContentLength != int64(len(r.body)) {
			t.Errorf("HEAD %s: length %d, want %d", tt.path, h.ContentLength, len(r.body))
		}
	}
	for path, status := range map[string]int{"/indexed/": 200, "/docs": 301, "/missing/": 404, "/docs/out": 404, "/docs/file1.txt/": 404, "/docs/.hidden": 404} {
		if r := s.get(path); r.StatusCode != status || path == "/indexed/" && r.body != "the index" {
			t.Errorf("%s: %d, want %d", path, r.StatusCode, status)
		}
	}
}

// TestListingOfAnyName has names that want to be markup, or to lead elsewhere, and
// sees each link lead to its file.
func TestIndex(t *testing.T) {
	s := newSite(t, Options{Index: "home.htm", List: true})
	s.write("docs/home.htm", []byte("home"))
	s.write("old/index.html", []byte("the index"))
	if r := s.get("/docs/"); r.StatusCode != 200 || r.body != "home" {
		t.Errorf("%d %q, want the index", r.StatusCode, r.body)
	}
	if r := s.get("/old/"); !strings.Contains(r.body, "./index.html") {
		t.Errorf("%d %q, want a list", r.StatusCode, r.body)
	}
	for _, name := range []string{".hidden", ".well-known", "a/b", "..", "/", "a/", "a\x00"} {
		if f, err := New(s.dir, Options{Index: name}); err == nil || !strings.Contains(err.Error(), "Options.Index") {
			t.Errorf("%q is taken as an index: %v, %v", name, f, err)
		}
	}
}

func TestListingOfAnyName(t *testing.T) {
	s := newSite(t, Options{List: true})
	names := []string{
		"<script>alert(1)", `"><img src=x onerror=alert(1)>`, "a&amp;b", "javascript:alert(1)", "a:b", "100%", "%2e%2e",
		"q?x=1#y", "new\nline", "\x01control", "not utf-8 \xff\xfe", "\u202egnp.exe", "back\\slash", "'quotes'\"", "semi;colon", "ünïcödé", " leading space",
	}
	for _, n := range names {
		s.write("d/"+n, []byte(n))
	}
	r := s.get("/d/")
	links := hrefs(t, r.body)
	if len(links) != len(names)+1 {
		t.Errorf("%d links, want %d", len(links), len(names)+1)
	}
	var found []string
	for _, href := range links[1:] {
		if !strings.HasPrefix(href, "./") {
			t.Fatalf("the link %q may lead elsewhere", href)
		}
		found = append(found, s.get("/d/"+strings.TrimPrefix(href, "./")).body)
	}
	for _, n := range names {
		if !slices.Contains(found, n) {
			t.Errorf("no link leads to %q", n)
		}
	}
	if strings.Contains(r.body, "<img") || strings.Contains(r.body, "<script") {
		t.Error("a name has become markup")
	}
}

func TestListingIsBounded(t *testing.T) {
	s := newSite(t, Options{List: true})
	for i := range maxListed + 1 {
		if err := os.WriteFile(filepath.Join(s.dir, decimal(int64(i))), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if r := s.get("/"); len(hrefs(t, r.body)) != maxListed || !strings.Contains(r.body, "not listed") {
		t.Errorf("%d links", len(hrefs(t, r.body)))
	}
}

// hrefs returns the links of a list's rows.
func hrefs(t *testing.T, page string) (out []string) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range doc.Descendants() {
		if n.Data == "a" && n.Parent.Data == "td" {
			out = append(out, n.Attr[0].Val)
		}
	}
	return out
}

func TestSizeText(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1 << 20: "1.0 MiB", 150 << 20: "150 MiB", 1 << 62: "4.0 EiB"} {
		if got := sizeText(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestMissingPage(t *testing.T) {
	s := newSiteWith(t, Options{NotFound: ".404.html"}, func(s *site) { s.write(".404.html", []byte("<p>not here")) })
	s.write("a.txt", []byte("text"))
	for _, path := range []string{"/missing", "/missing/", "/.404.html", "/%2e%2e/x", "/a.txt/b"} {
		for _, method := range []string{"GET", "HEAD"} {
			r := s.do(s.request(method, path, "Range", "bytes=0-1", "If-None-Match", "*"))
			if r.StatusCode != 404 || r.Header.Get("Content-Type") != "text/html; charset=utf-8" || r.ContentLength != 11 || method == "GET" && r.body != "<p>not here" {
				t.Errorf("%s %s: %d %q %q", method, path, r.StatusCode, r.Header.Get("Content-Type"), r.body)
			}
		}
	}
	s.write(".404.html", []byte("<p>changed"))
	if r := s.get("/missing"); r.body != "<p>changed" {
		t.Errorf("after a change: %q", r.body)
	}
	if err := os.Remove(filepath.Join(s.dir, ".404.html")); err != nil {
		t.Fatal(err)
	}
	if r := s.get("/missing"); r.StatusCode != 404 || r.body != "<p>changed" {
		t.Errorf("without the file: %d %q", r.StatusCode, r.body)
	}
	if r := s.get("/a.txt"); r.body != "text" {
		t.Errorf("what is there: %d", r.StatusCode)
	}
}

func TestCacheControl(t *testing.T) {
	s := newSite(t, Options{CacheControl: []CacheRule{
		{"assets/*.map", "no-store"}, {"assets/", "max-age=31536000, immutable"}, {"*.html", "no-cache"}, {"/top.txt", "private"}, {"", "max-age=60"},
	}})
	for path, want := range map[string]string{
		"/assets/a.js": "max-age=31536000, immutable", "/assets/deep/b.html": "max-age=31536000, immutable", "/assets/a.map": "no-store",
		"/assets2/x": "max-age=60", "/": "no-cache", "/sub/": "no-cache", "/top.txt": "private", "/sub/top.txt": "max-age=60",
	} {
		name := path
		if strings.HasSuffix(path, "/") {
			name += "index.html"
		}
		s.write(name, []byte("x"))
		r := s.get(path)
		etag := r.Header.Get("ETag")
		for _, r := range []reply{r, s.get(path, "If-None-Match", etag), s.get(path, "Range", "bytes=0-0")} {
			if got := r.Header.Get("Cache-Control"); got != want {
				t.Errorf("%s: %d, Cache-Control %q, want %q", path, r.StatusCode, got, want)
			}
		}
	}
	if got := s.get("/missing").Header.Get("Cache-Control"); got != "" {
		t.Errorf("what is not there: Cache-Control %q", got)
	}
}
