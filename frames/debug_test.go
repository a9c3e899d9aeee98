package frames

import (
	"strings"
	"testing"
)

func TestDescribe(t *testing.T) {
	for _, tt := range []struct {
		wire string
		want string
	}{
		{
			"\x00\x00\x0c\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\xfa\x00\x04\x00\x01\x00\x00",
			"SETTINGS stream=0 len=12 MAX_CONCURRENT_STREAMS=250 INITIAL_WINDOW_SIZE=65536",
		},
		{"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x12\x34\x00\x00\x00\x01", "SETTINGS stream=0 len=6 0x1234=1"},
		{"\x00\x00\x00\x04\x01\x00\x00\x00\x00", "SETTINGS stream=0 len=0 ACK"},
		{
			"\x00\x00\x01\x04\x01\x00\x00\x00\x00\x00",
			`SETTINGS stream=0 len=1 ACK error="connection error FRAME_SIZE_ERROR: ` +
				`SETTINGS acknowledgement with a payload (RFC 9113, Section 6.5)"`,
		},
		{"\x00\x00\x05\x00\x01\x00\x00\x00\x03hello", "DATA stream=3 len=5 END_STREAM"},
		{"\x00\x40\x00\x00\x00\x00\x00\x00\x03hello", "DATA stream=3 len=16384"},
		{"\x00\x00\x08\x00\x09\x00\x00\x00\x03\x02hello\x00\x00", "DATA stream=3 len=8 END_STREAM PADDED pad=2"},
		{"\x00\x00\x08\x00\x08\x00\x00\x00\x03", "DATA stream=3 len=8 PADDED"},
		{
			"\x00\x00\x0a\x01\x2d\x00\x00\x00\x05\x02\x80\x00\x00\x03\x0f\x82\x86\x00\x00",
			"HEADERS stream=5 len=10 END_STREAM END_HEADERS PADDED PRIORITY pad=2 dep=3 weight=16 exclusive fragment=2",
		},
		{
			"\x00\x00\x06\x01\x20\x00\x00\x00\x05\x00\x00\x00\x05\xff\x82",
			"HEADERS stream=5 len=6 PRIORITY dep=5 weight=256 fragment=1 " +
				`error="stream 5 error PROTOCOL_ERROR: stream depends on itself (RFC 7540, Section 5.3.1)"`,
		},
		{
			"\x00\x00\x01\x01\x04\x00\x00\x00\x00\x82",
			"HEADERS stream=0 len=1 END_HEADERS " +
				`error="connection error PROTOCOL_ERROR: HEADERS on stream 0 (RFC 9113, Section 6.2)"`,
		},
		{"\x00\x00\x08\x01\x04\x00\x00\x00\x01\x82\x86", "HEADERS stream=1 len=8 END_HEADERS have=2"},
		{"\x00\x00\x05\x02\x00\x00\x00\x00\x07\x00\x00\x00\x05\x00", "PRIORITY stream=7 len=5 dep=5 weight=1"},
		{"\x00\x00\x04\x03\x00\x00\x00\x00\x09\x00\x00\x00\x08", "RST_STREAM stream=9 len=4 code=CANCEL"},
		{
			"\x00\x00\x06\x05\x04\x00\x00\x00\x01\x00\x00\x00\x02\x82\x86",
			"PUSH_PROMISE stream=1 len=6 END_HEADERS promised=2 fragment=2",
		},
		{
			"\x00\x00\x08\x06\x01\x00\x00\x00\x00\x01\x02\x03\x04\x05\x06\x07\xf8",
			"PING stream=0 len=8 ACK data=01020304050607f8",
		},
		{
			"\x00\x00\x0c\x07\x00\x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x0bbye\n",
			`GOAWAY stream=0 len=12 last=7 code=ENHANCE_YOUR_CALM debug="bye\n"`,
		},
		{"\x00\x00\x04\x08\x00\x00\x00\x00\x0b\x00\x00\x10\x00", "WINDOW_UPDATE stream=11 len=4 increment=4096"},
		{
			"\x00\x00\x04\x08\x00\x00\x00\x00\x0b\x00\x00\x00\x00",
			"WINDOW_UPDATE stream=11 len=4 " +
				`error="stream 11 error PROTOCOL_ERROR: WINDOW_UPDATE increment is 0 (RFC 9113, Section 6.9)"`,
		},
		{"\x00\x00\x02\x09\x04\x00\x00\x00\x0d\x82\x86", "CONTINUATION stream=13 len=2 END_HEADERS fragment=2"},
		{
			"\x00\x00\x0a\x10\x00\x00\x00\x00\x00\x00\x00\x00\x0fu=1, i",
			`PRIORITY_UPDATE stream=0 len=10 prioritized=15 value="u=1, i"`,
		},
		{"\x00\x00\x03\x2a\x11\x00\x00\x00\x01abc", "0x2a stream=1 len=3 flags=0x11"},
		{"\x00\x00\x04\x08\x09\x00\x00\x00\x00\x00\x00\x00\x01", "WINDOW_UPDATE stream=0 len=4 flags=0x9 increment=1"},
	} {
		h, _ := ParseHeader([]byte(tt.wire))
		if got := Describe(h, []byte(tt.wire[HeaderLen:])); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

// TestDescribeIsShort gives it more than belongs in a line of a log.
func TestDescribeIsShort(t *testing.T) {
	for _, wire := range [][]byte{
		AppendGoAway(nil, GoAway{Debug: []byte(strings.Repeat("\xff", 10000))}),
		AppendSettings(nil, make([]Setting, 2000)...),
		AppendPriorityUpdate(nil, PriorityUpdate{PrioritizedStreamID: 1, FieldValue: make([]byte, 10000)}),
		AppendHeaders(nil, Headers{StreamID: 1, Fragment: make([]byte, 10000)}),
	} {
		h, _ := ParseHeader(wire)
		got := Describe(h, wire[HeaderLen:])
		if len(got) > 512 {
			t.Errorf("%d octets: %s", len(got), got)
		}
		if h.Type != TypeHeaders && !strings.HasSuffix(got, "...") {
			t.Errorf("%s does not say that it is cut", got)
		}
	}
}
