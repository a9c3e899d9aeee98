package loop_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/h2loop/h2loop/loop"
)

// clientHTTP1 returns a client that speaks HTTP/1.1 alone.
func (ts *testServer) clientHTTP1() *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	rt := &http.Transport{Protocols: protocols, TLSClientConfig: clientTLS(), DisableCompression: true}
	ts.t.Cleanup(rt.CloseIdleConnections)
	return &http.Client{Transport: rt, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// dialHTTP1 connects as a client of HTTP/1.1.
func (ts *testServer) dialHTTP1(tr transport) net.Conn {
	nc := dialAddr(ts.t, "tcp", ts.addr(tr))
	if tr == overTLS {
		return tls.Client(nc, clientTLS("http/1.1"))
	}
	return nc
}

// wantResponse reads a response from br, to a request with method.
func wantResponse(t *testing.T, br *bufio.Reader, method string, status int, body string) *http.Response {
	t.Helper()
	resp, err := http.ReadResponse(br, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("no response: %v", err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status || string(b) != body {
		t.Fatalf("got %d %.200q (%v), want %d %.200q", resp.StatusCode, b, err, status, body)
	}
	return resp
}

// TestHTTP1Downloads fetches ten megabytes in each way to send them, at once and
// on connections that are kept.
func TestHTTP1Downloads(t *testing.T) {
	t.Parallel()
	body := pattern(bigLen)
	sum := sha256.Sum256(body)
	released := make([]atomic.Int32, len(verbs))
	ts := verbServer(t, body, released)
	c := ts.clientHTTP1()
	forEachTransport(t, func(t *testing.T, tr transport) {
		for range 2 {
			var all sync.WaitGroup
			for i, verb := range verbs {
				all.Go(func() {
					resp, err := c.Get(ts.url(tr, "/"+strconv.Itoa(i)))
					if err != nil {
						t.Errorf("%s: %v", verb.name, err)
						return
					}
					defer resp.Body.Close()
					h := sha256.New()
					n, err := io.Copy(h, resp.Body)
					if err != nil || [32]byte(h.Sum(nil)) != sum {
						t.Errorf("%s: %d octets, and not those that were sent: %v", verb.name, n, err)
					}
					chunked := len(resp.TransferEncoding) > 0
					if resp.Proto != "HTTP/1.1" || chunked != strings.HasPrefix(verb.name, "SendSourceUnknownLength") {
						t.Errorf("%s: %s, %v", verb.name, resp.Proto, resp.TransferEncoding)
					}
				})
			}
			all.Wait()
		}
	})
	for i, verb := range verbs {
		if n := released[i].Load(); n != 0 && n != 4 {
			t.Errorf("%s: released %d times in 4 requests", verb.name, n)
		}
	}
}

// TestHTTP1Uploads sends bodies with a length, in chunks, and where they are not
// wanted.
func TestHTTP1Uploads(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, bodyRoutes)
	body := pattern(1 << 20)
	forEachTransport(t, func(t *testing.T, tr transport) {
		ts.t = t
		c := ts.clientHTTP1()
		for _, path := range []string{"/read", "/each"} {
			for range 3 {
				r := ts.do(c, "POST", ts.url(tr, path), bytes.NewReader(body))
				if r.err != nil || r.StatusCode != 200 {
					t.Fatalf("status %d: %v", r.StatusCode, r.err)
				}
				wantSame(t, r.body, body)
				r = ts.do(c, "POST", ts.url(tr, path), io.MultiReader(bytes.NewReader(body)))
				wantSame(t, r.body, body)
			}
		}
		ts.do(c, "POST", ts.url(tr, "/read"), nil).want(t, 200, "")
		ts.do(c, "POST", ts.url(tr, "/after"), bytes.NewReader(body[:1000])).want(t, 200, "after")
		ts.do(c, "POST", ts.url(tr, "/early"), bytes.NewReader(body[:1000])).want(t, 200, "early")
		// The answer to a body that is too long arrives, each time, while the client is
		// sending.
		for i := range rounds {
			nc := ts.dialHTTP1(tr)
			framing := "Transfer-Encoding: chunked"
			if i%2 == 0 {
				framing = "Content-Length: 100000000"
			}
			go func() {
				_, _ = io.WriteString(nc, "POST /read/1000 HTTP/1.1\r\nHost: h\r\n"+framing+"\r\n\r\n")
				chunk := append([]byte("10000\r\n"), make([]byte, 1<<16)...)
				chunk = append(chunk, "\r\n"...)
				for range bigLen >> 16 {
					if _, err := nc.Write(chunk); err != nil {
						return
					}
				}
			}()
			resp := wantResponse(t, bufio.NewReader(nc), "POST", 413, "Content Too Large\n")
			if i%2 == 0 && !resp.Close {
				t.Error("it is not said that the connection ends, before so much more")
			}
			_ = nc.Close()
		}
	})
}

// TestHTTP1Pipelining sends many requests at once, one of which is answered late by
// another goroutine: the answers come in order.
func TestHTTP1Pipelining(t *testing.T) {
	t.Parallel()
	handles := make(chan loop.Async, 1)
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("GET /n/{n}", func(x *loop.Exchange) { _ = x.SendString(200, x.PathValue("n")) })
		srv.Handle("GET /late", func(x *loop.Exchange) { handles <- x.Async() })
	})
	forEachTransport(t, func(t *testing.T, tr transport) {
		for _, n := range []int{20, 10_000} { // such that reading has to pause, or not
			ts.t = t
			nc := ts.dialHTTP1(tr)
			go func() {
				w := bufio.NewWriter(nc)
				for i := range n {
					if i == 10 {
						_, _ = io.WriteString(w, "GET /late HTTP/1.1\r\nHost: h\r\n\r\n")
					}
					_, _ = fmt.Fprintf(w, "GET /n/%d HTTP/1.1\r\nHost: h\r\nX-Padding: %s\r\n\r\n", i, strings.Repeat("x", i%500))
				}
				_ = w.Flush()
			}()
			br := bufio.NewReader(nc)
			for i := range n {
				if i == 10 {
					async := wait(t, "the late request", handles)
					time.Sleep(50 * time.Millisecond) // what follows arrives
					if err := async.Do(func(x *loop.Exchange) { _ = x.SendString(200, "late") }); err != nil {
						t.Fatal(err)
					}
					wantResponse(t, br, "GET", 200, "late")
				}
				wantResponse(t, br, "GET", 200, strconv.Itoa(i))
			}
			_ = nc.Close()
		}
	})
}

// TestHTTP1Pause sends far more than any socket holds behind a request that is not
// answered: the client is made to wait, and served once it is.
func TestHTTP1Pause(t *testing.T) {
	t.Parallel()
	handles := make(chan loop.Async, 1)
	ts := newServer(t, loop.Config{Loops: 1}, func(srv *loop.Server) {
		srv.Handle("GET /late", func(x *loop.Exchange) { handles <- x.Async() })
		srv.Handle("GET /", loop.Static(200, "text/plain", []byte("hello")))
	})
	const n = 20_000 + 400*rounds // of 1 KiB each
	request := []byte("GET / HTTP/1.1\r\nHost: h\r\nX-Padding: " + strings.Repeat("x", 980) + "\r\n\r\n")
	forEachTransport(t, func(t *testing.T, tr transport) {
		ts.t = t
		nc := ts.dialHTTP1(tr)
		_, err := io.WriteString(nc, "GET /late HTTP/1.1\r\nHost: h\r\n\r\n")
		if err != nil {
			t.Fatal(err)
		}
		async := wait(t, "the late request", handles)
		var sent atomic.Int64
		go func() {
			for range n {
				m, err := nc.Write(request)
				sent.Add(int64(m))
				if err != nil {
					return
				}
			}
		}()
		for last := int64(-1); last != sent.Load(); time.Sleep(200 * time.Millisecond) {
			last = sent.Load()
		}
		if sent.Load() == n*int64(len(request)) {
			t.Errorf("all of %d octets were taken", sent.Load())
		}
		if err := async.Do(func(x *loop.Exchange) { _ = x.SendString(200, "late") }); err != nil {
			t.Fatal(err)
		}
		br := bufio.NewReaderSize(nc, 1<<20)
		wantResponse(t, br, "GET", 200, "late")
		for range n {
			wantResponse(t, br, "GET", 200, "hello")
		}
		_ = nc.Close()
	})
	if limits := ts.srv.Stats().Limits; limits["held"] != 0 {
		t.Errorf("limits: %v", limits)
	}
}

// TestHTTP1ByteByByte sends requests an octet at a time.
func TestHTTP1ByteByByte(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, bodyRoutes)
	forEachTransport(t, func(t *testing.T, tr transport) {
		ts.t = t
		nc := ts.dialHTTP1(tr)
		br := bufio.NewReader(nc)
		for range 2 {
			send(nc, []byte("POST /each HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: r\r\n\r\n"), true)
			wantResponse(t, br, "POST", 200, "abcde")
			send(nc, []byte("PRI /each HTTP/1.1\r\nHost: h\r\n\r\n"), true) // like the preface
			wantResponse(t, br, "PRI", 405, "Method Not Allowed\n")
		}
	})
}

// TestHTTP1Expect sends a body when it is asked for.
func TestHTTP1Expect(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, bodyRoutes)
	forEachTransport(t, func(t *testing.T, tr transport) {
		ts.t = t
		nc := ts.dialHTTP1(tr)
		br := bufio.NewReader(nc)
		head := func(path string, length int) {
			_, _ = fmt.Fprintf(nc, "POST %s HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", path, length)
		}
		head("/read", 5)
		line, err := br.ReadString('\n')
		if err != nil || line != "HTTP/1.1 100 Continue\r\n" {
			t.Fatalf("%q, %v", line, err)
		}
		_, _ = br.ReadString('\n')
		_, _ = io.WriteString(nc, "abcde")
		wantResponse(t, br, "POST", 200, "abcde")
		head("/read/1000", 1001)
		if resp := wantResponse(t, br, "POST", 413, "Content Too Large\n"); !resp.Close {
			t.Error("the connection is kept, and nobody knows whether a body follows")
		}
	})
}

// TestHTTP1Versions tells when the connection ends.
func TestHTTP1Versions(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("/", loop.Static(200, "text/plain", []byte("hello")))
		srv.Handle("/unknown", func(x *loop.Exchange) {
			_ = x.SendSource(200, -1, &sliceSource{left: pattern(100_000)})
		})
	})
	for _, tt := range []struct {
		request string
		ends    bool
		has     string
	}{
		{"GET / HTTP/1.1\r\nHost: h\r\n\r\n", false, "hello"},
		{"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", true, "connection: close\r\n"},
		{"GET / HTTP/1.0\r\n\r\n", true, "hello"},
		{"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false, "connection: keep-alive\r\n"},
		{"HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false, "content-length: 5\r\n"},
		{"GET /unknown HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true, string(pattern(100_000))},
		{"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", false, "content-length: 0\r\n"},
		{"GET http://h/ HTTP/1.1\r\nHost: other\r\n\r\n", false, "hello"},
	} {
		for _, tr := range transports {
			ts.t = t
			nc := ts.dialHTTP1(tr)
			_, _ = io.WriteString(nc, tt.request)
			if !tt.ends { // then this is what ends it
				_, _ = io.WriteString(nc, "GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
			}
			got := string(readAll(t, nc))
			want := 1
			if !tt.ends {
				want = 2
			}
			if n := strings.Count(got, "HTTP/1.1 200 OK\r\n"); n != want || !strings.Contains(strings.ToLower(got), strings.ToLower(tt.has)) {
				t.Errorf("%s: %q: %d answers, want %d that have %.50q; got %.500q", tr, tt.request, n, want, tt.has, got)
			}
		}
	}
}

// TestHTTP1BrokenBody sees to it that a client of HTTP/1.0, which takes the end of
// the connection for that of the body, does not take a part for the whole.
func TestHTTP1BrokenBody(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("/", func(x *loop.Exchange) {
			n := 0
			_ = x.SendSource(200, -1, sourceFunc{pull: func(int) ([]byte, bool, error) {
				if n++; n > 3 {
					return nil, false, errors.New("the disk is gone")
				}
				return []byte("a piece"), false, nil
			}})
		})
	})
	forEachTransport(t, func(t *testing.T, tr transport) {
		for _, version := range []string{"1.0", "1.1"} {
			ts.t = t
			nc := ts.dialHTTP1(tr)
			_, _ = io.WriteString(nc, "GET / HTTP/"+version+"\r\nHost: h\r\n\r\n")
			got, err := io.ReadAll(nc)
			switch {
			case version == "1.1" && strings.HasSuffix(string(got), "0\r\n\r\n"):
				t.Errorf("the body looks complete: %q", got)
			case version == "1.0" && !errors.Is(err, syscall.ECONNRESET):
				t.Errorf("HTTP/1.0: reading ended with %v after %q", err, got)
			}
		}
	})
}

// TestHTTP1Drain ends connections that are idle, tells a request that is being
// served that it is the last, and waits for it.
func TestHTTP1Drain(t *testing.T) {
	t.Parallel()
	forEachTransport(t, func(t *testing.T, tr transport) {
		handles := make(chan loop.Async, 1)
		ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
			srv.Handle("GET /late", func(x *loop.Exchange) { handles <- x.Async() })
			srv.Handle("GET /", loop.Static(200, "text/plain", []byte("hello")))
		})
		idle, busy := ts.dialHTTP1(tr), ts.dialHTTP1(tr)
		_, _ = io.WriteString(idle, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		_, _ = io.WriteString(busy, "GET /late HTTP/1.1\r\nHost: h\r\n\r\n")
		br := bufio.NewReader(idle)
		wantResponse(t, br, "GET", 200, "hello")
		async := wait(t, "the late request", handles)
		ts.stop()
		if b := readAll(t, idle); len(b) > 0 {
			t.Errorf("the idle connection was sent %q", b)
		}
		if err := async.Do(func(x *loop.Exchange) { _ = x.SendString(200, "late") }); err != nil {
			t.Fatal(err)
		}
		br.Reset(busy)
		if resp := wantResponse(t, br, "GET", 200, "late"); !resp.Close {
			t.Error("it is not said that this is the last response")
		}
		if b, err := io.ReadAll(br); err != nil || len(b) > 0 {
			t.Errorf("then %q, %v", b, err)
		}
	})
}

// TestHTTP1IdleTimeout closes a connection that is kept for nothing.
func TestHTTP1IdleTimeout(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{IdleTimeout: quick}, hello)
	forEachTransport(t, func(t *testing.T, tr transport) {
		ts.t = t
		nc := ts.dialHTTP1(tr)
		_, _ = io.WriteString(nc, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		if got := string(readAll(t, nc)); !strings.HasSuffix(got, "\r\n\r\nhello") {
			t.Errorf("got %q", got)
		}
	})
	eventually(t, "they are counted", func() bool { return ts.srv.Stats().Limits["idle"] == 2 })
}

// TestRedirectHTTPS sends clients in cleartext to the TLS port, whichever version of HTTP
// they speak.
func TestRedirectHTTPS(t *testing.T) {
	t.Parallel()
	ts := newServer(t, loop.Config{Listeners: []loop.Listener{
		{Address: "127.0.0.1:0", RedirectHTTPS: 8443}, {Address: "127.0.0.1:0", RedirectHTTPS: 443},
	}}, hello)
	for _, tt := range []struct {
		listener             int
		method, target, host string
		status               int
		location             string
	}{
		{0, "GET", "/a/b?c=d", "example.com", 301, "https://example.com:8443/a/b?c=d"},
		{0, "HEAD", "/", "example.com:8080", 301, "https://example.com:8443/"},
		{0, "POST", "/", "[::1]:80", 308, "https://[::1]:8443/"},
		{1, "PUT", "/%41?", "[::1]", 308, "https://[::1]/%41"},
		{1, "GET", "/", "127.0.0.1", 301, "https://127.0.0.1/"},
		{1, "GET", "/\xc3\xbc?q=\xff%ff", "h", 301, "https://h/%c3%bc?q=%ff%ff"},
		{1, "GET", "//evil.example/", "h", 301, "https://h//evil.example/"},
		{1, "OPTIONS", "*", "h", 400, ""},
		{1, "GET", "/", "", 400, ""},
	} {
		nc := dialAddr(t, "tcp", ts.srv.Addrs()[tt.listener].String())
		_, _ = fmt.Fprintf(nc, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", tt.method, tt.target, tt.host)
		resp, err := http.ReadResponse(bufio.NewReader(nc), &http.Request{Method: tt.method})
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != tt.status || resp.Header.Get("Location") != tt.location {
			t.Errorf("%s %s of %q: %d, %q", tt.method, tt.target, tt.host, resp.StatusCode, resp.Header.Get("Location"))
		}
		_ = resp.Body.Close()
	}
	for _, tt := range []struct {
		listener         int
		method, path     string
		ended            bool
		headers          []string
		status, location string
	}{
		{0, "GET", "/a/b?c=d", true, nil, "301", "https://example.com:8443/a/b?c=d"},
		{0, "HEAD", "/", true, []string{":authority", "", "host", "example.com:8080"}, "301", "https://example.com:8443/"},
		{1, "PUT", "/%41?", true, []string{":authority", "[::1]"}, "308", "https://[::1]/%41"},
		{1, "GET", "/\xc3\xbc?q=\xff%ff", true, nil, "301", "https://example.com/%c3%bc?q=%ff%ff"},
		{1, "OPTIONS", "*", true, nil, "400", ""},
		{1, "CONNECT", "", false, []string{":scheme", ""}, "400", ""},
	} {
		p := openOn(t, dialAddr(t, "tcp", ts.srv.Addrs()[tt.listener].String()))
		id := p.headers(tt.method, tt.path, tt.ended, tt.headers...)
		p.flush()
		if a := p.answer(id); a.status() != tt.status || a.get("location") != tt.location {
			t.Errorf("%s %s with %q over HTTP/2: %s, %q", tt.method, tt.path, tt.headers, a.status(), a.get("location"))
		}
	}
}
