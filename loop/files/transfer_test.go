package files

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// TestLengths sends files around every size at which something changes.
func TestLengths(t *testing.T) { hotAndCold(t, testLengths) }

func testLengths(t *testing.T, cold bool) {
	s := newSite(t, Options{noCache: cold})
	for _, n := range []int{
		1, 1 << 10, 4<<10 - 1, 4 << 10, 4<<10 + 1, 16 << 10, 64<<10 - 1, 64 << 10, 64<<10 + 1,
		smallFile - 1, smallFile, smallFile + 1, smallFile + firstChunk, 1 << 20, 1<<20 + 1, 3<<20 + 12345, 9 << 20,
	} {
		name := strconv.Itoa(n)
		body := noise(n)
		s.write(name, body)
		if r := s.get("/" + name); r.body != string(body) || r.ContentLength != int64(n) {
			t.Errorf("%d octets: got %d, content-length %d", n, len(r.body), r.ContentLength)
		}
		if r := s.do(s.request("HEAD", "/"+name)); r.ContentLength != int64(n) {
			t.Errorf("HEAD, %d octets: content-length %d", n, r.ContentLength)
		}
		from, to := n/3, n-1-n/7
		r := s.get("/"+name, "Range", fmt.Sprintf("bytes=%d-%d", from, to))
		if r.StatusCode != 206 || r.body != string(body[from:to+1]) {
			t.Errorf("%d octets, from %d to %d: %d, got %d", n, from, to, r.StatusCode, len(r.body))
		}
	}
}

// TestParallel has 200 downloads at once, on one connection and on several,
// with budgets that let chunks be large and that do not.
func TestParallel(t *testing.T) {
	for _, opts := range []Options{
		{Queue: 1000},
		{Queue: 1000, Workers: 1, MaxBuffered: 1},
		{Queue: 1000, MaxBuffered: 4 << 20},
	} {
		hotAndCold(t, func(t *testing.T, cold bool) {
			opts.noCache = cold
			s := newSite(t, opts)
			sizes := []int{100, 50_000, 200_000, 300_000, 2_000_003}
			sums := make([][sha256.Size]byte, len(sizes))
			for i, n := range sizes {
				body := noise(n)
				sums[i] = sha256.Sum256(body)
				s.write(strconv.Itoa(i), body)
			}
			clients := []*http.Client{s.client, newClient(), newClient(), newClient()}
			var wg sync.WaitGroup
			for n := range 200 {
				wg.Go(func() {
					i := n % len(sizes)
					resp, err := clients[n%len(clients)].Do(s.request("GET", "/"+strconv.Itoa(i)))
					if err != nil {
						t.Error(err)
						return
					}
					defer resp.Body.Close()
					sum, err := sumOf(resp.Body)
					if err != nil || resp.StatusCode != 200 || sum != sums[i] {
						t.Errorf("file of %d octets: status %d, error %v, or wrong sum", sizes[i], resp.StatusCode, err)
					}
				})
			}
			wg.Wait()
			for _, c := range clients {
				c.CloseIdleConnections()
			}
			s.wantNothingHeld()
		})
	}
}

// bigFile is far more than the client's window and our chunks hold, so that
// the end of it has not been read when the response has begun.
const bigFile = 64 << 20

func TestShrinkWhileSending(t *testing.T) { hotAndCold(t, testShrinkWhileSending) }

func testShrinkWhileSending(t *testing.T, cold bool) {
	s := newSite(t, Options{noCache: cold})
	for _, left := range []int64{bigFile / 2, 1 << 20, 0} {
		s.write("big", noise(bigFile))
		resp := s.begin(t.Context(), "/big")
		if err := os.Truncate(filepath.Join(s.dir, "big"), left); err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if n >= bigFile {
			t.Fatalf("all %d octets arrived, of a file that has %d", n, left)
		}
		// The type of the error is net/http's own; its text says what it is.
		if err == nil || !strings.Contains(err.Error(), "INTERNAL_ERROR") {
			t.Errorf("after %d octets: error %v, want INTERNAL_ERROR on the stream", n, err)
		}
		s.wantNothingHeld()
	}
}

// TestDiskFailsWhileSending has a disk that gives no more while a file of it is sent,
// over either version of HTTP. It is no disk that fails here: the descriptor is made that
// of a directory, which is an error to read.
func TestDiskFailsWhileSending(t *testing.T) { hotAndCold(t, testDiskFailsWhileSending) }

func testDiskFailsWhileSending(t *testing.T, cold bool) {
	logged := make(chan string, 10)
	logger := zerolog.New(io.Discard).Hook(zerolog.HookFunc(func(_ *zerolog.Event, _ zerolog.Level, message string) { logged <- message }))
	s := newSite(t, Options{noCache: cold, Logger: &logger})
	s.write("big", nil)
	if err := os.Truncate(filepath.Join(s.dir, "big"), bigFile); err != nil {
		t.Fatal(err)
	}
	body := noise(8 << 20)
	s.write("other", body)
	want := sha256.Sum256(body)
	dir, err := os.Open(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	http1 := &http.Transport{}
	defer http1.CloseIdleConnections()
	for version, c := range map[string]*http.Client{"HTTP/2": s.client, "HTTP/1.1": {Transport: http1, Timeout: 4 * long}} {
		resp, err := c.Get(s.url + "/big")
		if err != nil {
			t.Fatal(err)
		}
		other := s.begin(t.Context(), "/other")
		if n := s.replaceDescriptors("big", dir); n != 1 {
			t.Fatalf("%s: %d descriptors of the file", version, n)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		switch {
		case n >= bigFile || err == nil:
			t.Errorf("%s: %d octets, %v, of a disk that fails", version, n, err)
		case version == "HTTP/2" && !strings.Contains(err.Error(), "INTERNAL_ERROR"):
			t.Errorf("%v, want INTERNAL_ERROR on the stream", err)
		}
		if got, err := sumOf(other.Body); err != nil || got != want {
			t.Errorf("%s: the neighbour: %v, or other octets", version, err)
		}
		other.Body.Close()
		if message := <-logged; message != "a file could not be sent to its end" {
			t.Errorf("%s: logged %q", version, message)
		}
		s.wantNothingHeld()
	}
}

// replaceDescriptors has all descriptors of a file of s refer to other instead.
func (s *site) replaceDescriptors(name string, other *os.File) (n int) {
	s.t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, fd := range fds {
		if target, err := os.Readlink("/proc/self/fd/" + fd.Name()); err != nil || target != filepath.Join(s.dir, name) {
			continue
		}
		at, err := strconv.Atoi(fd.Name())
		if err == nil {
			err = unix.Dup3(int(other.Fd()), at, unix.O_CLOEXEC)
		}
		if err != nil {
			s.t.Fatal(err)
		}
		n++
	}
	return n
}

func TestReplaceWhileSending(t *testing.T) { hotAndCold(t, testReplaceWhileSending) }

func testReplaceWhileSending(t *testing.T, cold bool) {
	s := newSite(t, Options{noCache: cold})
	body := noise(bigFile)
	s.write("big", body)
	s.write("new", []byte("new"))
	resp := s.begin(t.Context(), "/big")
	defer resp.Body.Close()
	if err := os.Rename(filepath.Join(s.dir, "new"), filepath.Join(s.dir, "big")); err != nil {
		t.Fatal(err)
	}
	if got, err := sumOf(resp.Body); err != nil || got != sha256.Sum256(body) {
		t.Errorf("error %v, or not what was there when the response began", err)
	}
	if r := s.get("/big"); r.body != "new" {
		t.Errorf("the new file is not served: %d octets", len(r.body))
	}
}

func TestGrowWhileSending(t *testing.T) {
	s := newSite(t, Options{})
	body := noise(bigFile)
	s.write("big", body)
	resp := s.begin(t.Context(), "/big")
	defer resp.Body.Close()
	f, err := os.OpenFile(filepath.Join(s.dir, "big"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("more"); err != nil {
		t.Fatal(err)
	}
	if got, err := sumOf(resp.Body); err != nil || got != sha256.Sum256(body) {
		t.Errorf("error %v, or not as long as announced", err)
	}
}

// TestAbort has clients leave in the middle: by RST_STREAM, and by closing the
// connection.
func TestAbort(t *testing.T) { hotAndCold(t, testAbort) }

func testAbort(t *testing.T, cold bool) {
	s := newSite(t, Options{noCache: cold})
	s.write("big", noise(bigFile))
	s.write("small", noise(200<<10))
	t.Run("reset", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var bodies []io.ReadCloser
		for range 20 {
			for _, path := range []string{"/big", "/small"} {
				resp := s.begin(ctx, path)
				if _, err := io.ReadFull(resp.Body, make([]byte, 1000)); err != nil {
					t.Fatal(err)
				}
				bodies = append(bodies, resp.Body)
			}
		}
		if s.openFiles() == 0 || s.files.buffers.taken.Load() == 0 {
			t.Error("nothing is held in the middle of 20 downloads")
		}
		cancel()
		for _, b := range bodies {
			b.Close()
		}
		s.wantNothingHeld()
	})
	t.Run("close", func(t *testing.T) {
		conns := new(connKeeper)
		client := newClient()
		client.Transport.(*http.Transport).DialContext = conns.dial
		var bodies []io.ReadCloser
		for range 20 {
			resp, err := client.Do(s.request("GET", "/big"))
			if err != nil {
				t.Fatal(err)
			}
			bodies = append(bodies, resp.Body)
		}
		conns.closeAll()
		s.wantNothingHeld()
		for _, b := range bodies {
			b.Close()
		}
	})
	t.Run("at once", func(t *testing.T) {
		var wg sync.WaitGroup
		for range 100 {
			ctx, cancel := context.WithCancel(t.Context())
			wg.Go(func() {
				resp, err := s.client.Do(s.request("GET", "/big").WithContext(ctx))
				if err == nil {
					resp.Body.Close()
				}
			})
			cancel()
		}
		wg.Wait()
		s.wantNothingHeld()
	})
}

// A gate is a job that keeps its worker until it is opened.
type gate chan struct{}

func (g gate) Run() { <-g }

// TestBusy has every worker stuck in the disk and the queue full: the loops go
// on, and who asks for a file is told to come again.
func TestBusy(t *testing.T) {
	s := newSite(t, Options{Workers: 2, Queue: 3})
	s.write("a.txt", []byte("text"))
	g := make(gate)
	for range 2 + 3 {
		if err := s.files.jobs.Add(g); err != nil {
			t.Fatal(err)
		}
	}
	r := s.get("/a.txt")
	if r.StatusCode != 503 || r.Header.Get("Retry-After") != "1" {
		t.Errorf("status %d, Retry-After %q, want 503, %q", r.StatusCode, r.Header.Get("Retry-After"), "1")
	}
	if r := s.get("/alive"); r.body != "alive" {
		t.Errorf("another route: %d", r.StatusCode)
	}
	close(g)
	s.eventually("the queue is empty", func() bool { return s.get("/a.txt").StatusCode == 200 })
}

// TestAbortInQueue has a client leave before a worker has come to its request.
func TestAbortInQueue(t *testing.T) {
	s := newSite(t, Options{Workers: 1})
	s.write("a.txt", []byte("text"))
	g := make(gate)
	if err := s.files.jobs.Add(g); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		resp, err := s.client.Do(s.request("GET", "/a.txt").WithContext(ctx))
		if err == nil {
			resp.Body.Close()
		}
		done <- err
	}()
	s.eventually("the request waits", func() bool { return s.files.jobs.Load() == 2 })
	cancel()
	if err := <-done; err == nil {
		t.Error("a request that no worker has seen was answered")
	}
	close(g)
	if r := s.get("/a.txt"); r.body != "text" {
		t.Errorf("afterwards: %d %q", r.StatusCode, r.body)
	}
}

func TestMaxOpen(t *testing.T) {
	s := newSite(t, Options{MaxOpen: 5}) // of which an address has half
	s.write("big", noise(bigFile))
	s.write("small", []byte("small"))
	var bodies []io.ReadCloser
	for range 3 {
		bodies = append(bodies, s.begin(t.Context(), "/big").Body)
	}
	if r := s.get("/big"); r.StatusCode != 503 {
		t.Errorf("one more: status %d, want 503", r.StatusCode)
	}
	if r := s.get("/small"); r.body != "small" {
		t.Errorf("a small one: status %d", r.StatusCode)
	}
	bodies[0].Close()
	s.eventually("there is room again", func() bool {
		resp, err := s.client.Do(s.request("GET", "/big"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode == 200
	})
	for _, b := range bodies {
		b.Close()
	}
}

// TestBudget has many clients that do not read.
func TestBudget(t *testing.T) { hotAndCold(t, testBudget) }

func testBudget(t *testing.T, cold bool) {
	const budget = 8 << 20
	s := newSite(t, Options{MaxBuffered: budget, noCache: cold})
	s.write("big", noise(bigFile))
	s.write("medium", noise(smallFile))
	var bodies []io.ReadCloser
	for n := range 200 {
		path := "/big"
		if n%2 == 0 {
			path = "/medium"
		}
		bodies = append(bodies, s.begin(t.Context(), path).Body)
		if used, most := s.files.buffers.used.Load(), int64(budget+(n+1)*2*minChunk); used > most {
			t.Fatalf("%d responses hold %d octets, want %d at most", n+1, used, most)
		}
	}
	for _, b := range bodies {
		b.Close()
	}
}

func TestCloseWhileSending(t *testing.T) {
	s := newSite(t, Options{noCache: true}) // the workers have more to do
	body := noise(bigFile)
	s.write("big", body)
	resp := s.begin(t.Context(), "/big")
	defer resp.Body.Close()
	if err := s.files.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := sumOf(resp.Body); err != nil || got != sha256.Sum256(body) {
		t.Errorf("the response that had begun: error %v, or wrong sum", err)
	}
	s.wantNothingHeld()
	if r := s.get("/big"); r.StatusCode != 503 {
		t.Errorf("afterwards: status %d, want 503", r.StatusCode)
	}
}

func TestNewErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, root := range []string{filepath.Join(dir, "missing"), file} {
		if f, err := New(root, Options{}); err == nil {
			t.Errorf("New(%q) succeeded", root)
			f.Close()
		} else if !strings.Contains(err.Error(), root) {
			t.Errorf("New(%q): %v, which does not name it", root, err)
		}
	}
}

func TestChunkTwice(t *testing.T) {
	var b buffers
	c := b.get(100)
	b.put(c)
	defer func() {
		if recover() == nil {
			t.Error("a chunk was given back twice, and nobody noticed")
		}
	}()
	b.put(c)
}

// TestChunksAreForgotten has a rush of chunks and then none: they do not stay.
func TestChunksAreForgotten(t *testing.T) {
	b := buffers{budget: 64 << 20}
	var chunks []*chunk
	for range 8 {
		chunks = append(chunks, b.get(maxChunk))
	}
	for _, c := range chunks {
		b.put(c)
	}
	kept := func() int64 {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.kept
	}
	if n := kept(); n != 8*maxChunk {
		t.Fatalf("%d octets kept at once, want all 8 chunks", n)
	}
	for deadline := time.Now().Add(long); kept() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d octets kept", kept())
		}
	}
	if b.get(maxChunk); kept() != 0 {
		t.Error("what was forgotten is there")
	}
}
