package h2

import (
	"fmt"
	"strings"
	"testing"

	"github.com/h2loop/h2loop/frames"
)

func TestSection6_1_Body(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.recv(tc.post(1), data(1, "hello "), data(1, "world"), dataEnd(1, "!"))
	tc.wantEvents("", "request 1 POST /", "body 1 hello world! end")
	if !tc.stream(1).RequestEnded() {
		t.Error("the request has not ended")
	}
	tc.recv(tc.post(3))
	if tc.stream(3).RequestEnded() {
		t.Error("the request has ended")
	}
	tc.recv(dataEnd(3, ""))
	tc.wantEvents("the end alone, as the very last octets", "request 3 POST /", "body 3 end")
}

func TestSection6_1_BodyPieces(t *testing.T) {
	tc := newTestConn(t, Config{})
	var pieces []string
	tc.app.body = func(_ *Stream, p []byte, end bool) { pieces = append(pieces, fmt.Sprintf("%s %v", p, end)) }
	tc.recv(tc.post(1))
	tc.whole = true
	for _, b := range [][]byte{data(1, "ab"), padded(1, "cd", 3, false), data(1, ""), padded(1, "", 3, false), padded(1, "ef", 3, true)} {
		tc.recv(b)
	}
	if got, want := fmt.Sprint(pieces), "[ab false cd false ef true]"; got != want {
		t.Errorf("pieces %s, want %s", got, want)
	}
	// Padding that comes after its data, octet by octet: the end comes last.
	pieces = nil
	tc.whole = false
	tc.recv(tc.post(3), padded(3, "xy", 3, true))
	if got, want := fmt.Sprint(pieces), "[x false y false  true]"; got != want {
		t.Errorf("pieces %s, want %s", got, want)
	}
}

// TestSection6_1_PaddingCounts returns the credit of padding at once, on both
// levels.
func TestSection6_1_PaddingCounts(t *testing.T) {
	tc := newTestConn(t, Config{StreamWindow: 70000, MaxStreamWindow: 70000, ConnWindow: 70000})
	tc.app.hold = true
	tc.recv(tc.post(1))
	for range 200 {
		tc.recv(padded(1, "x", 255, false)) // 257 octets each
	}
	tc.drain()
	s := tc.stream(1)
	if s.unread != 200 {
		t.Errorf("%d octets unread, want 200", s.unread)
	}
	if got := tc.peer.granted[1] + int64(s.recvWindow.unreturned); got != 200*256 {
		t.Errorf("%d octets of stream credit back, want all padding: %d", got, 200*256)
	}
	if got := tc.peer.granted[0] + int64(tc.c.recvWindow.unreturned) - (70000 - 65535); got != 200*257 {
		t.Errorf("%d octets of connection credit back, want all: %d", got, 200*257)
	}
}

func TestSection6_1_Malformed(t *testing.T) {
	for why, tt := range map[string]struct {
		frame []byte
		code  frames.ErrCode
	}{
		"DATA on stream 0":           {data(0, "x"), frames.ErrCodeProtocol},
		"padding is the payload":     {frame(frames.TypeData, frames.FlagPadded, 1, "\x03abc"), frames.ErrCodeNo},
		"padding above the payload":  {frame(frames.TypeData, frames.FlagPadded, 1, "\x04abc"), frames.ErrCodeProtocol},
		"no room for the pad length": {frame(frames.TypeData, frames.FlagPadded, 1, ""), frames.ErrCodeFrameSize},
		"DATA on an idle stream":     {data(3, "x"), frames.ErrCodeProtocol},
		"DATA on an even stream":     {data(2, "x"), frames.ErrCodeProtocol},
		"empty DATA on an idle one":  {data(3, ""), frames.ErrCodeProtocol},
	} {
		tc := newTestConn(t, Config{})
		tc.recv(tc.post(1), tt.frame)
		if tt.code == frames.ErrCodeNo {
			tc.wantIdle(why)
			continue
		}
		tc.wantConnError(why, tt.code)
	}
}

func TestSection4_2_DataTooLarge(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.recv(tc.post(1), data(1, strings.Repeat("x", 16384)))
	tc.wantEvents("16384 is allowed", "request 1 POST /", "body 1 "+strings.Repeat("x", 16384))
	tc.recv(data(1, strings.Repeat("x", 16385)))
	tc.wantReset("16385 is not: DATA costs its stream", 1, frames.ErrCodeFrameSize)
	tc.wantEvents("none of it is handed on", "closed 1 FRAME_SIZE_ERROR")
	tc.wantAlive("the frame was skipped", 3)
}

func TestSection5_1_DataOnHalfClosedRemote(t *testing.T) {
	for _, p := range []string{"late", ""} {
		tc := newTestConn(t, Config{})
		tc.recv(tc.post(1), dataEnd(1, "all"), data(1, p))
		tc.wantReset("after END_STREAM", 1, frames.ErrCodeStreamClosed)
		tc.wantEvents("", "request 1 POST /", "body 1 all end", "closed 1 STREAM_CLOSED")
		tc.wantAlive("", 3)
	}
}

func TestSection5_1_DataOnClosedStream(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answer("x")
	tc.recv(tc.get(1))
	tc.drain()
	tc.recv(data(1, "late"))
	tc.wantReset("both sides had ended it", 1, frames.ErrCodeStreamClosed)
	tc.recv(dataEnd(1, ""))
	tc.wantReset("an empty frame as well", 1, frames.ErrCodeStreamClosed)

	tc.answerHeaders()
	tc.recv(tc.post(3), rst(3, frames.ErrCodeCancel), data(3, "late"))
	tc.want("after the peer's own RST_STREAM", "HEADERS 3 :status=200", "RST_STREAM 3 STREAM_CLOSED")
	// A stream that was skipped is closed as well (RFC 9113, Section 5.1.1).
	tc.recv(tc.post(7), data(5, "late"))
	tc.want("never opened, closed by a higher one", "HEADERS 7 :status=200", "RST_STREAM 5 STREAM_CLOSED")
	tc.wantAlive("", 9)
}

// TestSection5_1_DataInFlightOnReset lets more DATA than the connection window
// arrive on a stream that we reset: it is counted, refunded and forgotten.
func TestSection5_1_DataInFlightOnReset(t *testing.T) {
	tc := newTestConn(t, Config{ConnWindow: 65535})
	tc.app.hold = true
	tc.whole = true
	tc.recv(tc.post(1), data(1, strings.Repeat("a", 10000)))
	tc.c.Reset(tc.stream(1), frames.ErrCodeCancel)
	tc.wantReset("", 1, frames.ErrCodeCancel)
	tc.wantEvents("", "request 1 POST /", "body 1 "+strings.Repeat("a", 10000), "closed 1 stream reset by the application")
	for range 20 {
		tc.recv(padded(1, strings.Repeat("b", 16000), 255, false))
	}
	tc.recv(dataEnd(1, "c"), tc.headers(1, true, "x: y"), rst(1, frames.ErrCodeCancel))
	for _, line := range tc.drain() {
		if !strings.HasPrefix(line, "WINDOW_UPDATE 0 ") {
			t.Errorf("%s: what was in flight is no error", line)
		}
	}
	tc.wantEvents("the application hears nothing of it")
	if got, want := tc.peer.granted[0]+int64(tc.c.recvWindow.unreturned), int64(10000+20*16256+1); got != want {
		t.Errorf("%d octets returned, want %d", got, want)
	}
	tc.wantAlive("", 3)
}

// TestSection5_1_ResetMidFrame resets a stream while its DATA frame is on its
// way: the rest is thrown away and refunded.
func TestSection5_1_ResetMidFrame(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.app.body = func(s *Stream, p []byte, _ bool) {
		if p[0] == '!' {
			tc.c.Reset(s, frames.ErrCodeCancel)
		}
	}
	tc.recv(tc.post(1), padded(1, "ab!cdefg", 20, true))
	tc.wantEvents("", "request 1 POST /", "body 1 ab!", "closed 1 stream reset by the application")
	tc.wantReset("", 1, frames.ErrCodeCancel)
	if got := tc.c.recvWindow.unreturned; got != 29 {
		t.Errorf("%d octets to return, want all 29", got)
	}
	tc.app.body = nil
	tc.wantAlive("", 3)
}

func TestSection6_9_1_ConnectionWindowOverrun(t *testing.T) {
	for _, over := range []int{0, 1} {
		tc := newTestConn(t, Config{ConnWindow: 65535, StreamWindow: 1 << 20, MaxUnread: 1})
		tc.app.hold = true
		tc.recv(tc.post(1), tc.post(3))
		tc.whole = true
		for range 3 {
			tc.recv(data(1, strings.Repeat("x", 16384)))
		}
		tc.recv(data(3, strings.Repeat("y", 65535-3*16384+over)))
		if over == 0 {
			tc.wantIdle("65535 octets are allowed, and credit is held back")
			tc.recv(data(3, ""), padded(3, "", 0, false)[:9])
			tc.wantConnError("an empty frame needs none, a pad length does", frames.ErrCodeFlowControl)
		} else {
			tc.wantConnError("65536 are not", frames.ErrCodeFlowControl)
		}
	}
}

// TestSection6_9_1_OverrunOnClosedStream counts what nobody reads.
func TestSection6_9_1_OverrunOnClosedStream(t *testing.T) {
	tc := newTestConn(t, Config{ConnWindow: 65535})
	tc.recv(tc.post(1), tc.post(3))
	tc.c.Reset(tc.stream(1), frames.ErrCodeCancel)
	b := frames.AppendHeader(nil, frames.Header{Length: 65536, StreamID: 1})
	tc.recv(b)
	tc.wantConnError("a frame above the connection window, although its stream is gone", frames.ErrCodeFlowControl)
}

func TestSection6_9_1_StreamWindowOverrun(t *testing.T) {
	tc := newTestConn(t, Config{StreamWindow: 1000})
	tc.app.hold = true
	tc.recv(tc.post(1), tc.post(3), data(1, strings.Repeat("x", 1000)))
	tc.wantIdle("1000 octets are allowed")
	tc.recv(data(1, ""))
	tc.wantIdle("an empty frame needs no window")
	tc.recv(padded(1, "", 5, false))
	tc.wantReset("padding does", 1, frames.ErrCodeFlowControl)
	tc.recv(data(3, strings.Repeat("x", 1001)))
	tc.wantReset("1001 are not allowed", 3, frames.ErrCodeFlowControl)
	tc.wantEvents("nothing of the frame is handed on", "request 1 POST /", "request 3 POST /",
		"body 1 "+strings.Repeat("x", 1000), "closed 1 FLOW_CONTROL_ERROR", "closed 3 FLOW_CONTROL_ERROR")
	tc.wantAlive("the connection goes on", 5)
}

// TestSection6_9_StreamCreditOnConsume returns a stream's credit as the
// application consumes, and enlarges the window of one that keeps up.
func TestSection6_9_StreamCreditOnConsume(t *testing.T) {
	tc := newTestConn(t, Config{StreamWindow: 1000, MaxStreamWindow: 3000})
	tc.app.hold = true
	tc.recv(tc.post(1), data(1, strings.Repeat("x", 1000)))
	tc.wantIdle("nothing is consumed")
	s := tc.stream(1)
	tc.c.Consume(s, 0)
	tc.c.Consume(s, 499)
	tc.wantIdle("less than half the window is owed")
	tc.c.Consume(s, 1)
	tc.want("half of it is; the application does not keep up, so the window stays", "WINDOW_UPDATE 1 +500")
	tc.c.Consume(s, 500)
	tc.want("now it has everything: the window doubles", "WINDOW_UPDATE 1 +1500")
	if s.recvWindow.size != 2000 {
		t.Errorf("window %d, want 2000", s.recvWindow.size)
	}
	tc.recv(data(1, strings.Repeat("x", 2000)))
	tc.c.Consume(s, 2000)
	tc.want("and reaches its limit", "WINDOW_UPDATE 1 +3000")
	tc.recv(data(1, strings.Repeat("x", 3000)))
	tc.c.Consume(s, 3000)
	tc.want("and stays there", "WINDOW_UPDATE 1 +3000")
	tc.recv(dataEnd(1, strings.Repeat("x", 3000)))
	tc.c.Consume(s, 3000)
	tc.wantIdle("after END_STREAM nobody needs credit")
	mustPanic(t, "h2: more consumed than was received", func() { tc.c.Consume(s, 1) })
}

func TestSection6_9_WindowsOfConfigMakeSense(t *testing.T) {
	tc := newTestConn(t, Config{StreamWindow: 2 << 20, MaxStreamWindow: 1 << 20})
	tc.whole = true
	tc.recv(tc.post(1))
	for range 64 {
		tc.recv(data(1, strings.Repeat("x", 16384)))
	}
	tc.drain()
	if w := tc.stream(1).recvWindow; w.size != 2<<20 {
		t.Errorf("window %d, want 2 MiB: it does not shrink", w.size)
	}
}

// TestSection6_9_DefaultWindows grows a stream's window from 256 KiB to 1 MiB.
func TestSection6_9_DefaultWindows(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.whole = true
	tc.recv(tc.post(1))
	for _, want := range []int32{256 << 10, 512 << 10, 1 << 20, 1 << 20} {
		s := tc.stream(1)
		if got := s.recvWindow.size; got != want {
			t.Errorf("window %d, want %d", got, want)
		}
		for n := int32(0); n < want/2; n += 16384 {
			tc.recv(data(1, strings.Repeat("x", 16384)))
		}
		tc.drain()
		tc.app.events = nil
	}
}

// TestSection6_9_ConnectionCredit returns connection credit on receipt, up to
// MaxUnread, and later as bodies are consumed.
func TestSection6_9_ConnectionCredit(t *testing.T) {
	tc := newTestConn(t, Config{ConnWindow: 65536, StreamWindow: 1 << 20, MaxUnread: 100 << 10})
	tc.app.hold = true
	tc.whole = true
	tc.recv(tc.post(1), tc.post(3))
	piece := strings.Repeat("x", 16<<10)
	for range 6 { // 96 KiB
		tc.recv(data(1, piece))
	}
	tc.want("credit returns although nothing is consumed", "WINDOW_UPDATE 0 +32768", "WINDOW_UPDATE 0 +32768", "WINDOW_UPDATE 0 +32768")
	for range 3 {
		tc.recv(data(1, piece))
	}
	tc.wantIdle("beyond 100 KiB unread it does not")
	if tc.c.held != 48<<10 || tc.c.unread != 144<<10 {
		t.Errorf("held %d of %d unread, want 48 KiB of 144", tc.c.held, tc.c.unread)
	}
	tc.c.Consume(tc.stream(1), 16<<10)
	tc.wantIdle("less than half the window is owed")
	tc.c.Consume(tc.stream(1), 16<<10)
	tc.want("consuming returns what was held back", "WINDOW_UPDATE 0 +32768")
	tc.recv(data(3, piece), data(3, piece))
	tc.wantIdle("another stream of the connection waits too")
	tc.c.Reset(tc.stream(1), frames.ErrCodeCancel)
	tc.want("a stream that dies returns what was held", "RST_STREAM 1 CANCEL", "WINDOW_UPDATE 0 +49152")
	if tc.c.held != 0 || tc.c.unread != 32<<10 {
		t.Errorf("held %d of %d unread, want 0 of 32 KiB", tc.c.held, tc.c.unread)
	}
	tc.recv(data(3, piece))
	tc.wantIdle("and credit returns on receipt again: a quarter is owed")
	tc.recv(data(3, piece))
	tc.want("and a half", "WINDOW_UPDATE 0 +32768")
}

// TestSection6_9_DeadlockFree uploads through two small windows for long.
func TestSection6_9_DeadlockFree(t *testing.T) {
	tc := newTestConn(t, Config{ConnWindow: 65535, StreamWindow: 100, MaxStreamWindow: 100, MaxUnread: 50})
	tc.app.hold = true
	tc.app.body = func(s *Stream, p []byte, _ bool) { tc.c.Consume(s, len(p)) }
	tc.recv(tc.post(1))
	tc.drain()
	credit := int64(100)
	for sent := 0; sent < 200_000; {
		n := min(int(credit), 77)
		if n == 0 {
			t.Fatalf("no credit after %d octets", sent)
		}
		tc.whole = sent%2 == 0
		tc.recv(data(1, strings.Repeat("x", n)))
		sent += n
		before := tc.peer.granted[1]
		tc.drain()
		tc.app.events = tc.app.events[:0]
		credit += tc.peer.granted[1] - before - int64(n)
	}
}

// TestSection5_1_HeadersAfterBothEnds names the right code for a stream that the
// peer has ended after our answer.
func TestSection5_1_HeadersAfterBothEnds(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answer("early")
	tc.recv(tc.post(1), dataEnd(1, "body"), tc.headers(1, true, "x: y"))
	tc.wantConnError("", frames.ErrCodeStreamClosed)
}

// TestConsumeAfterClose: an application that resets in Body and then consumes,
// as it always does, is right.
func TestConsumeAfterClose(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.app.hold = true
	tc.app.body = func(s *Stream, p []byte, _ bool) {
		tc.c.Reset(s, frames.ErrCodeCancel)
		tc.c.Consume(s, len(p))
	}
	tc.app.closed = func(s *Stream, _ error) { tc.c.Consume(s, 1) }
	tc.recv(tc.post(1), data(1, "x"))
	tc.wantReset("", 1, frames.ErrCodeCancel)
}

// TestSection8_1_ConsumeAtTheEnd consumes within the last Body of a stream
// whose response is complete.
func TestSection8_1_ConsumeAtTheEnd(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.app.hold = true
	tc.answer("early")
	tc.app.body = func(s *Stream, p []byte, _ bool) { tc.c.Consume(s, len(p)) }
	tc.recv(tc.post(1), dataEnd(1, "body"))
	tc.wantEvents("", "request 1 POST /", "body 1 body end", "closed 1 ok")
	if got := tc.c.recvWindow.unreturned; got != 4 {
		t.Errorf("%d octets to return, want 4", got)
	}
}
