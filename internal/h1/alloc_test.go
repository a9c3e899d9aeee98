package h1

import (
	"fmt"
	"strings"
	"testing"

	"github.com/h2loop/h2loop/internal/message"
)

// A hotConn is a connection in its steady state, driven without the checks of
// testConn.
type hotConn struct {
	c      Conn
	sh     *Shared
	answer func(s *Stream)
	got    int // octets of request bodies
	sent   int // octets written
	closed int // exchanges
}

func (h *hotConn) Request(s *Stream) {
	if s.RequestEnded() {
		h.answer(s)
	}
}

func (h *hotConn) Body(s *Stream, p []byte, end bool) {
	h.got += len(p)
	h.c.Consume(s, len(p))
	if end {
		h.answer(s)
	}
}

func (h *hotConn) Closed(*Stream, error) { h.closed++ }

func newHotConn() *hotConn {
	h := &hotConn{sh: NewShared(Config{})}
	h.c.Init(h.sh, h, false)
	h.answer = h.answerHello
	h.c.SetRoom(64 << 10)
	return h
}

// turn receives octets and writes what comes of them.
func (h *hotConn) turn(tb testing.TB, in []byte) {
	if err := h.c.Receive(in); err != nil {
		tb.Fatal(err)
	}
	for h.c.HasPending() || h.c.WantsRoom() {
		h.c.SetRoom(1 << 20)
		h.c.Fill()
		for _, p := range h.c.Pending() {
			h.sent += len(p)
		}
		h.c.Flushed()
	}
	h.c.SetRoom(64 << 10)
}

var (
	hello       = []byte("Hello, World!")
	helloFields = []message.Field{
		{Name: "content-type", Value: "text/plain; charset=utf-8"},
		{Name: "content-length", Value: "13"},
		{Name: "date", Value: "Mon, 01 Jan 2024 00:00:00 GMT"},
	}
	chunkFields = helloFields[:1]
	tenMiB      = make([]byte, 10<<20)

	// What wrk and a browser send.
	wrkGet     = []byte("GET /hello HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n")
	browserGet = []byte("GET /hello?a=b HTTP/1.1\r\nHost: www.example.com\r\nConnection: keep-alive\r\n" +
		"sec-ch-ua: \"Chromium\";v=\"120\", \"Not?A_Brand\";v=\"8\"\r\nsec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: \"Linux\"\r\n" +
		"Upgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36\r\n" +
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8\r\n" +
		"Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\n" +
		"Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-US,en;q=0.9\r\nCookie: session=0123456789abcdef0123456789abcdef\r\n\r\n")
)

func (h *hotConn) answerHello(s *Stream) {
	if h.c.WriteHeaders(s, 200, helloFields, false) != nil || h.c.Write(s, hello, true) != nil {
		panic("not answered")
	}
}

func (h *hotConn) answerTenMiB(s *Stream) {
	if h.c.WriteHeaders(s, 200, chunkFields, false) != nil || h.c.WriteRegion(s, tenMiB, nil, true) != nil {
		panic("not answered")
	}
}

func wantAllocs(t *testing.T, what string, want float64, f func()) {
	t.Helper()
	for range 10 {
		f() // buffers grow
	}
	if n := testing.AllocsPerRun(200, f); n > want {
		t.Errorf("%s: %v allocations, want %v", what, n, want)
	}
}

func TestAllocs(t *testing.T) {
	body := strings.Repeat("x", 5000)
	upload := []byte(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
	for _, tt := range []struct {
		name   string
		in     []byte
		answer func(h *hotConn, s *Stream)
		most   float64
	}{
		{"GET", wrkGet, (*hotConn).answerHello, 0},
		{"a pipeline of 16", []byte(strings.Repeat(string(wrkGet), 16)), (*hotConn).answerHello, 0},
		{"a browser's, with a cookie", browserGet, (*hotConn).answerHello, 1},
		{"a large response in chunks", wrkGet, (*hotConn).answerTenMiB, 0},
		{"an upload", upload, (*hotConn).answerHello, 0},
		{"an upload in chunks", []byte(chunked("1388\r\n" + body + "\r\n0\r\n\r\n")), (*hotConn).answerHello, 0},
	} {
		h := newHotConn()
		h.answer = func(s *Stream) { tt.answer(h, s) }
		wantAllocs(t, tt.name, tt.most, func() { h.turn(t, tt.in) })
		if h.closed < 200 || h.c.stream != nil {
			t.Errorf("%s: %d exchanges", tt.name, h.closed)
		}
	}
	// Whole, but one octet at a time.
	h := newHotConn()
	wantAllocs(t, "GET in octets", 1, func() {
		for i := range wrkGet {
			h.turn(t, wrkGet[i:i+1])
		}
	})
	if h.closed < 200 {
		t.Errorf("%d exchanges", h.closed)
	}
}

func BenchmarkReceiveGET(b *testing.B) {
	for _, tt := range []struct {
		name string
		in   []byte
		cold bool // nothing is remembered of heads
	}{
		{"wrk", wrkGet, false},
		{"wrk, not remembered", wrkGet, true},
		{"browser with a cookie", browserGet, false},
		{"pipeline of 16", []byte(strings.Repeat(string(wrkGet), 16)), false},
	} {
		b.Run(tt.name, func(b *testing.B) {
			h := newHotConn()
			b.ReportAllocs()
			for b.Loop() {
				if tt.cold {
					h.c.last = nil
					clear(h.sh.heads.memos[:])
					clear(h.sh.heads.seen[:])
				}
				h.turn(b, tt.in)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(h.closed), "ns/request")
		})
	}
}

// BenchmarkReadHead is reading alone.
func BenchmarkReadHead(b *testing.B) {
	for _, tt := range []struct {
		name string
		in   []byte
	}{{"wrk", wrkGet}, {"browser", browserGet}} {
		b.Run(tt.name, func(b *testing.B) {
			h := newHotConn()
			b.ReportAllocs()
			b.SetBytes(int64(len(tt.in)))
			for b.Loop() {
				s, n, err := h.c.readHead(tt.in)
				if err != nil || n != len(tt.in) {
					b.Fatal(n, err)
				}
				h.sh.putStream(s)
			}
		})
	}
}

func BenchmarkLargeBody(b *testing.B) {
	h := newHotConn()
	h.answer = h.answerTenMiB
	b.ReportAllocs()
	b.SetBytes(int64(len(tenMiB)))
	for b.Loop() {
		h.turn(b, wrkGet)
	}
}

func BenchmarkUpload(b *testing.B) {
	piece := make([]byte, 64<<10)
	in := map[string][]byte{
		"length":  []byte(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(piece), piece)),
		"chunks":  []byte(chunked(fmt.Sprintf("10000\r\n%s\r\n0\r\n\r\n", piece))),
		"chunks1": []byte(chunked(strings.Repeat("1\r\nx\r\n", 10_000) + "0\r\n\r\n")),
	}
	for name, in := range in {
		b.Run(name, func(b *testing.B) {
			h := newHotConn()
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				h.turn(b, in)
			}
		})
	}
}
