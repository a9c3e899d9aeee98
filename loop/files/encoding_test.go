package files

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

func TestChoose(t *testing.T) {
	all := func(made ...coding) *resource {
		r := new(resource)
		for c := range codings {
			r.reps[c] = &rep{coding: c}
		}
		for _, c := range made {
			r.reps[c].made = true
		}
		return r
	}
	const none = codings
	whole, mixed, bare := all(), all(zstandard), new(resource)
	bare.reps[identity] = &rep{}
	mixed.reps[brotli] = nil
	for _, tt := range []struct {
		field string
		want  [3]coding // of whole, of mixed, of bare
	}{
		{"", [3]coding{}},
		{"gzip", [3]coding{gzipped, gzipped, identity}},
		{"GZIP", [3]coding{gzipped, gzipped, identity}},
		{"x-gzip", [3]coding{gzipped, gzipped, identity}},
		{"gzip, deflate, br, zstd", [3]coding{brotli, gzipped, identity}},
		{"zstd", [3]coding{zstandard, zstandard, identity}},
		{"gzip;q=0.5, zstd;q=0.6", [3]coding{zstandard, zstandard, identity}},
		{"gzip;q=1.0,br;q=0.999", [3]coding{gzipped, gzipped, identity}},
		{"br;q=0", [3]coding{}},
		{"br;q=0.000, gzip;q=0.001", [3]coding{gzipped, gzipped, identity}},
		{"gzip ; q=0.5 , br ; Q=0.1", [3]coding{gzipped, gzipped, identity}},
		{"identity", [3]coding{}},
		{"identity, gzip", [3]coding{gzipped, gzipped, identity}},
		{"identity;q=0.5, gzip;q=0.4", [3]coding{}},
		{"identity;q=0", [3]coding{none, none, none}},
		{"identity;q=0, gzip", [3]coding{gzipped, gzipped, none}},
		{"*;q=0", [3]coding{none, none, none}},
		{"*;q=0, identity", [3]coding{}},
		{"*;q=0, gzip", [3]coding{gzipped, gzipped, none}},
		{"*", [3]coding{}},
		{"gzip;q=0, *", [3]coding{}},
		{"identity;q=0, *", [3]coding{brotli, gzipped, none}},
		{"identity;q=0.5, *;q=1", [3]coding{brotli, gzipped, identity}},
		{"deflate, compress", [3]coding{}},
		// Malformed elements do not count.
		{"gzip;q=2", [3]coding{}},
		{"gzip;q=1.5", [3]coding{}},
		{"gzip;q=", [3]coding{}},
		{"gzip;q=0.1234", [3]coding{}},
		{"gzip;level=1", [3]coding{}},
		{"gzip;q=-1", [3]coding{}},
		{"gzip;q=x, br", [3]coding{brotli, identity, identity}},
		{",, gzip ,", [3]coding{gzipped, gzipped, identity}},
		{"gzip br", [3]coding{}},
		// The first holds.
		{"gzip;q=0, gzip", [3]coding{}},
	} {
		for i, r := range []*resource{whole, mixed, bare} {
			got := none
			if p := r.choose(tt.field, true); p != nil {
				got = p.coding
			}
			if got != tt.want[i] {
				t.Errorf("%q of resource %d: coding %d, want %d", tt.field, i, got, tt.want[i])
			}
		}
	}
	if p := mixed.choose("zstd", false); p.coding != identity {
		t.Errorf("nothing is to be made: coding %d", p.coding)
	}
}

func FuzzParseAcceptEncoding(f *testing.F) {
	for _, s := range []string{"gzip", "br;q=0.5, *;q=0", "identity;q=0", ";;,q=1", "gzip;q=1.000", "gzip;q=0.0001"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, field string) {
		p := parseAcceptEncoding(field)
		for c, q := range append(p.listed[:], p.others) {
			if q < unlisted || q > 1000 {
				t.Fatalf("weight %d of %d", q, c)
			}
		}
		excluded := p.listed[identity] == 0 || p.listed[identity] == unlisted && p.others == 0
		if (p.rank(identity, false) == 0) != excluded {
			t.Fatalf("identity is excluded: %v", excluded)
		}
		// Who is told of a coding twice thinks the same of it.
		if twice := parseAcceptEncoding(field + "," + field); twice != p {
			t.Fatalf("%v and %v", p, twice)
		}
	})
}

// decode returns what a response is a representation of.
func (r reply) decode(t *testing.T) string {
	t.Helper()
	var err error
	var body []byte
	switch r.Header.Get("Content-Encoding") {
	case "gzip":
		var z *gzip.Reader
		if z, err = gzip.NewReader(strings.NewReader(r.body)); err == nil {
			body, err = io.ReadAll(z)
		}
	case "zstd":
		var z *zstd.Decoder
		if z, err = zstd.NewReader(strings.NewReader(r.body), zstd.WithDecoderMaxWindow(8<<20)); err == nil {
			body, err = io.ReadAll(z)
			z.Close()
		}
	default:
		body = []byte(r.body)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestSiblings(t *testing.T) { withAndWithoutCache(t, testSiblings) }

func testSiblings(t *testing.T, opts Options) {
	s := newSite(t, opts)
	s.write("a.css", []byte("identity"))
	s.write("a.css.br", []byte("the brotli"))
	s.write("a.css.gz", []byte("the gzip!!!"))
	s.write("plain.css", []byte("nothing beside it"))
	s.write("stale.css", []byte("new"))
	s.write("stale.css.gz", []byte("older"))
	if err := os.Chtimes(filepath.Join(s.dir, "stale.css.gz"), old, old.Add(-2*time.Second)); err != nil {
		t.Fatal(err)
	}
	s.write("dir.css", []byte("a directory beside it"))
	s.write("dir.css.gz/x", nil)
	s.write("index.html", []byte("home"))
	s.write("index.html.gz", []byte("zipped home"))
	s.write("x.zst", []byte("zst"))
	s.write("x.zst.gz", []byte("of no use"))
	s.write("big.txt", bytes.Repeat([]byte("big"), 1<<20))
	s.write("big.txt.gz", bytes.Repeat([]byte("zip"), 1<<19))

	tags := map[string]string{}
	for _, tt := range []struct {
		path, accept string
		coding, body string
		vary         string
	}{
		{"/a.css", "", "", "identity", "accept-encoding"},
		{"/a.css", "br", "br", "the brotli", "accept-encoding"},
		{"/a.css", "gzip", "gzip", "the gzip!!!", "accept-encoding"},
		{"/a.css", "gzip, br", "br", "the brotli", "accept-encoding"},
		{"/a.css", "gzip, br;q=0.1", "gzip", "the gzip!!!", "accept-encoding"},
		{"/a.css", "zstd", "", "identity", "accept-encoding"},
		{"/a.css.br", "br", "", "the brotli", ""},
		{"/plain.css", "br, gzip", "", "nothing beside it", ""},
		{"/stale.css", "gzip", "", "new", ""},
		{"/dir.css", "gzip", "", "a directory beside it", ""},
		{"/", "gzip", "gzip", "zipped home", "accept-encoding"},
		{"/x.zst", "gzip", "", "zst", ""},
		{"/big.txt", "gzip", "gzip", strings.Repeat("zip", 1<<19), "accept-encoding"},
		{"/big.txt", "identity", "", strings.Repeat("big", 1<<20), "accept-encoding"},
	} {
		for _, method := range []string{"HEAD", "GET", "GET"} {
			r := s.do(s.request(method, tt.path, "Accept-Encoding", tt.accept))
			if r.StatusCode != 200 || r.Header.Get("Content-Encoding") != tt.coding || method == "GET" && r.body != tt.body ||
				r.ContentLength != int64(len(tt.body)) || r.Header.Get("Vary") != tt.vary || r.Header.Get("Accept-Ranges") != "bytes" {
				t.Errorf("%s %s, accept %q: %d, coding %q, %d octets, length %d, Vary %q", method, tt.path, tt.accept,
					r.StatusCode, r.Header.Get("Content-Encoding"), len(r.body), r.ContentLength, r.Header.Get("Vary"))
			}
			if got, want := r.Header.Get("Content-Type"), s.files.typeOf(strings.TrimSuffix(tt.path, "/")); tt.path != "/" && got != want {
				t.Errorf("%s: content type %q, want that of the file, %q", tt.path, got, want)
			}
			etag := r.Header.Get("ETag")
			for other, of := range tags {
				if (other == etag) != (of == tt.path+" "+tt.coding) && strings.HasPrefix(of, tt.path+" ") {
					t.Errorf("%s as %q has the ETag %s, as has %s", tt.path, tt.coding, etag, of)
				}
			}
			tags[etag] = tt.path + " " + tt.coding
			if n := s.get(tt.path, "Accept-Encoding", tt.accept, "If-None-Match", etag); n.StatusCode != 304 || n.Header.Get("Vary") != tt.vary || n.Header.Get("ETag") != etag {
				t.Errorf("%s, accept %q, again: %d, Vary %q, ETag %s", tt.path, tt.accept, n.StatusCode, n.Header.Get("Vary"), n.Header.Get("ETag"))
			}
		}
	}
	// Ranges are those of the representation that was chosen.
	for range 2 {
		r := s.get("/a.css", "Accept-Encoding", "br", "Range", "bytes=4-")
		if r.StatusCode != 206 || r.body != "brotli" || r.Header.Get("Content-Range") != "bytes 4-9/10" || r.Header.Get("Content-Encoding") != "br" {
			t.Errorf("range: %d %q, Content-Range %q", r.StatusCode, r.body, r.Header.Get("Content-Range"))
		}
		r = s.get("/big.txt", "Accept-Encoding", "gzip", "Range", "bytes=0-0,9999-9999")
		if r.StatusCode != 200 || len(r.body) != 3<<19 {
			t.Errorf("several ranges of what is compressed: %d, %d octets, want the whole", r.StatusCode, len(r.body))
		}
		r = s.get("/a.css", "Accept-Encoding", "identity;q=0, zstd")
		if r.StatusCode != 406 || r.Header.Get("Vary") != "accept-encoding" {
			t.Errorf("nothing is acceptable: %d, Vary %q", r.StatusCode, r.Header.Get("Vary"))
		}
	}
	// What the application says of Vary stays.
	for path, want := range map[string]string{"/varied/a.css": "origin, accept-encoding", "/varied/plain.css": "origin"} {
		for range 2 {
			r := s.get(path, "Accept-Encoding", "br")
			n := s.get(path, "Accept-Encoding", "br", "If-None-Match", r.Header.Get("ETag"))
			bad := s.get(path, "Accept-Encoding", "br", "Range", "bytes=999-")
			for status, r := range map[int]reply{200: r, 304: n, 416: bad} {
				if got := strings.Join(r.Header.Values("Vary"), ", "); r.StatusCode != status || got != want {
					t.Errorf("%s: %d, Vary %q, want %d, %q", path, r.StatusCode, got, status, want)
				}
			}
		}
	}
}

func TestIgnoreSiblings(t *testing.T) {
	s := newSite(t, Options{IgnoreSiblings: true})
	s.write("a.css", []byte("identity"))
	s.write("a.css.br", []byte("the brotli"))
	if r := s.get("/a.css", "Accept-Encoding", "br"); r.body != "identity" || r.Header.Get("Vary") != "" {
		t.Errorf("got %q, Vary %q", r.body, r.Header.Get("Vary"))
	}
}

// text is some that can be compressed.
func text(n int) []byte {
	b := bytes.Repeat([]byte("All work and no play makes Jack a dull boy.\n"), n/44+1)
	return b[:n]
}

func TestCompress(t *testing.T) {
	s := newSite(t, Options{Compress: true, eager: true, CacheValid: time.Hour, CompressMin: 1000, CompressMax: 2 << 20})
	for name, body := range map[string][]byte{
		"a.txt": text(5000), "large.json": text(1 << 20), "short.txt": text(999), "long.txt": text(2<<20 + 1),
		"noise.txt": noise(5000), "a.png": text(5000), "a.gz": text(5000), "both.css": text(5000), "both.css.gz": []byte("zip"),
	} {
		s.write(name, body)
	}
	for _, tt := range []struct{ path, accept, coding, vary string }{
		{"/a.txt", "gzip", "gzip", "accept-encoding"},
		{"/a.txt", "gzip, zstd, br", "zstd", "accept-encoding"},
		{"/a.txt", "br", "", "accept-encoding"},
		{"/a.txt", "", "", "accept-encoding"},
		{"/large.json", "gzip, zstd", "zstd", "accept-encoding"},
		{"/short.txt", "gzip", "", ""},
		{"/long.txt", "gzip", "", ""},
		{"/noise.txt", "gzip", "", "accept-encoding"},
		{"/a.png", "gzip", "", ""},
		{"/a.gz", "gzip", "", ""},
		{"/both.css", "gzip, zstd", "gzip", "accept-encoding"},
		{"/both.css", "zstd", "zstd", "accept-encoding"},
	} {
		want, err := os.ReadFile(filepath.Join(s.dir, tt.path))
		if err != nil {
			t.Fatal(err)
		}
		var length int64
		for i, method := range []string{"HEAD", "GET", "GET", "HEAD"} {
			r := s.do(s.request(method, tt.path, "Accept-Encoding", tt.accept))
			if r.StatusCode != 200 || r.Header.Get("Content-Encoding") != tt.coding || r.Header.Get("Vary") != tt.vary {
				t.Errorf("%s %s, accept %q: %d, coding %q, Vary %q", method, tt.path, tt.accept, r.StatusCode, r.Header.Get("Content-Encoding"), r.Header.Get("Vary"))
			}
			if i > 0 && r.ContentLength != length {
				t.Errorf("%s %s: content-length %d, and of HEAD %d", method, tt.path, r.ContentLength, length)
			}
			length = r.ContentLength
			etag := r.Header.Get("ETag")
			if isMade := tt.coding != "" && tt.path != "/both.css"; isMade {
				if r.Header.Get("Accept-Ranges") != "" || !strings.HasPrefix(etag, "W/") || !strings.Contains(etag, tt.coding) {
					t.Errorf("%s %s: Accept-Ranges %q, ETag %s", method, tt.path, r.Header.Get("Accept-Ranges"), etag)
				}
				if method == "GET" && r.decode(t) != string(want) {
					t.Errorf("GET %s, %s: not what is there", tt.path, tt.coding)
				}
			}
			if n := s.get(tt.path, "Accept-Encoding", tt.accept, "If-None-Match", etag); n.StatusCode != 304 || n.Header.Get("Vary") != tt.vary {
				t.Errorf("%s, accept %q, again: %d", tt.path, tt.accept, n.StatusCode)
			}
		}
	}
	// A range is one of the file.
	r := s.get("/a.txt", "Accept-Encoding", "gzip", "Range", "bytes=0-2")
	if r.StatusCode != 206 || r.body != "All" || r.Header.Get("Content-Encoding") != "" || strings.HasPrefix(r.Header.Get("ETag"), "W/") {
		t.Errorf("range: %d %q, ETag %s", r.StatusCode, r.body, r.Header.Get("ETag"))
	}
}

// holdCompressors has every compressor wait at the gate that it returns.
func (s *site) holdCompressors() gate {
	s.t.Helper()
	g := make(gate)
	for range s.files.compressors.workers {
		s.files.compressors.AddAnyway(g)
	}
	s.eventually("all are at the gate", func() bool { return s.files.compressors.Waiting() == 0 })
	return g
}

// TestCompressOnce has many ask for the same at once: one works, all are served.
func TestCompressOnce(t *testing.T) {
	s := newSite(t, Options{Compress: true, eager: true, CacheValid: time.Hour})
	body := text(1 << 20)
	s.write("a.txt", body)
	g := s.holdCompressors()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if r := s.get("/a.txt", "Accept-Encoding", "gzip"); r.Header.Get("Content-Encoding") != "gzip" || r.decode(t) != string(body) {
				t.Errorf("%d, coding %q", r.StatusCode, r.Header.Get("Content-Encoding"))
			}
		})
	}
	s.eventually("all wait", func() bool {
		r := s.files.cache.get("a.txt")
		if r == nil {
			return false
		}
		p := r.reps[gzipped]
		p.flight.mu.Lock()
		defer p.flight.mu.Unlock()
		return len(p.flight.waiting) == 50
	})
	if n := s.files.compressors.Waiting(); n != 1 {
		t.Errorf("%d are to be made, want 1", n)
	}
	close(g)
	wg.Wait()
}

// TestCompressBusy has no room for what is to be compressed: it is sent as it is.
func TestCompressBusy(t *testing.T) {
	s := newSite(t, Options{Compress: true, eager: true, CacheValid: time.Hour, Queue: 1})
	s.write("a.txt", text(5000))
	g := make(gate)
	for range s.files.compressors.workers + 1 {
		s.files.compressors.AddAnyway(g)
	}
	for range 2 {
		if r := s.get("/a.txt", "Accept-Encoding", "gzip"); r.StatusCode != 200 || r.Header.Get("Content-Encoding") != "" || len(r.body) != 5000 {
			t.Errorf("%d, coding %q, %d octets", r.StatusCode, r.Header.Get("Content-Encoding"), len(r.body))
		}
	}
	close(g)
	s.eventually("there is room", func() bool {
		return s.get("/a.txt", "Accept-Encoding", "gzip").Header.Get("Content-Encoding") == "gzip"
	})
}

// TestCompressChanged has the file change while it waits to be compressed.
func TestCompressChanged(t *testing.T) {
	s := newSite(t, Options{Compress: true, eager: true, CacheValid: time.Hour})
	s.write("a.txt", text(300<<10)) // too long to be in memory
	g := s.holdCompressors()
	got := make(chan reply)
	go func() { got <- s.get("/a.txt", "Accept-Encoding", "gzip") }()
	s.eventually("it waits", func() bool { return s.files.compressors.Waiting() == 1 })
	body := bytes.ToUpper(text(310 << 10))
	s.write("a.txt", body)
	close(g)
	if r := <-got; r.StatusCode != 200 || r.decode(t) != string(body) {
		t.Errorf("%d, %d octets, want what is there now", r.StatusCode, len(r.body))
	}
}
