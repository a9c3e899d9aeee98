package frames

import (
	"bytes"
	"errors"
	"fmt"
	"go/build"
	"math"
	"reflect"
	"strings"
	"testing"
)

// wireFrames has each frame in its octets and as a value.
var wireFrames = []struct {
	name  string
	wire  string
	value any

	// prefixes says what becomes of the first 0, 1, 2 ... octets of the payload,
	// in a frame whose header says that length: '.' parses, 'F' is a
	// FRAME_SIZE_ERROR, 'P' a PROTOCOL_ERROR.
	prefixes string
}{
	{
		name:     "DATA",
		wire:     "\x00\x00\x05\x00\x01\x00\x00\x00\x01hello",
		value:    Data{StreamID: 1, Data: []byte("hello"), EndStream: true},
		prefixes: "......",
	},
	{
		name:     "DATA, empty",
		wire:     "\x00\x00\x00\x00\x01\x7f\xff\xff\xff",
		value:    Data{StreamID: MaxStreamID, Data: []byte{}, EndStream: true},
		prefixes: ".",
	},
	{
		name:     "DATA, padded",
		wire:     "\x00\x00\x08\x00\x08\x01\x02\x03\x04\x02hello\x00\x00",
		value:    Data{StreamID: 0x01020304, Data: []byte("hello"), Padded: true, PadLength: 2},
		prefixes: "FPP......",
	},
	{
		name:     "DATA, padded with 0",
		wire:     "\x00\x00\x03\x00\x08\x00\x00\x00\x03\x00hi",
		value:    Data{StreamID: 3, Data: []byte("hi"), Padded: true},
		prefixes: "F...",
	},
	{
		name:     "DATA, padding only",
		wire:     "\x00\x00\x04\x00\x09\x00\x00\x00\x03\x03\x00\x00\x00",
		value:    Data{StreamID: 3, Data: []byte{}, EndStream: true, Padded: true, PadLength: 3},
		prefixes: "FPPP.",
	},
	{
		name:     "HEADERS",
		wire:     "\x00\x00\x03\x01\x04\x00\x00\x00\x01\x82\x86\x84",
		value:    Headers{StreamID: 1, Fragment: []byte("\x82\x86\x84"), EndHeaders: true},
		prefixes: "....",
	},
	{
		name: "HEADERS, padded and with priority",
		wire: "\x00\x00\x0a\x01\x2d\x00\x00\x00\x05\x02\x80\x00\x00\x03\x0f\x82\x86\x00\x00",
		value: Headers{
			StreamID: 5, Fragment: []byte("\x82\x86"), EndStream: true, EndHeaders: true,
			Padded: true, PadLength: 2,
			HasPriority: true, Priority: PriorityParam{Exclusive: true, StreamDependency: 3, Weight: 15},
		},
		prefixes: "FFFFFFPP...",
	},
	{
		name: "HEADERS with priority",
		wire: "\x00\x00\x06\x01\x20\x00\x00\x00\x05\x00\x00\x00\x00\xff\x82",
		value: Headers{
			StreamID: 5, Fragment: []byte("\x82"),
			HasPriority: true, Priority: PriorityParam{Weight: 255},
		},
		prefixes: "FFFFF..",
	},
	{
		name:     "PRIORITY",
		wire:     "\x00\x00\x05\x02\x00\x00\x00\x00\x07\x80\x00\x00\x05\x10",
		value:    Priority{StreamID: 7, PriorityParam: PriorityParam{Exclusive: true, StreamDependency: 5, Weight: 16}},
		prefixes: "FFFFF.",
	},
	{
		name:     "RST_STREAM",
		wire:     "\x00\x00\x04\x03\x00\x00\x00\x00\x09\x00\x00\x00\x08",
		value:    RSTStream{StreamID: 9, Code: ErrCodeCancel},
		prefixes: "FFFF.",
	},
	{
		name: "SETTINGS",
		wire: "\x00\x00\x0c\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\xfa\x00\x04\x00\x01\x00\x00",
		value: []Setting{
			{SettingMaxConcurrentStreams, 250},
			{SettingInitialWindowSize, 65536},
		},
		prefixes: ".FFFFF.FFFFF.",
	},
	{
		name:     "SETTINGS, empty",
		wire:     "\x00\x00\x00\x04\x00\x00\x00\x00\x00",
		value:    []Setting{},
		prefixes: ".",
	},
	{
		name:     "SETTINGS, acknowledgement",
		wire:     "\x00\x00\x00\x04\x01\x00\x00\x00\x00",
		value:    "SETTINGS acknowledgement",
		prefixes: ".",
	},
	{
		name:     "PUSH_PROMISE",
		wire:     "\x00\x00\x06\x05\x04\x00\x00\x00\x01\x00\x00\x00\x02\x82\x86",
		value:    PushPromise{StreamID: 1, PromisedStreamID: 2, Fragment: []byte("\x82\x86"), EndHeaders: true},
		prefixes: "FFFF...",
	},
	{
		name: "PUSH_PROMISE, padded",
		wire: "\x00\x00\x07\x05\x08\x00\x00\x00\x01\x01\x00\x00\x00\x02\x82\x00",
		value: PushPromise{
			StreamID: 1, PromisedStreamID: 2, Fragment: []byte("\x82"), Padded: true, PadLength: 1,
		},
		prefixes: "FFFFFP..",
	},
	{
		name:     "PING",
		wire:     "\x00\x00\x08\x06\x00\x00\x00\x00\x00\x01\x02\x03\x04\x05\x06\x07\x08",
		value:    Ping{Data: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}},
		prefixes: "FFFFFFFF.",
	},
	{
		name:     "PING, acknowledgement",
		wire:     "\x00\x00\x08\x06\x01\x00\x00\x00\x00h2loop!!",
		value:    Ping{Ack: true, Data: [8]byte([]byte("h2loop!!"))},
		prefixes: "FFFFFFFF.",
	},
	{
		name:     "GOAWAY",
		wire:     "\x00\x00\x0b\x07\x00\x00\x00\x00\x00\x00\x00\x01\x01\x00\x00\x00\x0bbye",
		value:    GoAway{LastStreamID: 257, Code: ErrCodeEnhanceYourCalm, Debug: []byte("bye")},
		prefixes: "FFFFFFFF....",
	},
	{
		name:     "WINDOW_UPDATE",
		wire:     "\x00\x00\x04\x08\x00\x00\x00\x00\x0b\x7f\xff\xff\xff",
		value:    WindowUpdate{StreamID: 11, Increment: 1<<31 - 1},
		prefixes: "FFFF.",
	},
	{
		name:     "WINDOW_UPDATE of the connection",
		wire:     "\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x01",
		value:    WindowUpdate{Increment: 1},
		prefixes: "FFFF.",
	},
	{
		name:     "CONTINUATION",
		wire:     "\x00\x00\x02\x09\x04\x00\x00\x00\x0d\x82\x86",
		value:    Continuation{StreamID: 13, Fragment: []byte("\x82\x86"), EndHeaders: true},
		prefixes: "...",
	},
	{
		name:     "PRIORITY_UPDATE",
		wire:     "\x00\x00\x0a\x10\x00\x00\x00\x00\x00\x00\x00\x00\x0fu=1, i",
		value:    PriorityUpdate{PrioritizedStreamID: 15, FieldValue: []byte("u=1, i")},
		prefixes: "FFFF.......",
	},
}

// parseAny parses a whole frame into what wireFrames has as its value.
func parseAny(h Header, payload []byte) (any, error) {
	switch h.Type {
	case TypeData:
		return anyOf(ParseData(h, payload))
	case TypeHeaders:
		return anyOf(ParseHeaders(h, payload))
	case TypePriority:
		return anyOf(ParsePriority(h, payload))
	case TypeRSTStream:
		return anyOf(ParseRSTStream(h, payload))
	case TypeSettings:
		f, err := ParseSettings(h, payload)
		if err != nil {
			return nil, err
		}
		if f.Ack {
			return "SETTINGS acknowledgement", nil
		}
		list := make([]Setting, f.Len())
		for i := range list {
			list[i] = f.At(i)
		}
		return list, nil
	case TypePushPromise:
		return anyOf(ParsePushPromise(h, payload))
	case TypePing:
		return anyOf(ParsePing(h, payload))
	case TypeGoAway:
		return anyOf(ParseGoAway(h, payload))
	case TypeWindowUpdate:
		return anyOf(ParseWindowUpdate(h, payload))
	case TypeContinuation:
		return anyOf(ParseContinuation(h, payload))
	case TypePriorityUpdate:
		return anyOf(ParsePriorityUpdate(h, payload))
	default:
		panic("no parser for " + h.Type.String())
	}
}

func anyOf[F any](f F, err error) (any, error) { return f, err }

// appendAny appends a value of wireFrames as a frame.
func appendAny(dst []byte, value any) []byte {
	switch f := value.(type) {
	case Data:
		return AppendData(dst, f)
	case Headers:
		return AppendHeaders(dst, f)
	case Priority:
		return AppendPriority(dst, f)
	case RSTStream:
		return AppendRSTStream(dst, f)
	case []Setting:
		return AppendSettings(dst, f...)
	case string:
		return AppendSettingsAck(dst)
	case PushPromise:
		return AppendPushPromise(dst, f)
	case Ping:
		return AppendPing(dst, f)
	case GoAway:
		return AppendGoAway(dst, f)
	case WindowUpdate:
		return AppendWindowUpdate(dst, f)
	case Continuation:
		return AppendContinuation(dst, f)
	case PriorityUpdate:
		return AppendPriorityUpdate(dst, f)
	default:
		panic(fmt.Sprintf("no append for %T", value))
	}
}

// code returns the error code of a ConnError or StreamError.
func code(t *testing.T, err error) ErrCode {
	t.Helper()
	if e, ok := errors.AsType[ConnError](err); ok {
		return e.Code
	}
	if e, ok := errors.AsType[StreamError](err); ok {
		return e.Code
	}
	t.Fatalf("error %T %v is neither a ConnError nor a StreamError", err, err)
	return 0
}

func TestParseOctets(t *testing.T) {
	for _, tt := range wireFrames {
		h, ok := ParseHeader([]byte(tt.wire))
		if !ok || int(h.Length) != len(tt.wire)-HeaderLen {
			t.Fatalf("%s: header %+v, %t of %d octets", tt.name, h, ok, len(tt.wire))
		}
		got, err := parseAny(h, []byte(tt.wire[HeaderLen:]))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else if !reflect.DeepEqual(got, tt.value) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", tt.name, got, tt.value)
		}
	}
}

func TestAppendOctets(t *testing.T) {
	for _, tt := range wireFrames {
		// What is in dst stays, and what is behind it (here ones, where padding
		// has to be zero) does not shine through.
		dst := append(bytes.Repeat([]byte{0xff}, 64)[:0], "before"...)
		got := appendAny(dst, tt.value)
		if want := "before" + tt.wire; string(got) != want {
			t.Errorf("%s:\ngot  %x\nwant %x", tt.name, got, want)
		}
	}
}

// TestParsePrefixes cuts every frame after each octet of its payload and has the
// header agree. What is too short must be an error, the right one, and no panic.
func TestParsePrefixes(t *testing.T) {
	for _, tt := range wireFrames {
		if len(tt.prefixes) != len(tt.wire)-HeaderLen+1 {
			t.Fatalf("%s: %d prefixes for a payload of %d octets", tt.name, len(tt.prefixes), len(tt.wire)-HeaderLen)
		}
		h, _ := ParseHeader([]byte(tt.wire))
		for n := range len(tt.prefixes) {
			h.Length = uint32(n)
			payload := []byte(tt.wire[HeaderLen:][:n])
			f, err := parseAny(h, payload)
			switch tt.prefixes[n] {
			case 'F':
				if err == nil || code(t, err) != ErrCodeFrameSize {
					t.Errorf("%s, %d octets: error %v, want FRAME_SIZE_ERROR", tt.name, n, err)
				}
			case 'P':
				if err == nil || code(t, err) != ErrCodeProtocol {
					t.Errorf("%s, %d octets: error %v, want PROTOCOL_ERROR", tt.name, n, err)
				}
			default:
				if err != nil {
					t.Errorf("%s, %d octets: %v", tt.name, n, err)
				} else if got := appendAny(nil, f); len(got) != HeaderLen+n {
					t.Errorf("%s, %d octets: appended again it has %d", tt.name, n, len(got)-HeaderLen)
				}
			}
		}
	}
}

// TestParseLends finds the slices of a parsed frame inside the payload.
func TestParseLends(t *testing.T) {
	payload := []byte("\x00\x00\x00\x02abcdefgh")
	within := func(name string, b []byte, err error) {
		t.Helper()
		if err != nil || len(b) == 0 || &b[len(b)-1] != &payload[len(payload)-1] {
			t.Errorf("%s: %q, %v: not the end of the payload", name, b, err)
		}
	}
	on1 := Header{Length: uint32(len(payload)), StreamID: 1}
	on0 := Header{Length: uint32(len(payload))}
	data, err := ParseData(on1, payload)
	within("DATA", data.Data, err)
	headers, err := ParseHeaders(on1, payload)
	within("HEADERS", headers.Fragment, err)
	promise, err := ParsePushPromise(on1, payload)
	within("PUSH_PROMISE", promise.Fragment, err)
	goAway, err := ParseGoAway(on0, payload)
	within("GOAWAY", goAway.Debug, err)
	continuation, err := ParseContinuation(on1, payload)
	within("CONTINUATION", continuation.Fragment, err)
	update, err := ParsePriorityUpdate(on0, payload)
	within("PRIORITY_UPDATE", update.FieldValue, err)
	settings, err := ParseSettings(on0, payload)
	within("SETTINGS", settings.payload, err)
}

func TestSection4_1_HeaderOctets(t *testing.T) {
	const wire = "\x01\x02\x03\x08\x25\x04\x05\x06\x07"
	want := Header{Length: 0x010203, Type: TypeWindowUpdate, Flags: 0x25, StreamID: 0x04050607}
	if got, ok := ParseHeader([]byte(wire + "more")); !ok || got != want {
		t.Errorf("parsed %+v, %t, want %+v", got, ok, want)
	}
	if got := AppendHeader([]byte("x"), want); string(got) != "x"+wire {
		t.Errorf("appended %x, want %x", got, "x"+wire)
	}
	for n := range HeaderLen {
		if h, ok := ParseHeader([]byte(wire[:n])); ok || h != (Header{}) {
			t.Errorf("%d octets: %+v, %t", n, h, ok)
		}
	}
}

func TestSection4_1_ReservedBits(t *testing.T) {
	h, ok := ParseHeader([]byte("\x00\x00\x00\x00\x00\xff\xff\xff\xff"))
	if !ok || h.StreamID != MaxStreamID {
		t.Errorf("reserved bit received: stream %#x, want %#x", h.StreamID, MaxStreamID)
	}
	if got := AppendHeader(nil, Header{StreamID: math.MaxUint32}); got[5] != 0x7f {
		t.Errorf("reserved bit sent: %x", got)
	}

	// The payloads of four frames have reserved bits too.
	push, err := ParsePushPromise(Header{StreamID: 1}, []byte("\x80\x00\x00\x02"))
	if err != nil || push.PromisedStreamID != 2 {
		t.Errorf("PUSH_PROMISE: %+v, %v", push, err)
	}
	goAway, err := ParseGoAway(Header{}, []byte("\x80\x00\x00\x03\x00\x00\x00\x00"))
	if err != nil || goAway.LastStreamID != 3 {
		t.Errorf("GOAWAY: %+v, %v", goAway, err)
	}
	window, err := ParseWindowUpdate(Header{}, []byte("\x80\x00\x00\x04"))
	if err != nil || window.Increment != 4 {
		t.Errorf("WINDOW_UPDATE: %+v, %v", window, err)
	}
	priority, err := ParsePriorityUpdate(Header{}, []byte("\x80\x00\x00\x05"))
	if err != nil || priority.PrioritizedStreamID != 5 {
		t.Errorf("PRIORITY_UPDATE: %+v, %v", priority, err)
	}
	for name, got := range map[string][]byte{
		"PUSH_PROMISE":    AppendPushPromise(nil, PushPromise{StreamID: 1, PromisedStreamID: math.MaxUint32}),
		"GOAWAY":          AppendGoAway(nil, GoAway{LastStreamID: math.MaxUint32}),
		"WINDOW_UPDATE":   AppendWindowUpdate(nil, WindowUpdate{Increment: math.MaxUint32}),
		"PRIORITY_UPDATE": AppendPriorityUpdate(nil, PriorityUpdate{PrioritizedStreamID: math.MaxUint32}),
		"PRIORITY":        AppendPriority(nil, Priority{1, PriorityParam{StreamDependency: math.MaxUint32}}),
	} {
		if got[HeaderLen] != 0x7f {
			t.Errorf("%s: reserved bit sent: %x", name, got)
		}
	}
}

// TestSection4_1_UnknownFlags has every parser ignore flags that do not belong to
// its type: "Unused flags MUST be ignored on receipt".
func TestSection4_1_UnknownFlags(t *testing.T) {
	known := map[Type]Flags{
		TypeData:         FlagEndStream | FlagPadded,
		TypeHeaders:      FlagEndStream | FlagEndHeaders | FlagPadded | FlagPriority,
		TypeSettings:     FlagAck,
		TypePushPromise:  FlagEndHeaders | FlagPadded,
		TypePing:         FlagAck,
		TypeContinuation: FlagEndHeaders,
	}
	for _, tt := range wireFrames {
		h, _ := ParseHeader([]byte(tt.wire))
		h.Flags |= ^known[h.Type]
		got, err := parseAny(h, []byte(tt.wire[HeaderLen:]))
		if err != nil || !reflect.DeepEqual(got, tt.value) {
			t.Errorf("%s with flags %#x:\ngot  %+v, %v\nwant %+v", tt.name, uint8(h.Flags), got, err, tt.value)
		}
	}
}

func TestFlagsHas(t *testing.T) {
	f := FlagEndStream | FlagPadded
	if !f.Has(FlagEndStream) || !f.Has(FlagPadded) || !f.Has(FlagEndStream|FlagPadded) || !f.Has(0) {
		t.Errorf("%#x lacks flags it has", uint8(f))
	}
	if f.Has(FlagEndHeaders) || f.Has(FlagEndStream|FlagEndHeaders) {
		t.Errorf("%#x has flags it lacks", uint8(f))
	}
}

func TestAppendPanicsOverTheLength(t *testing.T) {
	largest := make([]byte, MaxMaxFrameSize)
	h, _ := ParseHeader(AppendData(nil, Data{StreamID: 1, Data: largest}))
	if h.Length != MaxMaxFrameSize {
		t.Errorf("length %d, want %d", h.Length, MaxMaxFrameSize)
	}
	for name, f := range map[string]any{
		"DATA":            Data{StreamID: 1, Data: largest, Padded: true},
		"HEADERS":         Headers{StreamID: 1, Fragment: largest, HasPriority: true},
		"SETTINGS":        make([]Setting, MaxMaxFrameSize/6+1),
		"PUSH_PROMISE":    PushPromise{StreamID: 1, PromisedStreamID: 2, Fragment: largest},
		"GOAWAY":          GoAway{Debug: largest},
		"CONTINUATION":    Continuation{StreamID: 1, Fragment: append(largest, 0)},
		"PRIORITY_UPDATE": PriorityUpdate{PrioritizedStreamID: 1, FieldValue: largest},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s of more than 2^24-1 octets was appended", name)
				}
			}()
			appendAny(nil, f)
		}()
	}
}

func TestNames(t *testing.T) {
	for got, want := range map[fmt.Stringer]string{
		TypeData:                     "DATA",
		TypeRSTStream:                "RST_STREAM",
		TypeContinuation:             "CONTINUATION",
		Type(0x0a):                   "0xa",
		Type(0x0f):                   "0xf",
		TypePriorityUpdate:           "PRIORITY_UPDATE",
		Type(0x11):                   "0x11",
		Type(0xff):                   "0xff",
		ErrCodeNo:                    "NO_ERROR",
		ErrCodeProtocol:              "PROTOCOL_ERROR",
		ErrCodeSettingsTimeout:       "SETTINGS_TIMEOUT",
		ErrCodeEnhanceYourCalm:       "ENHANCE_YOUR_CALM",
		ErrCodeHTTP11Required:        "HTTP_1_1_REQUIRED",
		ErrCode(0x0e):                "0xe",
		ErrCode(math.MaxUint32):      "0xffffffff",
		SettingHeaderTableSize:       "HEADER_TABLE_SIZE",
		SettingEnableConnectProtocol: "ENABLE_CONNECT_PROTOCOL",
		SettingNoRFC7540Priorities:   "NO_RFC7540_PRIORITIES",
		SettingID(0):                 "0x0",
		SettingID(7):                 "0x7",
		SettingID(0xffff):            "0xffff",
	} {
		if got.String() != want {
			t.Errorf("%T named %q, want %q", got, got, want)
		}
	}
}

// TestSection7_Codes pins the numbers, which the names follow.
func TestSection7_Codes(t *testing.T) {
	names := []string{
		"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
		"FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
		"INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
	}
	for n, want := range names {
		if got := ErrCode(n).String(); got != want {
			t.Errorf("code %#x named %q, want %q", n, got, want)
		}
	}
}

func TestErrorText(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{
			ConnError{ErrCodeProtocol, "DATA on stream 0", "6.1"},
			"connection error PROTOCOL_ERROR: DATA on stream 0 (RFC 9113, Section 6.1)",
		},
		{
			StreamError{7, ErrCodeProtocol, "stream depends on itself", "RFC 7540, Section 5.3.1"},
			"stream 7 error PROTOCOL_ERROR: stream depends on itself (RFC 7540, Section 5.3.1)",
		},
		{StreamError{StreamID: MaxStreamID, Code: 0x99}, "stream 2147483647 error 0x99"},
		{ConnError{Code: ErrCodeNo}, "connection error NO_ERROR"},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

// TestImports keeps the codec to the standard library, and to what is pure in it.
func TestImports(t *testing.T) {
	pkg, err := build.ImportDir(".", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, imp := range pkg.Imports {
		host, _, _ := strings.Cut(imp, "/")
		if strings.Contains(host, ".") {
			t.Errorf("package frames imports %s, which is not of the standard library", imp)
		}
		for _, bad := range []string{"net", "os", "io", "time", "sync", "syscall", "unsafe", "crypto"} {
			if imp == bad || strings.HasPrefix(imp, bad+"/") {
				t.Errorf("package frames imports %s", imp)
			}
		}
	}
}
