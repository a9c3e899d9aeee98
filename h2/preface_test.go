package h2

import (
	"testing"

	"github.com/h2loop/h2loop/frames"
)

// The server's preface, octet by octet: SETTINGS, and the connection window's
// growth from 65535 to 1 MiB.
const serverPreface = "\x00\x00\x18\x04\x00\x00\x00\x00\x00" +
	"\x00\x03\x00\x00\x00\xfa" + // MAX_CONCURRENT_STREAMS 250
	"\x00\x04\x00\x04\x00\x00" + // INITIAL_WINDOW_SIZE 262144
	"\x00\x06\x00\x01\x00\x00" + // MAX_HEADER_LIST_SIZE 65536
	"\x00\x09\x00\x00\x00\x01" + // NO_RFC7540_PRIORITIES 1
	"\x00\x00\x04\x08\x00\x00\x00\x00\x00" + "\x00\x0f\x00\x01"

func TestSection3_4_ServerPrefaceLiteral(t *testing.T) {
	tc := newRawConn(t, Config{}, 0)
	got := ""
	for _, p := range tc.c.Pending() {
		got += string(p)
	}
	if got != serverPreface {
		t.Errorf("preface\ngot  %x\nwant %x", got, serverPreface)
	}
}

func TestSection3_4_ServerPrefaceFollowsConfig(t *testing.T) {
	tc := newRawConn(t, Config{
		MaxConcurrentStreams: 7, MaxHeaderListSize: 1000, StreamWindow: 100,
		ConnWindow: 100, EnableConnectProtocol: true,
	}, 0)
	tc.want("the connection window cannot be below 65535, so nothing is said of it",
		"SETTINGS MAX_CONCURRENT_STREAMS=7 INITIAL_WINDOW_SIZE=100 MAX_HEADER_LIST_SIZE=1000 NO_RFC7540_PRIORITIES=1 ENABLE_CONNECT_PROTOCOL=1")
}

func TestSection3_4_Established(t *testing.T) {
	tc := newRawConn(t, Config{}, 0)
	tc.drain()
	tc.recv([]byte(Preface))
	if tc.c.Established() {
		t.Error("established before SETTINGS")
	}
	tc.wantIdle("a preface alone is not answered")
	tc.recv([]byte("\x00\x00\x00\x04\x00\x00\x00\x00\x00"))
	if !tc.c.Established() {
		t.Error("not established after SETTINGS")
	}
	tc.want("SETTINGS is acknowledged", "SETTINGS ACK")
}

func TestSection3_4_PrefaceWhole(t *testing.T) {
	tc := newRawConn(t, Config{}, 0)
	tc.whole = true
	tc.recv(append([]byte(Preface), "\x00\x00\x00\x04\x00\x00\x00\x00\x00"...))
	if !tc.c.Established() {
		t.Error("not established")
	}
}

func TestSection3_4_WrongPreface(t *testing.T) {
	for i := range len(Preface) {
		tc := newRawConn(t, Config{}, 0)
		b := []byte(Preface)
		b[i] ^= 0x20
		tc.recv(b)
		tc.wantConnError("one octet of the preface is wrong", frames.ErrCodeProtocol)
	}
	for _, s := range []string{"GET / HTTP/1.1\r\n\r\n", "P", "PRI * HTTP/2.0\r\n\r\nSM\r\n\n"} {
		tc := newRawConn(t, Config{}, 0)
		tc.whole = true
		tc.recv([]byte(s))
		if s == "P" {
			tc.wantAliveAfterPreface(Preface[1:])
			continue
		}
		tc.wantConnError(s, frames.ErrCodeProtocol)
	}
}

func (tc *testConn) wantAliveAfterPreface(rest string) {
	tc.t.Helper()
	tc.recv([]byte(rest), settings())
	tc.wantAlive("the preface came in two pieces", 1)
}

func TestSection3_4_FirstFrameIsNotSettings(t *testing.T) {
	for name, b := range map[string][]byte{
		"PING":            ping("12345678"),
		"WINDOW_UPDATE":   windowUpdate(0, 1),
		"HEADERS":         frame(frames.TypeHeaders, frames.FlagEndHeaders, 1, "\x82"),
		"DATA":            data(1, "x"),
		"unknown":         frame(0xbe, 0, 0, "x"),
		"SETTINGS ACK":    frames.AppendSettingsAck(nil),
		"PRIORITY_UPDATE": frames.AppendPriorityUpdate(nil, frames.PriorityUpdate{PrioritizedStreamID: 1}),
	} {
		tc := newRawConn(t, Config{}, 0)
		tc.recv([]byte(Preface), b)
		tc.wantConnError(name+" cannot be first", frames.ErrCodeProtocol)
	}
}
