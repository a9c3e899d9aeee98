package files

import (
	"context"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/h2loop/h2loop/loop"
)

// A site is a directory, a real server that serves it, and a client.
type site struct {
	t      *testing.T
	dir    string
	files  *Files
	client *http.Client
	url    string
}

// long is when a test that waits for something gives up.
const long = 2 * time.Minute

// old is a time at which files were left alone for long enough.
var old = time.Date(2024, 5, 17, 12, 30, 15, 678, time.UTC)

func newSite(t *testing.T, opts Options) *site {
	t.Helper()
	return newSiteWith(t, opts, func(*site) {})
}

// newSiteWith has prepare put into the directory what must be there at the start.
func newSiteWith(t *testing.T, opts Options, prepare func(s *site)) *site {
	t.Helper()
	dir := t.TempDir()
	prepare(&site{t: t, dir: dir})
	f, err := New(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	nop := zerolog.Nop()
	srv, err := loop.New(loop.Config{
		Listeners:    []loop.Listener{{Address: "127.0.0.1:0"}},
		Loops:        2,
		Logger:       &nop,
		DrainTimeout: long,
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Handle("/{path...}", f.Handler("path"))
	srv.Handle("GET /all/{path...}", f.Handler("path"))
	srv.Handle("GET /whole/", f.Handler(""))
	srv.Handle("GET /varied/{path...}", func(x *loop.Exchange) {
		_ = x.SetHeader("vary", "origin")
		f.Handler("path")(x)
	})
	srv.Handle("GET /alive", func(x *loop.Exchange) { _ = x.SendString(200, "alive") })
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	s := &site{t: t, dir: dir, files: f, client: newClient(), url: "http://" + srv.Addrs()[0].String()}
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if err := f.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		s.wantNothingHeld()
	})
	return s
}

// hotAndCold runs f with files that are read on the loop, for the kernel has
// them in memory, and with files that are not.
func hotAndCold(t *testing.T, f func(t *testing.T, cold bool)) {
	t.Run("hot", func(t *testing.T) { f(t, false) })
	t.Run("cold", func(t *testing.T) { f(t, true) })
}

// withAndWithoutCache runs f with files that stay in memory and with files that
// do not.
func withAndWithoutCache(t *testing.T, f func(t *testing.T, opts Options)) {
	t.Run("cached", func(t *testing.T) { f(t, Options{CacheValid: time.Hour, eager: true}) })
	t.Run("not cached", func(t *testing.T) { f(t, Options{Cache: -1}) })
}

func newClient() *http.Client {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Client{
		Transport:     &http.Transport{Protocols: protocols, DisableCompression: true},
		Timeout:       4 * long, // a test that hangs should say where
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// write makes a file that was last changed long ago.
func (s *site) write(name string, body []byte) {
	s.t.Helper()
	full := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(full, body, 0o644); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Chtimes(full, old, old); err != nil {
		s.t.Fatal(err)
	}
}

// request makes a request whose path goes out as it stands.
func (s *site) request(method, path string, headers ...string) *http.Request {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.URL.Opaque = path
	if strings.HasPrefix(path, "//") {
		req.URL.Opaque = "//" + req.URL.Host + path
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	return req
}

// A reply is a response, read to its end.
type reply struct {
	*http.Response
	body string
}

func (s *site) do(req *http.Request) reply {
	s.t.Helper()
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatalf("%s %s: body: %v", req.Method, req.URL, err)
	}
	if resp.ProtoMajor != 2 {
		s.t.Fatalf("%s %s: protocol is %s", req.Method, req.URL, resp.Proto)
	}
	return reply{resp, string(body)}
}

func (s *site) get(path string, headers ...string) reply {
	s.t.Helper()
	return s.do(s.request("GET", path, headers...))
}

// begin asks for a file and returns once the response has begun.
func (s *site) begin(ctx context.Context, path string) *http.Response {
	s.t.Helper()
	resp, err := s.client.Do(s.request("GET", path).WithContext(ctx))
	if err != nil {
		s.t.Fatal(err)
	}
	if resp.StatusCode != 200 {
		s.t.Fatalf("GET %s: status %d, want 200", path, resp.StatusCode)
	}
	return resp
}

// eventually waits until what is wanted is so.
func (s *site) eventually(why string, is func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(long); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Errorf("in vain waited: %s", why)
			return
		}
	}
}

// wantNothingHeld sees every buffer and every descriptor given back.
func (s *site) wantNothingHeld() {
	s.t.Helper()
	s.eventually("no chunk is taken", func() bool { return s.files.buffers.taken.Load() == 0 })
	s.eventually("no file is open", func() bool { return s.openFiles() == 0 && s.files.places.taken.Load() == 0 })
	s.eventually("the cache holds what it knows, and no more", func() bool { return s.files.cache.held.Load() == s.cached() })
	if n := s.files.buffers.used.Load(); n != 0 {
		s.t.Errorf("%d octets of the budget are used by nobody", n)
	}
}

// cached counts the octets that the cache has a right to hold.
func (s *site) cached() (n int64) {
	c := &s.files.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.ring {
		n += resourceCost
		for _, p := range r.reps {
			if p == nil {
				continue
			}
			if b := p.content.Load(); b != nil {
				n += int64(len(b.p))
			}
		}
	}
	return n
}

// openFiles counts the descriptors of this process that refer to files of s,
// the directory aside.
func (s *site) openFiles() (n int) {
	s.t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, fd := range fds {
		target, err := os.Readlink("/proc/self/fd/" + fd.Name())
		if err == nil && strings.HasPrefix(target, s.dir+"/") {
			n++
		}
	}
	return n
}

// noise returns n octets that no two calls have in common.
func noise(n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)})
	b := make([]byte, n)
	_, _ = r.Read(b)
	return b
}

func sumOf(r io.Reader) ([sha256.Size]byte, error) {
	h := sha256.New()
	_, err := io.Copy(h, r)
	return [sha256.Size]byte(h.Sum(nil)), err
}

// locationPath returns the path of a Location, which must have no host.
func (s *site) locationPath(r reply) string {
	s.t.Helper()
	u, err := url.Parse(r.Header.Get("Location"))
	if err != nil || u.Host != "" || u.Scheme != "" {
		s.t.Fatalf("Location %q leads elsewhere", r.Header.Get("Location"))
	}
	return u.EscapedPath()
}

// A connKeeper knows the connections it has dialled.
type connKeeper struct {
	mu    sync.Mutex
	conns []net.Conn
}

func (k *connKeeper) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err == nil {
		k.mu.Lock()
		k.conns = append(k.conns, c)
		k.mu.Unlock()
	}
	return c, err
}

func (k *connKeeper) closeAll() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range k.conns {
		c.Close()
	}
}
