package h2

import (
	"math"
	"strings"
	"testing"

	"github.com/h2loop/h2loop/frames"
)

func TestSection6_5_3_OneAckEachInOrder(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.recv(settings(), ping("11111111"), settings(setting(frames.SettingMaxFrameSize, 20000)), ping("22222222"))
	tc.want("each SETTINGS is acknowledged in its place",
		"SETTINGS ACK", `PING ACK "11111111"`, "SETTINGS ACK", `PING ACK "22222222"`)
	tc.recv(frames.AppendSettingsAck(nil))
	tc.wantIdle("an acknowledgement is not acknowledged")
}

func TestSection6_5_2_Parameters(t *testing.T) {
	const ok = frames.ErrCodeNo
	for _, tt := range []struct {
		id    frames.SettingID
		value uint32
		code  frames.ErrCode
	}{
		{frames.SettingHeaderTableSize, 0, ok},
		{frames.SettingHeaderTableSize, math.MaxUint32, ok},
		{frames.SettingEnablePush, 0, ok},
		{frames.SettingEnablePush, 1, ok},
		{frames.SettingEnablePush, 2, frames.ErrCodeProtocol},
		{frames.SettingMaxConcurrentStreams, 0, ok},
		{frames.SettingMaxConcurrentStreams, math.MaxUint32, ok},
		{frames.SettingInitialWindowSize, 0, ok},
		{frames.SettingInitialWindowSize, maxWindow, ok},
		{frames.SettingInitialWindowSize, maxWindow + 1, frames.ErrCodeFlowControl},
		{frames.SettingInitialWindowSize, math.MaxUint32, frames.ErrCodeFlowControl},
		{frames.SettingMaxFrameSize, 16383, frames.ErrCodeProtocol},
		{frames.SettingMaxFrameSize, 16384, ok},
		{frames.SettingMaxFrameSize, 1<<24 - 1, ok},
		{frames.SettingMaxFrameSize, 1 << 24, frames.ErrCodeProtocol},
		{frames.SettingMaxHeaderListSize, 0, ok},
		{frames.SettingMaxHeaderListSize, math.MaxUint32, ok},
		{frames.SettingEnableConnectProtocol, 1, ok},
		{frames.SettingEnableConnectProtocol, 2, frames.ErrCodeProtocol},
		{frames.SettingNoRFC7540Priorities, 0, ok},
		{frames.SettingNoRFC7540Priorities, 2, frames.ErrCodeProtocol},
		{0x7, 5, ok},
		{0xabcd, math.MaxUint32, ok},
	} {
		tc := newTestConn(t, Config{})
		tc.recv(settings(setting(tt.id, tt.value)))
		if tt.code == ok {
			tc.want(tt.id.String()+" is valid", "SETTINGS ACK")
			tc.wantAlive("and the connection goes on", 1)
		} else {
			tc.wantConnError(tt.id.String()+" is not valid", tt.code)
		}
	}
}

func TestSection6_5_Malformed(t *testing.T) {
	for why, tt := range map[string]struct {
		frame []byte
		code  frames.ErrCode
	}{
		"SETTINGS on a stream":   {frame(frames.TypeSettings, 0, 1, ""), frames.ErrCodeProtocol},
		"5 octets":               {frame(frames.TypeSettings, 0, 0, "\x00\x03\x00\x00\x00"), frames.ErrCodeFrameSize},
		"ACK with a payload":     {frame(frames.TypeSettings, frames.FlagAck, 0, "\x00\x03\x00\x00\x00\x01"), frames.ErrCodeFrameSize},
		"SETTINGS of 16386":      {frame(frames.TypeSettings, 0, 0, strings.Repeat("\x00\x07\x00\x00\x00\x00", 2731)), frames.ErrCodeFrameSize},
		"second one is invalid":  {settings(setting(0x7, 1), setting(frames.SettingEnablePush, 2)), frames.ErrCodeProtocol},
		"window too large first": {settings(setting(frames.SettingInitialWindowSize, 1<<31), setting(frames.SettingInitialWindowSize, 1)), frames.ErrCodeFlowControl},
	} {
		tc := newTestConn(t, Config{})
		tc.recv(tt.frame)
		tc.wantConnError(why, tt.code)
	}
}

func TestSection6_5_AckOfNothingIsCharged(t *testing.T) {
	tc := newTestConn(t, Config{})
	for range burst {
		tc.recv(frames.AppendSettingsAck(nil))
	}
	tc.wantIdle("it is ignored a thousand times")
	tc.recv(frames.AppendSettingsAck(nil))
	tc.wantConnError("and no more", frames.ErrCodeEnhanceYourCalm)
}

// TestSection6_9_2_NegativeWindow shrinks the initial window below what was
// sent: the stream waits until its window is above zero again.
func TestSection6_9_2_NegativeWindow(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answerHeaders()
	tc.recv(settings(setting(frames.SettingInitialWindowSize, 100)), tc.get(1), tc.get(3))
	one, three := tc.stream(1), tc.stream(3)
	mustDo(t, tc.c.Write(one, make([]byte, 150), true))
	mustDo(t, tc.c.Write(three, make([]byte, 100), false))
	tc.want("the window is 100", "SETTINGS ACK", "HEADERS 1 :status=200", "HEADERS 3 :status=200",
		"DATA 1 len=100", "DATA 3 len=100")

	tc.recv(settings(setting(frames.SettingInitialWindowSize, 20)))
	if one.sendWindow != -80 || three.sendWindow != -80 {
		t.Errorf("windows %d and %d, want -80", one.sendWindow, three.sendWindow)
	}
	tc.want("nothing may be sent on a window of -80", "SETTINGS ACK")
	tc.recv(windowUpdate(1, 80))
	tc.wantIdle("0 is not enough either")
	tc.recv(windowUpdate(1, 1))
	tc.want("one octet is", `DATA 1 "\x00"`)
	tc.recv(settings(setting(frames.SettingInitialWindowSize, 60)))
	tc.want("growth of the initial window reaches open streams", "SETTINGS ACK",
		`DATA 1 "`+strings.Repeat(`\x00`, 40)+`"`)
	tc.recv(settings(setting(frames.SettingInitialWindowSize, 1000)))
	tc.want("and the rest leaves", "SETTINGS ACK", `DATA 1 "`+strings.Repeat(`\x00`, 9)+`" END_STREAM`)
	if three.sendWindow != 900 {
		t.Errorf("window of 3 is %d, want 900", three.sendWindow)
	}
}

// TestSection6_9_2_WindowTakenWhileQueued takes the window away between the
// moment a stream is scheduled and its turn.
func TestSection6_9_2_WindowTakenWhileQueued(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answerHeaders()
	tc.room = 0
	tc.recv(tc.get(1), tc.get(3))
	mustDo(t, tc.c.WriteRegion(tc.stream(1), make([]byte, 5000), nil, true))
	src := tc.source(3, "abc")
	mustDo(t, tc.c.WriteSource(tc.stream(3), src))
	tc.want("no room", "HEADERS 1 :status=200", "HEADERS 3 :status=200")
	tc.recv(settings(setting(frames.SettingInitialWindowSize, 0)))
	tc.room = 1 << 20
	tc.want("no window", "SETTINGS ACK")
	if src.pulls != 0 {
		t.Errorf("the source was asked %d times without window", src.pulls)
	}
	if tc.c.WantsRoom() {
		t.Error("room is not what is missing")
	}
	tc.recv(settings(setting(frames.SettingInitialWindowSize, 5000)))
	tc.want("both go on", "SETTINGS ACK", "DATA 1 len=5000 END_STREAM", `DATA 3 "abc" END_STREAM`)
}

func TestSection6_9_2_InitialWindowOverflowsStream(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answerHeaders()
	tc.recv(tc.get(1), windowUpdate(1, maxWindow-65535))
	tc.recv(settings(setting(frames.SettingInitialWindowSize, 65536)))
	tc.wantConnError("65536 more than 2^31-1 - 65535 is too much", frames.ErrCodeFlowControl)

	// In one frame, and only on the way.
	tc = newTestConn(t, Config{})
	tc.answerHeaders()
	tc.recv(tc.get(1), windowUpdate(1, maxWindow-65535))
	tc.recv(settings(setting(frames.SettingInitialWindowSize, 65536), setting(frames.SettingInitialWindowSize, 1)))
	tc.wantConnError("values are processed in order", frames.ErrCodeFlowControl)

	tc = newTestConn(t, Config{})
	tc.answerHeaders()
	tc.recv(tc.get(1), windowUpdate(1, maxWindow-65535))
	tc.recv(settings(setting(frames.SettingInitialWindowSize, 10), setting(frames.SettingInitialWindowSize, 65535)))
	tc.want("down and up is well", "HEADERS 1 :status=200", "SETTINGS ACK")
	if w := tc.stream(1).sendWindow; w != maxWindow {
		t.Errorf("window %d, want 2^31-1", w)
	}
}

func TestSection6_5_2_MaxFrameSizeRespected(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answerHeaders()
	tc.recv(settings(setting(frames.SettingInitialWindowSize, 1<<20)), windowUpdate(0, 1<<20), tc.get(1))
	mustDo(t, tc.c.WriteRegion(tc.stream(1), make([]byte, 40000), nil, false))
	tc.want("frames are 16384 unless more is allowed", "SETTINGS ACK", "HEADERS 1 :status=200",
		"DATA 1 len=16384", "DATA 1 len=16384", "DATA 1 len=7232")
	tc.recv(settings(setting(frames.SettingMaxFrameSize, 30000)))
	mustDo(t, tc.c.WriteRegion(tc.stream(1), make([]byte, 40000), nil, false))
	tc.want("30000 is allowed", "SETTINGS ACK", "DATA 1 len=30000", "DATA 1 len=10000")
	tc.recv(settings(setting(frames.SettingMaxFrameSize, 16384)))
	mustDo(t, tc.c.WriteRegion(tc.stream(1), make([]byte, 20000), nil, true))
	tc.want("and no longer", "SETTINGS ACK", "DATA 1 len=16384", "DATA 1 len=3616 END_STREAM")
}

// TestSection6_10_LargeResponseHeaders sees a header section larger than a
// frame cut into HEADERS and CONTINUATION.
func TestSection6_10_LargeResponseHeaders(t *testing.T) {
	for _, n := range []int{16384 - 14, 16384 - 13, 16384 - 12, 16384 - 11, 16384 - 10, 16384 - 9, 16384 - 8, 16384 - 7, 32768, 50000} {
		for _, end := range []bool{false, true} {
			tc := newTestConn(t, Config{})
			value := strings.Repeat("\x01", n) // shorter without Huffman
			tc.app.request = func(s *Stream) {
				mustDo(t, tc.c.WriteHeaders(s, 200, []Field{{Name: "a", Value: value, Sensitive: true}}, end))
			}
			tc.recv(tc.get(1))
			want := "HEADERS 1 :status=200 a=" + value
			if end {
				want += " END_STREAM"
			}
			tc.want("one header section", want)
			tc.peer.headers = tc.peer.headers[3:] // SETTINGS, WINDOW_UPDATE, SETTINGS
			for i, h := range tc.peer.headers {
				wantType, wantFlags := frames.TypeContinuation, frames.Flags(0)
				if i == 0 {
					wantType = frames.TypeHeaders
					if end {
						wantFlags |= frames.FlagEndStream
					}
				}
				if i == len(tc.peer.headers)-1 {
					wantFlags |= frames.FlagEndHeaders
				} else if h.Length != 16384 {
					t.Errorf("%d octets: frame %d is not full: %d", n, i, h.Length)
				}
				if h.Type != wantType || h.Flags != wantFlags {
					t.Errorf("%d octets: frame %d is %v with flags %#x, want %v, %#x", n, i, h.Type, h.Flags, wantType, wantFlags)
				}
			}
		}
	}
}

// blocks returns the header blocks sent since the last call.
func (tc *testConn) blocks() [][]byte {
	tc.drain()
	b := tc.peer.blocks
	tc.peer.blocks = nil
	return b
}

// sizeUpdates returns the dynamic table size updates at the start of a block
// (RFC 7541, Section 6.3).
func sizeUpdates(block []byte) (sizes []int) {
	for len(block) > 0 && block[0]&0xe0 == 0x20 {
		n, shift := int(block[0]&0x1f), 0
		block = block[1:]
		for more := n == 0x1f; more; shift += 7 {
			n += int(block[0]&0x7f) << shift
			more = block[0]&0x80 != 0
			block = block[1:]
		}
		sizes = append(sizes, n)
	}
	return sizes
}

func TestRFC7541Section4_2_TableSizeSignalled(t *testing.T) {
	table := func(v uint32) []byte { return settings(setting(frames.SettingHeaderTableSize, v)) }
	for _, tt := range []struct {
		why           string
		before, after []uint32 // sizes set before the first HEADERS, and after it
		first, second []int    // size updates of the first block, and the second
	}{
		{why: "nothing said"},
		{why: "0 before", before: []uint32{0}, first: []int{0, 0}},
		{why: "0 then 4096 before", before: []uint32{0, 4096}, first: []int{0, 4096}},
		{why: "100 before", before: []uint32{100}, first: []int{100, 100}},
		{why: "4096 before", before: []uint32{4096}},
		{why: "above our 4096 before", before: []uint32{1 << 20}},
		{why: "0 then 1 MiB before", before: []uint32{0, 1 << 20}, first: []int{0, 4096}},
		{why: "0 after", after: []uint32{0}, second: []int{0}},
		{why: "0 then 4096 after", after: []uint32{0, 4096}, second: []int{0, 4096}},
		// (x/net's decoder takes a second update only when the first has emptied
		// the table, so this one does.)
		{why: "200, 60, 300 after", after: []uint32{200, 60, 300}, second: []int{60, 300}},
		{why: "100 before, 0 after", before: []uint32{100}, after: []uint32{0}, first: []int{100, 100}, second: []int{0}},
		{why: "0 before, 4096 after", before: []uint32{0}, after: []uint32{4096}, first: []int{0, 0}, second: []int{4096}},
		{why: "above our 4096 after", after: []uint32{1 << 20}}, // nothing has changed
	} {
		tc := newTestConn(t, Config{})
		fields := []Field{{Name: "x-long", Value: strings.Repeat("v", 50)}}
		tc.app.request = func(s *Stream) { mustDo(t, tc.c.WriteHeaders(s, 200, fields, true)) }
		for _, v := range tt.before {
			tc.recv(table(v))
		}
		tc.recv(tc.get(1))
		first := tc.blocks()[0]
		for _, v := range tt.after {
			tc.recv(table(v))
		}
		tc.recv(tc.get(3), tc.get(5), tc.get(7))
		rest := tc.blocks()
		// The lowest of before is signalled even where it is also the last:
		// saying it twice is allowed.
		if got := sizeUpdates(first); !sameSizes(got, tt.first) {
			t.Errorf("%s: first block signals %v, want %v", tt.why, got, tt.first)
		}
		if got := sizeUpdates(rest[0]); !sameSizes(got, tt.second) {
			t.Errorf("%s: second block signals %v, want %v", tt.why, got, tt.second)
		}
		if got := sizeUpdates(rest[1]); len(got) != 0 {
			t.Errorf("%s: third block signals %v", tt.why, got)
		}
		limit := uint32(4096)
		for _, v := range append(tt.before, tt.after...) {
			limit = min(v, 4096)
		}
		if n := tc.c.codec.enc.MaxDynamicTableSize(); n != limit {
			t.Errorf("%s: table of %d, want %d", tt.why, n, limit)
		}
		if small := len(rest[1]) < 10; small != (limit >= 88) {
			t.Errorf("%s: indexed %v with a table of %d", tt.why, small, limit)
		}
	}
}

// sameSizes compares size updates, of which the same one twice counts once.
func sameSizes(got, want []int) bool {
	pack := func(s []int) (p []int) {
		for i, v := range s {
			if i == 0 || v != s[i-1] {
				p = append(p, v)
			}
		}
		return p
	}
	g, w := pack(got), pack(want)
	if len(g) != len(w) {
		return false
	}
	for i := range g {
		if g[i] != w[i] {
			return false
		}
	}
	return true
}

func TestRFC9218Section2_1_NoPrioritiesMustNotChange(t *testing.T) {
	no := func(v uint32) []byte { return settings(setting(frames.SettingNoRFC7540Priorities, v)) }
	for _, tt := range []struct {
		first [][]byte
		bad   []byte
	}{
		{[][]byte{settings()}, no(1)},
		{[][]byte{no(0)}, no(1)},
		{[][]byte{no(1)}, no(0)},
		{[][]byte{no(1), settings(), no(1)}, no(0)},
	} {
		tc := newRawConn(t, Config{}, 0)
		tc.recv([]byte(Preface))
		tc.recv(tt.first...)
		if tc.err != nil {
			t.Fatal(tc.err)
		}
		tc.recv(tt.bad)
		tc.wantConnError("the value changes after the first SETTINGS", frames.ErrCodeProtocol)
	}
}

// TestSection6_5_3_WindowBeforeOurSettingsAreSeen lets a peer use the 65535
// octets that it may until it has seen that the window is smaller.
func TestSection6_5_3_WindowBeforeOurSettingsAreSeen(t *testing.T) {
	cfg := Config{StreamWindow: 1000}
	tc := newRawConn(t, cfg, 0)
	tc.app.hold = true
	tc.recv([]byte(Preface), settings(), tc.post(1), tc.post(3))
	tc.whole = true
	for range 6 {
		tc.recv(data(1, strings.Repeat("x", 10000)))
	}
	tc.drain()
	tc.recv(frames.AppendSettingsAck(nil))
	tc.recv(data(1, ""), data(3, strings.Repeat("y", 1000)))
	tc.wantIdle("60000 octets were in flight, and 1000 are still allowed")
	tc.recv(data(3, "z"))
	tc.wantReset("but not 1001", 3, frames.ErrCodeFlowControl)
	tc.recv(data(1, "z"))
	tc.wantReset("and none on a window far below zero", 1, frames.ErrCodeFlowControl)
	tc.recv(tc.post(5), data(5, strings.Repeat("y", 1001)))
	tc.wantReset("a new stream has what SETTINGS say", 5, frames.ErrCodeFlowControl)
}

func TestSection6_5_3_EarlyWindowIsExact(t *testing.T) {
	for _, tt := range []struct{ window, early, late int32 }{
		{1000, 65535, 1000}, {65535, 65535, 65535}, {65536, 65536, 65536}, {256 << 10, 256 << 10, 256 << 10},
	} {
		tc := newRawConn(t, Config{StreamWindow: tt.window}, 0)
		tc.recv([]byte(Preface), settings(), tc.post(1))
		if got := tc.stream(1).recvWindow.granted; got != tt.early {
			t.Errorf("window of %d: %d before it is acknowledged, want %d", tt.window, got, tt.early)
		}
		tc.recv(frames.AppendSettingsAck(nil), tc.post(3))
		for _, id := range []frames.StreamID{1, 3} {
			if got := tc.stream(id).recvWindow.granted; got != tt.late {
				t.Errorf("window of %d: %d on stream %d after it is acknowledged, want %d", tt.window, got, id, tt.late)
			}
		}
	}
}
