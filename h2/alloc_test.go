package h2

import (
	"testing"
	"unsafe"

	"golang.org/x/net/http2/hpack"

	"github.com/h2loop/h2loop/frames"
)

// A hotConn is a connection in its steady state, driven without the checks of
// testConn.
type hotConn struct {
	c    Conn
	sh   *Shared
	next frames.StreamID
	in   []byte // a request on stream next
	at   []int  // where the stream identifiers in it are

	answer func(s *Stream)
	got    int // octets of request bodies
	sent   int // octets written
}

func (h *hotConn) Request(s *Stream) {
	if h.answer != nil {
		h.answer(s)
	}
}

func (h *hotConn) Body(s *Stream, p []byte, _ bool) {
	h.got += len(p)
	h.c.Consume(s, len(p))
}

func (h *hotConn) Closed(*Stream, error) {}

// newHotConn returns a connection with windows of 2^31-1 whose peer has its
// request fields in the table.
func newHotConn(tb testing.TB) *hotConn {
	h := &hotConn{sh: NewShared(Config{}), next: 1}
	h.c.Init(h.sh, h, 0)
	h.receive(tb, []byte(Preface))
	h.receive(tb, frames.AppendSettings(nil,
		frames.Setting{ID: frames.SettingInitialWindowSize, Value: maxWindow},
		frames.Setting{ID: frames.SettingMaxFrameSize, Value: 16384}))
	h.receive(tb, frames.AppendSettingsAck(nil))
	h.receive(tb, frames.AppendWindowUpdate(nil, frames.WindowUpdate{Increment: maxWindow - 65535}))
	h.flush()
	return h
}

func (h *hotConn) receive(tb testing.TB, b []byte) {
	if err := h.c.Receive(b); err != nil {
		tb.Fatal(err)
	}
}

func (h *hotConn) flush() {
	h.c.SetRoom(1 << 20)
	h.c.Fill()
	if h.c.HasPending() {
		for _, p := range h.c.Pending() {
			h.sent += len(p)
		}
		h.c.Flushed()
	}
	h.c.SetRoom(1 << 20)
}

// request encodes n requests, each with its END_STREAM, to be sent again and
// again under new identifiers. The fields have been sent once already.
func (h *hotConn) request(tb testing.TB, n int) {
	var block blockBuffer
	enc := hpack.NewEncoder(&block)
	encode := func() []byte {
		block = block[:0]
		for _, f := range []Field{
			{Name: ":method", Value: "GET"},
			{Name: ":scheme", Value: "https"},
			{Name: ":path", Value: "/hello"},
			{Name: ":authority", Value: "a.example:8443"},
			{Name: "user-agent", Value: "h2load nghttp2/1.52.0"},
			{Name: "accept", Value: "*/*"},
		} {
			if err := enc.WriteField(f); err != nil {
				tb.Fatal(err)
			}
		}
		return block
	}
	first := frames.AppendHeaders(nil, frames.Headers{StreamID: h.next, Fragment: encode(), EndStream: true, EndHeaders: true})
	h.next += 2
	h.receive(tb, first)
	h.flush()
	for range n {
		h.at = append(h.at, len(h.in)+5)
		h.in = frames.AppendHeaders(h.in, frames.Headers{StreamID: 1, Fragment: encode(), EndStream: true, EndHeaders: true})
	}
}

type blockBuffer []byte

func (b *blockBuffer) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}

// turn receives the requests once more, and writes what comes of them.
func (h *hotConn) turn(tb testing.TB) {
	for _, at := range h.at {
		id := uint32(h.next)
		h.in[at], h.in[at+1], h.in[at+2], h.in[at+3] = byte(id>>24), byte(id>>16), byte(id>>8), byte(id)
		h.next += 2
	}
	h.receive(tb, h.in)
	h.flush()
}

var (
	hello       = []byte("Hello, World!")
	helloFields = []Field{
		{Name: "content-type", Value: "text/plain; charset=utf-8"},
		{Name: "content-length", Value: "13"},
		{Name: "server", Value: "h2loop"},
	}
	tenMiB = make([]byte, 10<<20)
)

func (h *hotConn) answerHello(s *Stream) {
	if h.c.WriteHeaders(s, 200, helloFields, false) != nil || h.c.Write(s, hello, true) != nil {
		panic("not answered")
	}
}

func (h *hotConn) answerTenMiB(s *Stream) {
	if h.c.WriteHeaders(s, 200, helloFields, false) != nil || h.c.WriteRegion(s, tenMiB, nil, true) != nil {
		panic("not answered")
	}
}

func wantNoAllocs(t *testing.T, what string, f func()) {
	t.Helper()
	for range 10 {
		f() // tables and buffers grow
	}
	if n := testing.AllocsPerRun(200, f); n != 0 {
		t.Errorf("%s: %v allocations, want none", what, n)
	}
}

func TestAllocsSmallGet(t *testing.T) {
	for _, n := range []int{1, 100} {
		h := newHotConn(t)
		h.answer = h.answerHello
		h.request(t, n)
		wantNoAllocs(t, "small GETs", func() { h.turn(t) })
		if h.c.OpenStreams() != 0 || h.sent < 200*n*22 {
			t.Errorf("%d octets sent, %d streams open", h.sent, h.c.OpenStreams())
		}
	}
}

func TestAllocsWindowUpdate(t *testing.T) {
	h := newHotConn(t)
	h.request(t, 1)
	h.turn(t) // not answered: it stays open
	id := h.next - 2
	settings := frames.AppendSettings(nil, frames.Setting{ID: frames.SettingInitialWindowSize, Value: 1000})
	h.receive(t, settings)
	h.flush()
	h.c.sendWindow = 0
	in := frames.AppendWindowUpdate(nil, frames.WindowUpdate{StreamID: id, Increment: 1})
	in = frames.AppendWindowUpdate(in, frames.WindowUpdate{Increment: 1})
	wantNoAllocs(t, "WINDOW_UPDATE", func() { h.receive(t, in) })
	// And in pieces, through the carry-over.
	wantNoAllocs(t, "split WINDOW_UPDATE", func() {
		for i := range in {
			h.receive(t, in[i:i+1])
		}
	})
	if h.c.sendWindow < 400 {
		t.Errorf("window %d", h.c.sendWindow)
	}
}

// TestAllocsHeaderListTooLong decodes a header list on behind its limit without
// making anything of it.
func TestAllocsHeaderListTooLong(t *testing.T) {
	const limit = 10_000
	allocs := func(size int) float64 {
		return testing.AllocsPerRun(20, func() {
			tc := newTestConn(t, Config{MaxHeaderListSize: limit})
			tc.whole = true
			block := []byte("\x82\x87\x84\x01\x01a")
			for len(block) < size-30 {
				block = append(block, "\x00\x01x\x14abcdefghijklmnopqrst"...)
			}
			tc.recv(headerFrames(1, true, block, 15_000, 30_000))
			tc.want("it is too long", "HEADERS 1 :status=431 content-length=0 END_STREAM")
		})
	}
	// Four times as many fields, each of which would be two strings.
	if few, many := allocs(limit), allocs(4*limit); many > few+200 {
		t.Errorf("%.0f allocations for a list at its limit, and %.0f for one of four times that", few, many)
	}
}

func TestAllocsPing(t *testing.T) {
	h := newHotConn(t)
	in := frames.AppendPing(nil, frames.Ping{})
	wantNoAllocs(t, "PING", func() { h.receive(t, in); h.flush() })
}

func TestAllocsLargeBody(t *testing.T) {
	h := newHotConn(t)
	h.answer = h.answerTenMiB
	h.request(t, 1)
	h.flush()
	update := frames.AppendWindowUpdate(nil, frames.WindowUpdate{Increment: 10 << 20})
	run := func() {
		h.turn(t)
		for h.c.WantsRoom() {
			h.flush()
		}
		h.receive(t, update)
	}
	for h.c.WantsRoom() {
		h.flush()
	}
	h.receive(t, update)
	h.sent = 0
	run()
	if want := 10<<20 + 640*frames.HeaderLen; h.sent < want || h.sent > want+1000 {
		t.Errorf("%d octets sent, want %d in 640 frames", h.sent, want)
	}
	wantNoAllocs(t, "a body of 640 DATA frames", run)
}

func TestAllocsUpload(t *testing.T) {
	h := newHotConn(t)
	h.request(t, 1)
	h.in[4] &^= byte(frames.FlagEndStream)
	h.turn(t)
	id := h.next - 2
	in := frames.AppendData(nil, frames.Data{StreamID: id, Data: make([]byte, 16384)})
	wantNoAllocs(t, "DATA received", func() { h.receive(t, in); h.flush() })
	if h.got < 200*16384 {
		t.Errorf("%d octets received", h.got)
	}
}

// A ringSource yields a buffer for ever.
type ringSource struct{ p []byte }

func (r *ringSource) Pull(limit int) ([]byte, bool, error) {
	return r.p[:min(limit, len(r.p))], false, nil
}
func (r *ringSource) Release() {}

func TestAllocsSource(t *testing.T) {
	h := newHotConn(t)
	src := &ringSource{make([]byte, 64<<10)}
	h.answer = func(s *Stream) {
		if h.c.WriteHeaders(s, 200, nil, false) != nil || h.c.WriteSource(s, src) != nil {
			panic("not answered")
		}
	}
	h.request(t, 2)
	h.turn(t)
	update := frames.AppendWindowUpdate(nil, frames.WindowUpdate{Increment: 3 * 64 << 10})
	h.c.sendWindow = 1 << 30
	for s := range 3 {
		h.c.streams.get(frames.StreamID(2*s + 1)).sendWindow = maxWindow
	}
	h.sent = 0
	wantNoAllocs(t, "a source", func() { h.receive(t, update); h.flush() })
	if h.sent < 200*2*64<<10 {
		t.Errorf("%d octets sent", h.sent)
	}
}

// TestIdleConnectionIsSmall holds the size of a connection that does nothing.
func TestIdleConnectionIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Conn{}); n > 800 {
		t.Errorf("a Conn has %d octets", n)
	}
	if n := unsafe.Sizeof(Stream{}); n > 512 {
		t.Errorf("a Stream has %d octets", n)
	}
}

func BenchmarkSmallGet(b *testing.B) {
	for _, bm := range []struct {
		name string
		n    int
	}{{"1 a turn", 1}, {"10 a turn", 10}, {"100 a turn", 100}} {
		b.Run(bm.name, func(b *testing.B) {
			h := newHotConn(b)
			h.answer = h.answerHello
			h.request(b, bm.n)
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; i < b.N; i += bm.n {
				if h.next > 1<<30 {
					h.next, h.c.maxID = 1, 0
				}
				h.turn(b)
				h.c.sendWindow = maxWindow
			}
		})
	}
}

func BenchmarkLargeBody(b *testing.B) {
	for _, bm := range []struct {
		name   string
		record int
	}{{"cleartext", 0}, {"TLS", 16384}} {
		b.Run(bm.name, func(b *testing.B) {
			h := newHotConn(b)
			h.c.record = bm.record
			h.answer = h.answerTenMiB
			h.request(b, 1)
			b.SetBytes(10 << 20)
			b.ReportAllocs()
			for b.Loop() {
				h.turn(b)
				for h.c.WantsRoom() {
					h.flush()
				}
				h.c.sendWindow = maxWindow
			}
		})
	}
}

func BenchmarkUpload(b *testing.B) {
	h := newHotConn(b)
	h.request(b, 1)
	h.in[4] &^= byte(frames.FlagEndStream)
	h.turn(b)
	in := frames.AppendData(nil, frames.Data{StreamID: h.next - 2, Data: make([]byte, 16384)})
	b.SetBytes(16384)
	b.ReportAllocs()
	for b.Loop() {
		h.receive(b, in)
		h.flush()
	}
}

func BenchmarkReceiveWindowUpdate(b *testing.B) {
	h := newHotConn(b)
	in := frames.AppendWindowUpdate(nil, frames.WindowUpdate{Increment: 1})
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		h.c.sendWindow = 0
		h.c.budget.noise.spent = 0 // it is of no use
		h.receive(b, in)
	}
}

func BenchmarkPing(b *testing.B) {
	h := newHotConn(b)
	in := frames.AppendPing(nil, frames.Ping{})
	b.ReportAllocs()
	for b.Loop() {
		h.receive(b, in)
		h.flush()
	}
}

// BenchmarkManyStreams sends from 100 streams in turn, 16 KiB each.
func BenchmarkManyStreams(b *testing.B) {
	h := newHotConn(b)
	src := &ringSource{make([]byte, 16<<10)}
	h.answer = func(s *Stream) {
		if h.c.WriteHeaders(s, 200, nil, false) != nil || h.c.WriteSource(s, src) != nil {
			panic("not answered")
		}
	}
	h.request(b, 100)
	h.turn(b)
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	for b.Loop() {
		h.flush()
		h.c.sendWindow = maxWindow
		for _, s := range h.c.streams.slots {
			if s != nil {
				s.sendWindow = maxWindow
			}
		}
	}
}
