package files

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestCacheNotices changes a file in each way that tells a version from another.
func TestCacheNotices(t *testing.T) {
	for name, change := range map[string]func(s *site){
		"size":  func(s *site) { s.write("a.txt", []byte("longer")) },
		"mtime": func(s *site) { s.write("a.txt", []byte("two")); s.touch("a.txt", old.Add(time.Nanosecond)) },
		"inode": func(s *site) {
			s.write("b.txt", []byte("two"))
			if err := os.Rename(filepath.Join(s.dir, "b.txt"), filepath.Join(s.dir, "a.txt")); err != nil {
				s.t.Fatal(err)
			}
		},
		"ctime": func(s *site) { s.write("a.txt", []byte("two")) },
		"gone": func(s *site) {
			if err := os.Remove(filepath.Join(s.dir, "a.txt")); err != nil {
				s.t.Fatal(err)
			}
		},
		"sibling": func(s *site) { s.write("a.txt.gz", []byte("zip")) },
	} {
		t.Run(name, func(t *testing.T) {
			const valid = 400 * time.Millisecond
			s := newSite(t, Options{CacheValid: valid, eager: true})
			s.write("a.txt", []byte("one"))
			s.get("/a.txt", "Accept-Encoding", "gzip")
			if r := s.get("/a.txt", "Accept-Encoding", "gzip"); r.body != "one" {
				t.Fatalf("before: %q", r.body)
			}
			time.Sleep(20 * time.Millisecond) // let the clock of the file system tick
			change(s)
			changed := time.Now()
			for {
				asked := time.Now()
				r := s.get("/a.txt", "Accept-Encoding", "gzip")
				if r.body != "one" {
					return
				}
				if asked.Sub(changed) > valid {
					t.Fatalf("%v after the change, the old version was served", asked.Sub(changed))
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
}

func (s *site) touch(name string, modified time.Time) {
	s.t.Helper()
	if err := os.Chtimes(filepath.Join(s.dir, name), modified, modified); err != nil {
		s.t.Fatal(err)
	}
}

// TestCacheServesWithoutDisk takes the disk away.
func TestCacheServesWithoutDisk(t *testing.T) {
	s := newSite(t, Options{CacheValid: time.Hour, eager: true, Workers: 1, Queue: 1})
	s.write("a.txt", []byte("text"))
	etag := s.get("/a.txt").Header.Get("ETag")
	g := make(gate)
	for range 2 {
		if err := s.files.jobs.Add(g); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		headers []string
		status  int
		body    string
	}{
		{nil, 200, "text"},
		{[]string{"Range", "bytes=1-2"}, 206, "ex"},
		{[]string{"Range", "bytes=9-"}, 416, "Range Not Satisfiable\n"},
		{[]string{"If-None-Match", etag}, 304, ""},
		{[]string{"If-Match", `"x"`}, 412, "Precondition Failed\n"},
	} {
		if r := s.get("/a.txt", tt.headers...); r.StatusCode != tt.status || r.body != tt.body {
			t.Errorf("%q: %d %q, want %d %q", tt.headers, r.StatusCode, r.body, tt.status, tt.body)
		}
	}
	if r := s.do(s.request("HEAD", "/a.txt")); r.StatusCode != 200 || r.ContentLength != 4 {
		t.Errorf("HEAD: %d, length %d", r.StatusCode, r.ContentLength)
	}
	close(g)
}

// TestNewFilesAreNotCached has a file that may change again without its stamp
// doing so.
func TestNewFilesAreNotCached(t *testing.T) {
	s := newSite(t, Options{CacheValid: time.Hour})
	s.write("a.txt", []byte("one"))
	for i := range 20 {
		want := fmt.Sprintf("%03d", i)
		s.write("a.txt", []byte(want))
		if r := s.get("/a.txt"); r.body != want {
			t.Fatalf("got %q, want %q", r.body, want)
		}
	}
}

// TestCacheIsBounded asks for more files than it has room for.
func TestCacheIsBounded(t *testing.T) {
	const limit = 200 << 10
	s := newSite(t, Options{Cache: limit, CacheValid: time.Hour, eager: true, Compress: true})
	for i := range 100 {
		s.write(fmt.Sprintf("%d.txt", i), text(10<<10))
	}
	s.write("large.txt", text(100<<10)) // more than its share
	for i := range 300 {
		if r := s.get(fmt.Sprintf("/%d.txt", i%100), "Accept-Encoding", []string{"", "gzip", "zstd"}[i%3]); r.StatusCode != 200 || r.decode(t) != string(text(10<<10)) {
			t.Fatalf("%d", r.StatusCode)
		}
		if r := s.get("/large.txt", "Accept-Encoding", "gzip"); len(r.body) != 100<<10 {
			t.Fatalf("%d, %d octets", r.StatusCode, len(r.body))
		}
		if held := s.files.cache.held.Load(); held > limit {
			t.Fatalf("%d octets are held, want %d at most", held, limit)
		}
	}
	if s.files.cache.held.Load() < limit/2 {
		t.Errorf("%d octets are held: the cache is hardly used", s.files.cache.held.Load())
	}
}

// TestCacheAndSlowReaders has clients that do not read hold on to what the cache
// would drop.
func TestCacheAndSlowReaders(t *testing.T) {
	const limit = 2 << 20
	s := newSite(t, Options{Cache: limit, CacheValid: time.Hour, eager: true})
	var bodies []io.ReadCloser
	var clients []*http.Client
	for i := range 40 {
		s.write(fmt.Sprintf("%d.txt", i), noise(200<<10))
		// A connection of its own: windows are shut sooner.
		c := newClient()
		clients = append(clients, c)
		for range 4 {
			resp, err := c.Do(s.request("GET", fmt.Sprintf("/%d.txt", i)))
			if err != nil {
				t.Fatal(err)
			}
			bodies = append(bodies, resp.Body)
		}
		if held := s.files.cache.held.Load(); held > limit {
			t.Fatalf("%d octets are held, want %d at most", held, limit)
		}
	}
	for i, b := range bodies {
		if got, err := io.ReadAll(b); err != nil || string(got) != string(noise(200<<10)) {
			t.Errorf("body %d: %d octets, %v", i, len(got), err)
		}
		b.Close()
	}
	for _, c := range clients {
		c.CloseIdleConnections()
	}
}

// TestCacheKeepsWhatIsUsed has one file asked for all the time, and others once.
func TestCacheKeepsWhatIsUsed(t *testing.T) {
	var c cache
	c.init(100 * resourceCost)
	hot := &resource{key: "hot"}
	c.add(hot)
	for i := range 1000 {
		c.add(&resource{key: fmt.Sprint(i)})
		if c.get("hot") != hot {
			t.Fatalf("what is in use was dropped when %d came", i)
		}
	}
	if len(c.ring) != 100 {
		t.Errorf("%d are known, want 100", len(c.ring))
	}
}

func TestValidation(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "long.html"), make([]byte, smallFile+1), 0o644); err != nil {
		t.Fatal(err)
	}
	for field, opts := range map[string]Options{
		"Options.Compress":                {Compress: true, Cache: -1},
		"Options.CompressMin":             {CompressMin: 10, CompressMax: 9},
		"Options.CacheControl[1].Pattern": {CacheControl: []CacheRule{{"*", "no-cache"}, {"[", "no-cache"}}},
		"Options.CacheControl[0].Value":   {CacheControl: []CacheRule{{"*", "no\r\ncache"}}},
		"Options.Types":                   {Types: map[string]string{"txt": "text/plain"}},
		`Options.Types[".x"]`:             {Types: map[string]string{".x": "what?"}},
		"Options.NotFound":                {NotFound: "missing.html"},
		"Options.NotFound: long.html":     {NotFound: "long.html"},
		"Options.NotFound: ":              {NotFound: "../" + filepath.Base(dir) + "/long.html"},
	} {
		f, err := New(dir, opts)
		if err == nil {
			f.Close()
			t.Errorf("%s: no error", field)
		} else if !strings.Contains(err.Error(), field) {
			t.Errorf("%v, which does not name %s", err, field)
		}
	}
}

// TestOneLooksForAll has more requests for one file at once than the queue has
// places, when the file is not in the cache and when it was there for too long.
func TestOneLooksForAll(t *testing.T) {
	const valid = 50 * time.Millisecond
	s := newSite(t, Options{CacheValid: valid, eager: true, Workers: 1, Queue: 10})
	s.write("a.txt", []byte("text"))
	for range 3 {
		time.Sleep(valid)
		g := make(gate)
		if err := s.files.jobs.Add(g); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 150 {
			wg.Go(func() {
				if r := s.get("/a.txt"); r.StatusCode != 200 || r.body != "text" {
					t.Errorf("%d %q", r.StatusCode, r.body)
				}
			})
		}
		s.eventually("all but one wait for that one", func() bool {
			s.files.lookups.mu.Lock()
			defer s.files.lookups.mu.Unlock()
			return s.files.lookups.waiting == 149
		})
		close(g)
		wg.Wait()
	}
	// What is not there is not in the cache either: all have to look.
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if r := s.get("/missing"); r.StatusCode != 404 {
				t.Errorf("%d", r.StatusCode)
			}
		})
	}
	wg.Wait()
}
