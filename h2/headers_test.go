package h2

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/internal/message"
)

// headerFrames cuts a block at the given places into HEADERS and CONTINUATION.
func headerFrames(id frames.StreamID, end bool, block []byte, cuts ...int) (b []byte) {
	at := 0
	for i, cut := range append(cuts, len(block)) {
		cut = min(cut, len(block))
		last := i == len(cuts)
		if i == 0 {
			b = frames.AppendHeaders(b, frames.Headers{StreamID: id, Fragment: block[at:cut], EndStream: end, EndHeaders: last})
		} else {
			b = frames.AppendContinuation(b, frames.Continuation{StreamID: id, Fragment: block[at:cut], EndHeaders: last})
		}
		at = cut
	}
	return b
}

// TestSection6_2_LiteralRequest is a request as it is on the wire.
func TestSection6_2_LiteralRequest(t *testing.T) {
	tc := newTestConn(t, Config{})
	var got Request
	tc.app.request = func(s *Stream) {
		got = s.Request
		got.Fields = slices.Clone(got.Fields)
		mustDo(t, tc.c.WriteHeaders(s, 200, nil, true))
	}
	tc.recv([]byte("\x00\x00\x1a\x01\x05\x00\x00\x00\x01" +
		"\x82\x87\x85" + // :method GET, :scheme https, :path /index.html
		"\x01\x09a.example" + // :authority, literal
		"\x00\x03x-y\x06a, b c"))
	if got.Method != "GET" || got.Scheme != "https" || got.Path != "/index.html" || got.Authority != "a.example" ||
		got.Protocol != "" || got.ContentLength != 0 || len(got.Trailers) != 0 ||
		!slices.Equal(got.Fields, []Field{{Name: "x-y", Value: "a, b c"}}) {
		t.Errorf("request %+v", got)
	}
	tc.wantEvents("", "request 1 GET /index.html end", "closed 1 ok")
	tc.turn()
	if h := tc.peer.blocks[0]; string(h) != "\x88" {
		t.Errorf("response block %x, want 88: one index", h)
	}
}

func TestSection6_10_BlockInAllSplits(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answer("x")
	id := frames.StreamID(1)
	check := func(b []byte, why string) {
		t.Helper()
		tc.recv(b)
		tc.wantEvents(why, fmt.Sprintf("request %d GET / end", id), fmt.Sprintf("closed %d ok", id))
		tc.want(why, fmt.Sprintf("HEADERS %d :status=200", id), fmt.Sprintf(`DATA %d "x" END_STREAM`, id))
		id += 2
	}
	// The second :authority is literal with incremental indexing, so that a
	// block decoded twice over, or not, would be seen.
	for _, plain := range []string{"\x82\x87\x84\x01\x09a.example\x00\x03x-y\x06a, b c", "\x82\x87\x84\x41\x83\x1c\x64\x5f"} {
		for i := 0; i <= len(plain); i++ {
			for j := i; j <= len(plain); j++ {
				check(headerFrames(id, true, []byte(plain), i, j), fmt.Sprintf("cut at %d and %d", i, j))
			}
		}
	}
	block := []byte("\x82\x87\x84\x01\x09a.example\x00\x03x-y\x06a, b c")
	cuts := make([]int, len(block)-1)
	for i := range cuts {
		cuts[i] = i + 1
	}
	check(headerFrames(id, true, block, cuts...), "one octet a frame")
}

func TestSection6_2_PaddingAndPriorityInHeaders(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answer("x")
	for i, f := range []frames.Headers{
		{Padded: true},
		{Padded: true, PadLength: 255},
		{HasPriority: true, Priority: frames.PriorityParam{StreamDependency: 99, Weight: 7, Exclusive: true}},
		{Padded: true, PadLength: 3, HasPriority: true},
	} {
		f.StreamID = frames.StreamID(2*i + 1)
		f.EndStream, f.EndHeaders = true, true
		f.Fragment = tc.block(requestFields("GET", nil)...)
		tc.recv(frames.AppendHeaders(nil, f))
		tc.want("neither changes the request", fmt.Sprintf("HEADERS %d :status=200", f.StreamID), fmt.Sprintf(`DATA %d "x" END_STREAM`, f.StreamID))
	}
}

func TestSection6_2_Malformed(t *testing.T) {
	for why, tt := range map[string]struct {
		frame []byte
		code  frames.ErrCode
	}{
		"HEADERS on stream 0":        {frame(frames.TypeHeaders, 5, 0, "\x82"), frames.ErrCodeProtocol},
		"padding above the payload":  {frame(frames.TypeHeaders, 5|frames.FlagPadded, 1, "\x03\x82\x00"), frames.ErrCodeProtocol},
		"no room for the pad length": {frame(frames.TypeHeaders, 5|frames.FlagPadded, 1, ""), frames.ErrCodeFrameSize},
		"no room for the priority":   {frame(frames.TypeHeaders, 5|frames.FlagPriority, 1, "\x00\x00\x00\x00"), frames.ErrCodeFrameSize},
		"CONTINUATION on stream 0":   {frame(frames.TypeContinuation, 4, 0, "\x82"), frames.ErrCodeProtocol},
		"CONTINUATION from nowhere":  {frame(frames.TypeContinuation, 4, 1, "\x82"), frames.ErrCodeProtocol},
		"HEADERS of 16385":           {frame(frames.TypeHeaders, 5, 1, strings.Repeat("\x82", 16385)), frames.ErrCodeFrameSize},
		"PUSH_PROMISE":               {frame(frames.TypePushPromise, 4, 1, "\x00\x00\x00\x02\x82"), frames.ErrCodeProtocol},
	} {
		tc := newTestConn(t, Config{})
		tc.recv(tt.frame)
		tc.wantConnError(why, tt.code)
	}
	// And after a complete block.
	tc := newTestConn(t, Config{})
	tc.recv(tc.post(1), frame(frames.TypeContinuation, 4, 1, ""))
	tc.wantConnError("CONTINUATION after END_HEADERS", frames.ErrCodeProtocol)
}

func TestSection6_2_NothingInsideABlock(t *testing.T) {
	for why, b := range map[string][]byte{
		"DATA":            data(1, "x"),
		"HEADERS":         frame(frames.TypeHeaders, 5, 3, "\x82"),
		"PRIORITY":        frame(frames.TypePriority, 0, 1, "\x00\x00\x00\x00\x00"),
		"RST_STREAM":      rst(1, frames.ErrCodeCancel),
		"SETTINGS":        settings(),
		"PING":            ping("12345678"),
		"GOAWAY":          frames.AppendGoAway(nil, frames.GoAway{}),
		"WINDOW_UPDATE":   windowUpdate(0, 1),
		"unknown":         frame(0x77, 0, 1, ""),
		"another stream":  frame(frames.TypeContinuation, 4, 5, "\x82"),
		"PRIORITY_UPDATE": frames.AppendPriorityUpdate(nil, frames.PriorityUpdate{PrioritizedStreamID: 1}),
	} {
		for _, open := range []string{"request", "trailers", "refused"} {
			tc := newTestConn(t, Config{MaxConcurrentStreams: 1})
			switch open {
			case "trailers":
				tc.recv(tc.post(1))
			case "refused":
				tc.recv(tc.post(1))
				tc.recv(headerFrames(3, true, tc.block(requestFields("GET", nil)...), 1)[:10])
				tc.recv(b)
				tc.wantConnError(why+" inside a block that is refused", frames.ErrCodeProtocol)
				continue
			}
			tc.recv(headerFrames(1, true, []byte("\x82"), 1)[:10]) // HEADERS without END_HEADERS
			tc.recv(b)
			tc.wantConnError(why+" inside the block of "+open, frames.ErrCodeProtocol)
		}
	}
}

func TestSection10_5_1_ContinuationFlood(t *testing.T) {
	for n, ok := range map[int]bool{maxContinuations: true, maxContinuations + 1: false} {
		tc := newTestConn(t, Config{})
		tc.answer("x")
		b := frames.AppendHeaders(nil, frames.Headers{StreamID: 1, EndStream: true, Fragment: tc.block(requestFields("GET", nil)...)})
		for i := range n {
			b = frames.AppendContinuation(b, frames.Continuation{StreamID: 1, EndHeaders: i == n-1})
		}
		tc.recv(b)
		if ok {
			tc.want("128 are allowed", "HEADERS 1 :status=200", `DATA 1 "x" END_STREAM`)
		} else {
			tc.wantConnError("129 are not", frames.ErrCodeEnhanceYourCalm)
		}
	}
	// The count begins anew with each block.
	tc := newTestConn(t, Config{})
	tc.answer("x")
	for id := range frames.StreamID(4) {
		b := frames.AppendHeaders(nil, frames.Headers{StreamID: 2*id + 1, EndStream: true, Fragment: tc.block(requestFields("GET", nil)...)})
		for i := range 100 {
			b = frames.AppendContinuation(b, frames.Continuation{StreamID: 2*id + 1, EndHeaders: i == 99})
		}
		tc.recv(b)
	}
	if n := len(tc.drain()); n != 8 {
		t.Errorf("%d frames, want 4 answers", n)
	}
}

// listSize is a header list's size as RFC 9113, Section 6.5.2 counts it.
func listSize(fields []string) (n int) {
	for _, f := range fields {
		p := parseField(f)
		n += len(p.Name) + len(p.Value) + 32
	}
	return n
}

func TestSection6_5_2_HeaderListLimit(t *testing.T) {
	const limit = 1000
	base := requestFields("GET", nil)
	fill := limit - listSize(base) - len("x-fill") - 32
	for n, ok := range map[int]bool{fill: true, fill + 1: false} {
		tc := newTestConn(t, Config{MaxHeaderListSize: limit})
		tc.answer("x")
		// Late fields are in the table although nobody looks at them.
		tc.recv(tc.headers(1, true, append(base, "x-fill: "+strings.Repeat("a", n))...))
		if ok {
			tc.want("1000 octets are allowed", "HEADERS 1 :status=200", `DATA 1 "x" END_STREAM`)
		} else {
			tc.want("1001 are not", "HEADERS 1 :status=431 content-length=0 END_STREAM")
			tc.wantEvents("and the application is not bothered")
		}
		tc.wantAlive("the connection goes on", 3)
	}
}

func TestRFC6585Section5_HeaderListTooLong(t *testing.T) {
	tc := newTestConn(t, Config{MaxHeaderListSize: 1000})
	many := requestFields("POST", nil)
	for i := range 40 {
		many = append(many, fmt.Sprintf("x-%d: %s", i, strings.Repeat("v", 30)))
	}
	tc.recv(tc.headers(1, false, many...))
	tc.want("431, and nothing more is wanted of the request",
		"HEADERS 1 :status=431 content-length=0 END_STREAM", "RST_STREAM 1 NO_ERROR")
	tc.wantEvents("the application never sees it")
	tc.recv(dataEnd(1, "the body was on its way"))
	tc.wantIdle("and is ignored")
	if tc.c.OpenStreams() != 0 {
		t.Error("the stream is still open")
	}
	// In the same turn the peer completes the request.
	tc.recv(tc.headers(3, false, many...), data(3, "some"), dataEnd(3, "body"))
	tc.want("no RST_STREAM is needed", "HEADERS 3 :status=431 content-length=0 END_STREAM")
	// Trailers complete it as well.
	tc.recv(tc.headers(5, false, many...), tc.headers(5, true, "x: y"))
	tc.want("no RST_STREAM is needed", "HEADERS 5 :status=431 content-length=0 END_STREAM")
	// The fields past the limit were entered into the table all the same.
	tc.app.request = func(s *Stream) {
		for _, f := range s.Request.Fields {
			if f.Value != strings.Repeat("v", 30) {
				t.Errorf("the tables differ: %v", f)
			}
		}
		mustDo(t, tc.c.WriteHeaders(s, 200, nil, true))
	}
	tc.recv(tc.headers(7, true, requestFields("GET", many[35:])...))
	tc.want("", "HEADERS 7 :status=200 END_STREAM")
}

// TestSection10_5_1_HeaderBomb sends few octets that decode to many.
func TestSection10_5_1_HeaderBomb(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answer("x")
	tc.whole = true
	tc.recv(tc.headers(1, true, requestFields("GET", []string{"x-bomb: " + strings.Repeat("b", 4000)})...))
	tc.want("4000 octets are in the table", "HEADERS 1 :status=200", `DATA 1 "x" END_STREAM`)
	// 0xbe is the newest entry of the dynamic table: 16000 of it are 64 MB.
	block := append(tc.block(requestFields("GET", nil)...), strings.Repeat("\xbe", 16000)...)
	tc.recv(frames.AppendHeaders(nil, frames.Headers{StreamID: 3, Fragment: block, EndStream: true, EndHeaders: true}))
	tc.want("the list is too long", "HEADERS 3 :status=431 content-length=0 END_STREAM")
	for _, s := range tc.sh.streams.Values() {
		if cap(s.Request.Fields) > message.MaxKeptFields {
			t.Errorf("a free stream keeps %d fields", cap(s.Request.Fields))
		}
	}
	tc.wantAlive("the connection goes on", 5)
}

func TestSection10_5_1_BlockFarAboveTheLimit(t *testing.T) {
	const limit = 1000
	block := func(n int) []byte { // n octets of small fields that are not indexed
		b := []byte("\x82\x87\x84\x01\x01a")
		for len(b) < n {
			b = append(b, "\x00\x01x\x06abcdef"...)
		}
		return b
	}
	tc := newTestConn(t, Config{MaxHeaderListSize: limit})
	tc.recv(headerFrames(1, true, block(4*limit-10)))
	tc.want("four times the limit is decoded", "HEADERS 1 :status=431 content-length=0 END_STREAM")
	tc.recv(headerFrames(3, true, block(4*limit+1)))
	tc.wantConnError("more is an attack", frames.ErrCodeEnhanceYourCalm)

	tc = newTestConn(t, Config{MaxHeaderListSize: limit})
	tc.recv(headerFrames(1, true, block(4*limit+1), 2000, 3000))
	tc.wantConnError("also in pieces", frames.ErrCodeEnhanceYourCalm)

	tc = newTestConn(t, Config{MaxHeaderListSize: limit, MaxConcurrentStreams: 1})
	tc.recv(tc.post(1), headerFrames(3, true, block(4*limit+1), 2000, 3000))
	tc.wantConnError("also if it is refused", frames.ErrCodeEnhanceYourCalm)
}

func TestSection10_5_1_StringAboveTheLimit(t *testing.T) {
	for why, b := range map[string]string{
		"literal":          "\x00\x01x" + "\x7f\xea\x06" + strings.Repeat("a", 1001),
		"its length alone": "\x00\x01x" + "\x7f\xff\xff\x7f",
		// 0x1f is the Huffman code of a, five bits: 00011.
		"Huffman": "\x00\x01x" + "\xff\xf4\x03" + strings.Repeat("\x18\xc6\x31\x8c\x63", 127)[:627-2] + strings.Repeat("\x18\xc6\x31\x8c\x63", 1)[:2],
	} {
		tc := newTestConn(t, Config{MaxHeaderListSize: 1000})
		tc.recv(headerFrames(1, true, []byte("\x82\x87\x84\x01\x01a"+b)))
		tc.wantConnError(why+": hpack cannot go on after it", frames.ErrCodeEnhanceYourCalm)
	}
}

func TestSection4_3_CompressionErrors(t *testing.T) {
	for why, block := range map[string]string{
		"index 0":                   "\x80",
		"index beyond both tables":  "\xff\x00",
		"name index beyond":         "\x7f\x40\x01a",
		"truncated literal":         "\x00\x05ab",
		"truncated integer":         "\xff",
		"endless integer":           "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
		"Huffman EOS":               "\x00\x01x\x84\xff\xff\xff\xff",
		"Huffman padding of zeros":  "\x00\x01x\x81\x18",
		"table above 4096":          "\x3f\xe2\x1f",
		"table size after a field":  "\x40\x01a\x01b\x20",
		"truncated at end of frame": "\x82\x87\x84\x41",
	} {
		for _, cut := range []bool{false, true} {
			tc := newTestConn(t, Config{})
			if cut {
				tc.recv(headerFrames(1, true, []byte(block), len(block)/2))
			} else {
				tc.recv(headerFrames(1, true, []byte(block)))
			}
			tc.wantConnError(why, frames.ErrCodeCompression)
			if n := tc.sh.streams.Len(); n != 1 {
				t.Errorf("%s: %d free streams, want the one that was begun", why, n)
			}
		}
	}
	// Blocks that go to no stream are decoded as well.
	tc := newTestConn(t, Config{MaxConcurrentStreams: 1})
	tc.recv(tc.post(1), headerFrames(3, true, []byte("\x80")))
	tc.wantConnError("of a refused stream", frames.ErrCodeCompression)
	tc = newTestConn(t, Config{})
	tc.recv(tc.post(1))
	tc.c.Reset(tc.stream(1), frames.ErrCodeCancel)
	tc.recv(headerFrames(1, true, []byte("\x80")))
	tc.wantConnError("of a stream that was reset", frames.ErrCodeCompression)
}

func TestSection5_1_1_StreamIdentifiers(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.recv(tc.get(2))
	tc.wantConnError("even ones are the server's", frames.ErrCodeProtocol)

	tc = newTestConn(t, Config{})
	tc.answer("x")
	tc.recv(tc.get(7))
	tc.want("identifiers may be skipped", "HEADERS 7 :status=200", `DATA 7 "x" END_STREAM`)
	tc.recv(tc.get(5))
	tc.wantConnError("but not go back", frames.ErrCodeProtocol)

	tc = newTestConn(t, Config{})
	tc.answer("x")
	tc.recv(tc.get(7), tc.get(7))
	tc.wantConnError("nor be used twice", frames.ErrCodeStreamClosed)

	// So far back that nobody remembers.
	tc = newTestConn(t, Config{})
	tc.answer("x")
	for id := frames.StreamID(1); id < 2*rememberEnded+10; id += 2 {
		tc.recv(tc.get(id))
	}
	tc.recv(tc.get(1))
	tc.wantConnError("a stream closed long ago", frames.ErrCodeProtocol)
}

func TestSection5_1_1_LastIdentifier(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answerHeaders()
	tc.recv(tc.get(frames.MaxStreamID))
	tc.want("the client has to open a new connection", "HEADERS 2147483647 :status=200",
		"GOAWAY last=2147483647 NO_ERROR stream identifiers exhausted")
	if tc.c.Finished() {
		t.Error("finished before the stream is")
	}
	tc.recv(windowUpdate(frames.MaxStreamID, 10))
	mustDo(t, tc.c.Write(tc.stream(frames.MaxStreamID), []byte("bye"), true))
	tc.want("the last stream is served", `DATA 2147483647 "bye" END_STREAM`)
	if !tc.c.Finished() {
		t.Error("not finished")
	}

	tc = newTestConn(t, Config{})
	tc.answer("all")
	tc.recv(tc.get(frames.MaxStreamID))
	tc.want("answered at once", "HEADERS 2147483647 :status=200", `DATA 2147483647 "all" END_STREAM`,
		"GOAWAY last=2147483647 NO_ERROR stream identifiers exhausted")
	if !tc.c.Finished() {
		t.Error("not finished")
	}

	tc = newTestConn(t, Config{})
	tc.recv(tc.headers(frames.MaxStreamID, true, ":method: GET"))
	tc.want("malformed", "GOAWAY last=2147483647 NO_ERROR stream identifiers exhausted",
		"RST_STREAM 2147483647 PROTOCOL_ERROR")
	if !tc.c.Finished() {
		t.Error("not finished")
	}
}

// TestSection5_1_1_CloseInTheLastRequest: no GOAWAY is due any more.
func TestSection5_1_1_CloseInTheLastRequest(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.app.request = func(*Stream) { tc.c.Close() }
	tc.recv(tc.get(frames.MaxStreamID))
	if tc.c.HasPending() {
		t.Error("a closed connection has something to write")
	}
}

func TestSection5_1_2_StreamLimit(t *testing.T) {
	tc := newTestConn(t, Config{MaxConcurrentStreams: 2})
	tc.answerHeaders()
	tc.recv(tc.post(1), tc.get(3))
	tc.want("two may be open", "HEADERS 1 :status=200", "HEADERS 3 :status=200")
	tc.wantCrossed(LimitStreams, 0)
	tc.recv(tc.post(5, "x-new: entered into the table"))
	tc.wantCrossed(LimitStreams, 1)
	tc.wantReset("and no third", 5, frames.ErrCodeRefusedStream)
	tc.wantEvents("of which the application knows nothing", "request 1 POST /", "request 3 GET / end")
	tc.recv(data(5, "in flight"), windowUpdate(5, 1), rst(5, frames.ErrCodeCancel), tc.headers(5, true, "trailer: x"))
	tc.wantIdle("what was in flight is ignored")
	mustDo(t, tc.c.Write(tc.stream(3), nil, true))
	tc.want("3 ends", `DATA 3 "" END_STREAM`)
	tc.app.request = func(s *Stream) {
		mustDo(t, tc.c.WriteHeaders(s, 200, s.Request.Fields, true))
	}
	tc.recv(tc.get(7, "x-new: entered into the table"))
	tc.want("there is a place again, and the tables agree",
		"HEADERS 7 :status=200 x-new=entered into the table END_STREAM")
}

func TestSection5_1_2_RefusedWithContinuation(t *testing.T) {
	tc := newTestConn(t, Config{MaxConcurrentStreams: 1})
	tc.answerHeaders()
	tc.recv(tc.get(1))
	tc.drain()
	block := tc.block(requestFields("GET", nil)...)
	tc.recv(headerFrames(3, true, block, 1, 3))
	tc.wantReset("the whole block is taken first", 3, frames.ErrCodeRefusedStream)
	tc.recv(rst(1, frames.ErrCodeCancel))
	tc.wantAlive("", 5)
}

// TestSection6_2_SelfDependency resets a stream that depends on itself, after
// its block was decoded.
func TestSection6_2_SelfDependency(t *testing.T) {
	tc := newTestConn(t, Config{})
	self := func(id frames.StreamID, end bool, fields ...string) []byte {
		return frames.AppendHeaders(nil, frames.Headers{
			StreamID: id, Fragment: tc.block(fields...), EndStream: end, EndHeaders: true,
			HasPriority: true, Priority: frames.PriorityParam{StreamDependency: id},
		})
	}
	tc.recv(self(1, true, requestFields("GET", []string{"x-a: b"})...))
	tc.wantReset("", 1, frames.ErrCodeProtocol)
	tc.wantEvents("the application does not see it")
	tc.recv(tc.post(3), self(3, true, "x-a: b"))
	tc.wantReset("in trailers", 3, frames.ErrCodeProtocol)
	tc.wantEvents("", "request 3 POST /", "closed 3 PROTOCOL_ERROR")
	tc.wantAlive("", 5)
}

func TestSection8_1_Trailers(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.recv(tc.post(1), data(1, "body"), tc.headers(1, true, "x-sum: 7", "x-more: 8"))
	tc.wantEvents("trailers come with the end", "request 1 POST /", "body 1 body end x-sum=7 x-more=8")
	s := tc.stream(1)
	if !s.RequestEnded() {
		t.Error("the request has not ended")
	}
	tc.recv(tc.post(3), tc.headers(3, true, "x: y"))
	tc.wantEvents("without a body", "request 3 POST /", "body 3 end x=y")
	tc.recv(tc.post(5), headerFrames(5, true, nil))
	tc.wantEvents("without fields", "request 5 POST /", "body 5 end")
}

func TestSection8_1_BadTrailers(t *testing.T) {
	for why, fields := range map[string][]string{
		"pseudo-header field":     {":method: DELETE"},
		":status":                 {":status: 200"},
		"upper case":              {"X-Sum: 7"},
		"connection-specific":     {"connection: close"},
		"content-length":          {"content-length: 0"},
		"host":                    {"host: a.example"},
		"space at the end":        {"x-sum: 7 "},
		"second field, not first": {"x-sum: 7", "x y: z"},
	} {
		tc := newTestConn(t, Config{})
		method := ""
		tc.app.closed = func(s *Stream, err error) { method = s.Request.Method }
		tc.recv(tc.post(1), data(1, "body"), tc.headers(1, true, fields...))
		tc.wantReset(why, 1, frames.ErrCodeProtocol)
		tc.wantEvents(why, "request 1 POST /", "body 1 body", "closed 1 PROTOCOL_ERROR")
		if method != "POST" {
			t.Errorf("%s: trailers made the request a %s", why, method)
		}
		tc.app.closed = nil
		tc.wantAlive(why, 3)
	}
}

func TestSection8_1_TrailersWithoutEndStream(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.recv(tc.post(1), tc.headers(1, false, "x: y"))
	tc.wantReset("a second header section ends the request", 1, frames.ErrCodeProtocol)
	tc.wantEvents("", "request 1 POST /", "closed 1 PROTOCOL_ERROR")
	tc.wantAlive("", 3)
}

func TestSection8_1_TrailersTooLong(t *testing.T) {
	tc := newTestConn(t, Config{MaxHeaderListSize: 300})
	tc.recv(tc.post(1), tc.headers(1, true, "x: "+strings.Repeat("y", 280)))
	tc.wantReset("there is no 431 for trailers", 1, frames.ErrCodeEnhanceYourCalm)
	tc.wantAlive("", 3)
}

func TestSection5_1_HeadersOnHalfClosedRemote(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.recv(tc.get(1), tc.headers(1, true, "x-a: b"))
	tc.wantReset("the request was complete", 1, frames.ErrCodeStreamClosed)
	tc.wantEvents("", "request 1 GET / end", "closed 1 STREAM_CLOSED")
	tc.wantAlive("", 3)
}

// TestSection8_1_TrailersAfterTheAnswer has trailers arrive on a stream whose
// response is complete already.
func TestSection8_1_TrailersAfterTheAnswer(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answer("early")
	tc.recv(tc.post(1), data(1, "body"), tc.headers(1, true, "x: y"))
	tc.wantEvents("the request is told to its end", "request 1 POST /", "body 1 body end x=y", "closed 1 ok")
	tc.want("and ends well", "HEADERS 1 :status=200", `DATA 1 "early" END_STREAM`)
}

// TestSection4_3_StreamClosesInsideItsTrailers closes a stream between HEADERS
// and CONTINUATION: the rest of the block is decoded and that is all.
func TestSection4_3_StreamClosesInsideItsTrailers(t *testing.T) {
	for _, end := range []bool{true, false} {
		for name, closing := range map[string]func(tc *testConn){
			"reset":  func(tc *testConn) { tc.c.Reset(tc.stream(3), frames.ErrCodeCancel) },
			"answer": func(tc *testConn) { mustDo(tc.t, tc.c.WriteHeaders(tc.stream(3), 200, nil, true)); tc.c.Fill() },
		} {
			tc := newTestConn(t, Config{})
			tc.answer("x")
			tc.recv(tc.post(1, "a: b"), tc.headers(1, true, "x: y", "x: z", "x: u")) // so that a free stream has room for fields
			tc.app.request = nil
			tc.drain()
			tc.recv(tc.post(3))
			block := tc.block("x-first: 1", "x-second: 2", "x-third: 3")
			cut := len(block) - 3 // two fields are decoded, and the third is begun
			b := headerFrames(3, end, block, cut)
			first := frames.HeaderLen + cut
			tc.recv(b[:first])
			closing(tc)
			tc.drain()
			tc.recv(b[first:])
			tc.wantIdle(name + ": the stream has ended, whatever its trailers say")
			tc.app.request = func(s *Stream) {
				mustDo(t, tc.c.WriteHeaders(s, 200, s.Request.Fields, true))
			}
			tc.recv(tc.get(5, "x-first: 1", "x-second: 2", "x-third: 3"))
			tc.want("the tables agree", "HEADERS 5 :status=200 x-first=1 x-second=2 x-third=3 END_STREAM")
		}
	}
}

// TestCloseInsideABlock gives back a request that was begun.
func TestCloseInsideABlock(t *testing.T) {
	tc := newTestConn(t, Config{})
	block := tc.block(requestFields("GET", []string{"x-secret: value"})...)
	tc.recv(headerFrames(1, true, block, len(block))[:frames.HeaderLen+len(block)])
	tc.recv([]byte("\x00\x00\x01\x09\x00\x00\x00\x00\x01\x82"), []byte("\x00\x00\x02\x09\x00\x00\x00\x00\x01\x82"))
	tc.c.Close()
	if n := tc.sh.streams.Len(); n != 1 {
		t.Errorf("%d free streams, want 1", n)
	}
	if n := tc.sh.carries.Len(); n != 1 {
		t.Errorf("%d free carries, want the one that the frame needed", n)
	}
	if !tc.c.Finished() {
		t.Error("not finished")
	}
}

// TestFailInsideABlock ends the connection there: fields decoded so far are not
// kept by the free streams (finish checks that).
func TestFailInsideABlock(t *testing.T) {
	for _, id := range []frames.StreamID{3, 5} {
		tc := newTestConn(t, Config{})
		// The free streams have room for fields, from requests before.
		tc.recv(tc.post(1, "x-secret: value"), tc.headers(1, true, "x-secret: value"), rst(1, frames.ErrCodeCancel))
		if id == 3 {
			tc.recv(tc.post(3)) // the block is its trailers, else a request's
		}
		block := tc.block("x-secret: value", "x-secret: value")
		tc.recv(headerFrames(id, true, block, len(block))[:frames.HeaderLen+len(block)], ping("12345678"))
		tc.wantConnError("", frames.ErrCodeProtocol)
	}
}

func TestSection4_1_UnknownFrames(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answer("x")
	tc.recv(frame(0x0b, 0xff, 0, ""), frame(0xff, 0, 5, "whatever"), frame(0x16, 1, 1, strings.Repeat("z", 16384)))
	tc.wantAlive("unknown frames are ignored, whatever their flags and stream", 1)
	tc.recv(frame(0xff, 0, 0, strings.Repeat("z", 16385)))
	tc.wantConnError("unless they are too large", frames.ErrCodeFrameSize)
}

func TestSection4_1_ReservedBitIgnored(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answer("x")
	b := tc.get(1)
	b[5] |= 0x80
	tc.recv(b)
	tc.want("the stream is 1", "HEADERS 1 :status=200", `DATA 1 "x" END_STREAM`)
}

// TestHPACKMemoryComesLate keeps idle connections small.
func TestHPACKMemoryComesLate(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.recv(ping("12345678"), settings(setting(frames.SettingHeaderTableSize, 100)))
	tc.drain()
	if tc.c.codec != nil || tc.c.out != nil || tc.c.recv.carry != nil || tc.c.streams.slots != nil {
		t.Error("a connection without requests holds memory")
	}
}
