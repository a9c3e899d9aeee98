package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"golang.org/x/net/http2"

	"github.com/h2loop/h2loop/loop"
	"github.com/h2loop/h2loop/loop/looptest"
)

// serve runs a server for r, whose people leave before it ends.
func serve(t *testing.T, r *room) *looptest.Server {
	ts := looptest.NewConfig(t, loop.Config{MaxStreamBuffer: 16 << 10}, r.register)
	t.Cleanup(r.close)
	return ts
}

// A person is the client's end of a WebSocket.
type person struct {
	t *testing.T
	io.Reader
	io.Writer
	leave func()
}

// A dialer connects to the chat of a server.
type dialer func(t *testing.T, ts *looptest.Server, name string) *person

func forEachVersion(t *testing.T, f func(t *testing.T, dial dialer)) {
	t.Run("HTTP1", func(t *testing.T) { f(t, dialHTTP1) })
	t.Run("HTTP2", func(t *testing.T) { f(t, dialHTTP2) })
}

// dialHTTP1 upgrades.
func dialHTTP1(t *testing.T, ts *looptest.Server, name string) *person {
	t.Helper()
	conn, br, _, err := ws.Dial(t.Context(), "ws://"+ts.Addr()+"/chat?name="+name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
	p := &person{t, conn, conn, func() { conn.Close() }}
	if br != nil {
		early, _ := br.Peek(br.Buffered())
		p.Reader = io.MultiReader(bytes.NewReader(early), conn)
	}
	return p
}

// dialHTTP2 connects as RFC 8441 has it.
//
//nolint:staticcheck // the transport of net/http does not let :protocol through
func dialHTTP2(t *testing.T, ts *looptest.Server, name string) *person {
	t.Helper()
	tr := &http2.Transport{
		AllowHTTP: true,
		DialTLSContext: func(ctx context.Context, network, addr string, _ *tls.Config) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	r, w := io.Pipe()
	req, err := http.NewRequestWithContext(ctx, http.MethodConnect, ts.URL()+"/chat?name="+name, r)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(":protocol", "websocket")
	req.Header.Set("Sec-WebSocket-Version", "13")
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	leave := func() {
		w.Close()
		cancel()
		resp.Body.Close()
		tr.CloseIdleConnections()
	}
	t.Cleanup(leave)
	return &person{t, resp.Body, w, leave}
}

func (p *person) write(f ws.Frame) {
	p.t.Helper()
	if err := ws.WriteFrame(p, ws.MaskFrame(f)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *person) speak(text string) {
	p.t.Helper()
	if err := wsutil.WriteClientText(p, []byte(text)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *person) frame() ws.Frame {
	p.t.Helper()
	f, err := p.read()
	if err != nil {
		p.t.Fatal(err)
	}
	return f
}

func (p *person) read() (f ws.Frame, err error) {
	if f.Header, err = ws.ReadHeader(p); err != nil {
		return f, err
	}
	f.Payload = make([]byte, f.Header.Length)
	_, err = io.ReadFull(p, f.Payload)
	return f, err
}

// hear returns the next line, and answers pings.
func (p *person) hear() (l line) {
	p.t.Helper()
	text, err := wsutil.ReadServerText(p)
	if err == nil {
		err = json.Unmarshal(text, &l)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return l
}

func (p *person) want(want ...line) {
	p.t.Helper()
	for _, w := range want {
		if got := p.hear(); got != w {
			p.t.Errorf("heard %v, want %v", got, w)
		}
	}
}

// wantClosed wants the server to say why it closes, and to do so in order.
func (p *person) wantClosed(code ws.StatusCode) {
	p.t.Helper()
	for {
		f := p.frame()
		if f.Header.OpCode != ws.OpClose {
			continue
		}
		if got, reason := ws.ParseCloseFrameData(f.Payload); got != code {
			p.t.Errorf("closed with %d %q, want %d", got, reason, code)
		}
		break
	}
	if n, err := p.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		p.t.Errorf("behind the closing frame: %d octets, %v", n, err)
	}
}

func (r *room) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.people)
}

func (r *room) waitFor(t *testing.T, people int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); r.count() != people; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("there are %d people, want %d", r.count(), people)
		}
	}
}

func get(t *testing.T, url string, header ...string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(b))
}
