package h2

import (
	"math"
	"testing"

	"github.com/h2loop/h2loop/frames"
)

func TestSection6_7_Ping(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.recv([]byte("\x00\x00\x08\x06\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04\x05\x06\x07"))
	var b []byte
	for _, p := range tc.c.Pending() {
		b = append(b, p...)
	}
	if want := "\x00\x00\x08\x06\x01\x00\x00\x00\x00\x00\x01\x02\x03\x04\x05\x06\x07"; string(b) != want {
		t.Errorf("answer %x, want %x", b, want)
	}
	tc.drain()
	tc.recv(frames.AppendPing(nil, frames.Ping{Ack: true}))
	tc.wantIdle("an answer is not answered")
}

func TestSection6_7_Malformed(t *testing.T) {
	for why, tt := range map[string]struct {
		frame []byte
		code  frames.ErrCode
	}{
		"PING on a stream":   {frame(frames.TypePing, 0, 1, "12345678"), frames.ErrCodeProtocol},
		"PING of 7":          {frame(frames.TypePing, 0, 0, "1234567"), frames.ErrCodeFrameSize},
		"PING of 9":          {frame(frames.TypePing, 0, 0, "123456789"), frames.ErrCodeFrameSize},
		"empty PING":         {frame(frames.TypePing, 0, 0, ""), frames.ErrCodeFrameSize},
		"GOAWAY on a stream": {frame(frames.TypeGoAway, 0, 1, "\x00\x00\x00\x00\x00\x00\x00\x00"), frames.ErrCodeProtocol},
		"GOAWAY of 7":        {frame(frames.TypeGoAway, 0, 0, "\x00\x00\x00\x00\x00\x00\x00"), frames.ErrCodeFrameSize},
	} {
		tc := newTestConn(t, Config{})
		tc.recv(tt.frame)
		tc.wantConnError(why, tt.code)
	}
}

// PING is answered before anything else that waits.
func TestSection6_7_PingPassesData(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answerHeaders()
	tc.recv(tc.get(1))
	tc.drain()
	mustDo(t, tc.c.WriteRegion(tc.stream(1), make([]byte, 5000), nil, true))
	tc.recv(ping("12345678"))
	tc.want("DATA is cut when the batch is about to leave", `PING ACK "12345678"`, "DATA 1 len=5000 END_STREAM")
}

func TestSection6_9_WindowUpdate(t *testing.T) {
	const any = math.MaxUint32
	for _, tt := range []struct {
		why   string
		frame []byte
		conn  frames.ErrCode // of a connection error, or any
		reset frames.ErrCode // of a stream error, or any
	}{
		{"0 on the connection", windowUpdate(0, 0), frames.ErrCodeProtocol, any},
		{"0 on a stream", windowUpdate(1, 0), any, frames.ErrCodeProtocol},
		{"0 on an idle stream", windowUpdate(9, 0), frames.ErrCodeProtocol, any},
		{"on an idle stream", windowUpdate(9, 1), frames.ErrCodeProtocol, any},
		{"on an even stream", windowUpdate(2, 1), frames.ErrCodeProtocol, any},
		{"3 octets", frame(frames.TypeWindowUpdate, 0, 1, "\x00\x00\x01"), frames.ErrCodeFrameSize, any},
		{"5 octets", frame(frames.TypeWindowUpdate, 0, 0, "\x00\x00\x01\x00\x00"), frames.ErrCodeFrameSize, any},
		{"connection above 2^31-1", windowUpdate(0, maxWindow-65534), frames.ErrCodeFlowControl, any},
		{"connection to 2^31-1", windowUpdate(0, maxWindow-65535), any, any},
		{"stream above 2^31-1", windowUpdate(1, maxWindow-65534), any, frames.ErrCodeFlowControl},
		{"stream to 2^31-1", windowUpdate(1, maxWindow-65535), any, any},
		{"reserved bit", frame(frames.TypeWindowUpdate, 0, 1, "\x80\x00\x00\x01"), any, any},
		{"on a closed stream", windowUpdate(3, 1), any, any},
		{"2^31-1 on a closed stream", windowUpdate(3, maxWindow), any, any},
	} {
		tc := newTestConn(t, Config{})
		tc.answerHeaders()
		tc.recv(tc.post(1), tc.get(3), rst(3, frames.ErrCodeCancel))
		tc.drain()
		tc.recv(tt.frame)
		switch {
		case tt.conn != any:
			tc.wantConnError(tt.why, tt.conn)
		case tt.reset != any:
			tc.wantReset(tt.why, 1, tt.reset)
			tc.wantAlive(tt.why, 11)
		default:
			tc.wantIdle(tt.why)
			tc.wantAlive(tt.why, 11)
		}
	}
}

func TestSection6_4_RSTStream(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.recv(tc.get(1), rst(1, frames.ErrCodeCancel))
	tc.wantEvents("", "request 1 GET / end", "closed 1 stream reset by peer")
	tc.recv(rst(1, frames.ErrCodeCancel))
	tc.wantIdle("a second one says nothing new, and neither is answered")
	for why, tt := range map[string]struct {
		frame []byte
		code  frames.ErrCode
	}{
		"on stream 0":       {rst(0, frames.ErrCodeCancel), frames.ErrCodeProtocol},
		"on an idle stream": {rst(9, frames.ErrCodeCancel), frames.ErrCodeProtocol},
		"on an even stream": {rst(2, frames.ErrCodeCancel), frames.ErrCodeProtocol},
		"of 3 octets":       {frame(frames.TypeRSTStream, 0, 1, "\x00\x00\x00"), frames.ErrCodeFrameSize},
		"of 5 octets":       {frame(frames.TypeRSTStream, 0, 1, "\x00\x00\x00\x00\x00"), frames.ErrCodeFrameSize},
	} {
		tc := newTestConn(t, Config{})
		tc.recv(tc.get(1), tt.frame)
		tc.wantConnError("RST_STREAM "+why, tt.code)
	}
}

// TestSection5_1_HeadersAfterPeersReset: the peer has given the stream up and
// may not use it again.
func TestSection5_1_HeadersAfterPeersReset(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.recv(tc.post(1), rst(1, frames.ErrCodeCancel), tc.headers(1, true, "x: y"))
	tc.wantConnError("", frames.ErrCodeStreamClosed)
}

func TestSection6_4_Reset(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.recv(tc.get(1))
	s := tc.stream(1)
	tc.c.Reset(s, frames.ErrCodeInternal)
	tc.wantEvents("", "request 1 GET / end", "closed 1 stream reset by the application")
	tc.c.Reset(s, frames.ErrCodeInternal)
	tc.wantReset("once, also for an application that holds on to the stream", 1, frames.ErrCodeInternal)
}

// TestSection6_4_ResetWhereNothingIsLeft: an application that resets a stream
// within its last events sends nothing, for both sides have ended.
func TestSection6_4_ResetWhereNothingIsLeft(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.app.closed = func(s *Stream, _ error) { tc.c.Reset(s, frames.ErrCodeCancel) }
	tc.answer("x")
	tc.recv(tc.get(1))
	tc.want("from Closed", "HEADERS 1 :status=200", `DATA 1 "x" END_STREAM`)
	tc.recv(tc.post(3), rst(3, frames.ErrCodeCancel))
	tc.want("from Closed, after the peer's", "HEADERS 3 :status=200", `DATA 3 "x" END_STREAM`)
	tc.app.events = nil
	tc.app.closed = nil
	tc.app.body = func(s *Stream, _ []byte, _ bool) { tc.c.Reset(s, frames.ErrCodeCancel) }
	tc.recv(tc.post(5), dataEnd(5, ""))
	tc.want("from the last Body, after the answer", "HEADERS 5 :status=200", `DATA 5 "x" END_STREAM`)
	tc.wantEvents("", "request 5 POST /", "body 5 end", "closed 5 ok")
}

func TestSection6_3_Priority(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.recv(frame(frames.TypePriority, 0, 1, "\x80\x00\x00\x05\xff"), frame(frames.TypePriority, 0, 100, "\x00\x00\x00\x00\x00"))
	tc.wantIdle("it is ignored, on idle streams and even ones")
	tc.wantAlive("and opens no stream", 1)
	tc.recv(frame(frames.TypePriority, 0, 1, "\x00\x00\x00\x05\xff"))
	tc.wantIdle("and on closed ones")

	tc.recv(tc.post(3), frame(frames.TypePriority, 0, 3, "\x00\x00\x00\x00"))
	tc.wantReset("4 octets cost the stream", 3, frames.ErrCodeFrameSize)
	tc.recv(tc.post(5), frame(frames.TypePriority, 0, 5, "\x00\x00\x00\x05\x00"))
	tc.wantReset("a stream that depends on itself", 5, frames.ErrCodeProtocol)
	tc.wantAlive("", 7)

	for why, tt := range map[string]struct {
		frame []byte
		code  frames.ErrCode
	}{
		"on stream 0":            {frame(frames.TypePriority, 0, 0, "\x00\x00\x00\x05\xff"), frames.ErrCodeProtocol},
		"4 octets, idle":         {frame(frames.TypePriority, 0, 9, "\x00\x00\x00\x00"), frames.ErrCodeFrameSize},
		"on itself, idle":        {frame(frames.TypePriority, 0, 9, "\x00\x00\x00\x09\x00"), frames.ErrCodeProtocol},
		"on itself, even stream": {frame(frames.TypePriority, 0, 8, "\x00\x00\x00\x08\x00"), frames.ErrCodeProtocol},
	} {
		tc := newTestConn(t, Config{})
		tc.recv(tt.frame)
		tc.wantConnError("RST_STREAM must not be sent on an idle stream: "+why, tt.code)
	}
}

func TestSection6_8_ShutdownInTwoSteps(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answerHeaders()
	tc.recv(tc.get(1))
	tc.drain()
	if tc.c.Draining() {
		t.Error("draining before anything")
	}
	tc.c.Shutdown()
	tc.c.Shutdown()
	tc.want("the peer is warned", "GOAWAY last=2147483647 NO_ERROR", `PING "goingawy"`)
	if !tc.c.Draining() || tc.c.Finished() {
		t.Error("draining and not finished is what it should be")
	}
	tc.recv(tc.post(3))
	tc.want("streams opened meanwhile count", "HEADERS 3 :status=200")
	tc.recv(frames.AppendPing(nil, frames.Ping{Ack: true, Data: [8]byte([]byte("whatever"))}))
	tc.wantIdle("another PING's answer proves nothing")
	tc.recv(frames.AppendPing(nil, frames.Ping{Ack: true, Data: [8]byte([]byte("goingawy"))}))
	tc.want("now the last stream is known", "GOAWAY last=3 NO_ERROR shutting down")
	tc.recv(frames.AppendPing(nil, frames.Ping{Ack: true, Data: [8]byte([]byte("goingawy"))}))
	tc.wantIdle("once")

	tc.app.events = nil
	tc.recv(tc.post(5, "x-new: in the table"), data(5, "body"), windowUpdate(5, 1), tc.headers(5, true, "x: y"), rst(5, frames.ErrCodeCancel), rst(7, frames.ErrCodeCancel))
	tc.wantIdle("streams above it are ignored")
	tc.wantEvents("by the application too")
	tc.app.body = func(s *Stream, _ []byte, end bool) {
		if end {
			mustDo(t, tc.c.WriteTrailers(s, s.Request.Trailers))
		}
	}
	tc.recv(data(3, "body"), tc.headers(3, true, "x-new: in the table"))
	tc.want("those below are served, and the tables agree", "HEADERS 3 x-new=in the table END_STREAM")
	if tc.c.Finished() {
		t.Error("finished with a stream open")
	}
	mustDo(t, tc.c.Write(tc.stream(1), []byte("bye"), true))
	if !tc.c.Finished() {
		t.Error("not finished")
	}
	tc.want("the last octets still leave", `DATA 1 "bye" END_STREAM`)
	tc.recv(ping("12345678"))
	tc.wantIdle("and nobody listens any more")
}

func TestSection6_8_ShutdownWithoutStreams(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.c.Shutdown()
	tc.drain()
	tc.recv(frames.AppendPing(nil, frames.Ping{Ack: true, Data: drainPing}))
	tc.want("", "GOAWAY last=0 NO_ERROR shutting down")
	if !tc.c.Finished() {
		t.Error("not finished")
	}
	tc.c.Shutdown()
	tc.c.GoAway(frames.ErrCodeInternal, "")
	tc.wantIdle("nothing follows the last GOAWAY of a finished connection")
}

// TestSection6_8_UnsolicitedPingAnswer: only our own PING counts.
func TestSection6_8_UnsolicitedPingAnswer(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.recv(frames.AppendPing(nil, frames.Ping{Ack: true, Data: drainPing}))
	tc.wantIdle("nobody is going away")
	if tc.c.Draining() {
		t.Error("draining")
	}
}

func TestSection6_8_PeerGoesAway(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answerHeaders()
	tc.recv(tc.get(1), frames.AppendGoAway(nil, frames.GoAway{Code: frames.ErrCodeNo, Debug: []byte("bye")}))
	tc.want("we leave too, when the streams are done", "HEADERS 1 :status=200", "GOAWAY last=1 NO_ERROR")
	tc.recv(frames.AppendGoAway(nil, frames.GoAway{LastStreamID: 1, Code: frames.ErrCodeEnhanceYourCalm}))
	tc.wantIdle("a second GOAWAY is legitimate")
	mustDo(t, tc.c.Write(tc.stream(1), nil, true))
	tc.want("", `DATA 1 "" END_STREAM`)
	if !tc.c.Finished() {
		t.Error("not finished")
	}

	tc = newTestConn(t, Config{})
	tc.recv(frames.AppendGoAway(nil, frames.GoAway{}))
	tc.want("without streams it is over", "GOAWAY last=0 NO_ERROR")
	if !tc.c.Finished() {
		t.Error("not finished")
	}

	tc = newTestConn(t, Config{})
	tc.answerHeaders()
	tc.c.Shutdown()
	tc.drain()
	tc.recv(tc.get(1), frames.AppendGoAway(nil, frames.GoAway{}))
	tc.want("in the middle of our own shutdown", "HEADERS 1 :status=200", "GOAWAY last=1 NO_ERROR")
	tc.recv(frames.AppendPing(nil, frames.Ping{Ack: true, Data: drainPing}))
	tc.wantIdle("one last GOAWAY is enough")
}

func TestSection5_4_1_GoAway(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.recv(tc.get(1), tc.post(3))
	tc.c.GoAway(frames.ErrCodeEnhanceYourCalm, "too slow")
	tc.c.GoAway(frames.ErrCodeInternal, "again")
	tc.wantEvents("every stream is cut off", "request 1 GET / end", "request 3 POST /",
		"closed 1 connection ENHANCE_YOUR_CALM", "closed 3 connection ENHANCE_YOUR_CALM")
	tc.want("and the peer is told once", "GOAWAY last=3 ENHANCE_YOUR_CALM too slow")
	if !tc.c.Finished() || !tc.c.Draining() {
		t.Error("not finished")
	}
}

// TestSection5_4_1_ErrorWhileDraining overrides the graceful one.
func TestSection5_4_1_ErrorWhileDraining(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.recv(tc.get(1), frames.AppendGoAway(nil, frames.GoAway{}))
	tc.want("", "GOAWAY last=1 NO_ERROR")
	tc.recv(frame(frames.TypePing, 0, 1, "12345678"))
	tc.wantConnError("an error still is one", frames.ErrCodeProtocol)
}

// TestSection5_1_EvenStreamsAfterGoAway: what nobody can have opened is an
// error also where streams above the last are ignored.
func TestSection5_1_EvenStreamsAfterGoAway(t *testing.T) {
	for _, b := range [][]byte{data(2, "x"), rst(2, 0), windowUpdate(2, 1)} {
		tc := newTestConn(t, Config{})
		tc.recv(tc.get(1), frames.AppendGoAway(nil, frames.GoAway{}), b)
		tc.wantConnError("", frames.ErrCodeProtocol)
	}
}
