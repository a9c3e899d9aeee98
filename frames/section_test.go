package frames

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// wantConnError checks that err is a connection error of a code, with a section.
func wantConnError(t *testing.T, why string, err error, code ErrCode, section string) {
	t.Helper()
	e, ok := errors.AsType[ConnError](err)
	if !ok || e.Code != code || e.Section != section || e.Reason == "" {
		t.Errorf("%s:\ngot  %T %v\nwant connection error %v of Section %s", why, err, err, code, section)
	}
}

// wantStreamError checks that err is an error of one stream, with a section.
func wantStreamError(t *testing.T, why string, err error, id StreamID, code ErrCode, section string) {
	t.Helper()
	e, ok := errors.AsType[StreamError](err)
	if !ok || e.StreamID != id || e.Code != code || e.Section != section || e.Reason == "" {
		t.Errorf("%s:\ngot  %T %v\nwant stream %d error %v of Section %s", why, err, err, id, code, section)
	}
}

// headerOf returns a header for the payload.
func headerOf(t Type, flags Flags, id StreamID, payload string) Header {
	return Header{Length: uint32(len(payload)), Type: t, Flags: flags, StreamID: id}
}

func TestSection6_1_DataOnStream0(t *testing.T) {
	h := headerOf(TypeData, 0, 0, "hello")
	f, err := ParseData(h, []byte("hello"))
	wantConnError(t, "ParseData", err, ErrCodeProtocol, "6.1")
	if !reflect.DeepEqual(f, Data{}) {
		t.Errorf("%+v came beside the error", f)
	}
	var r DataReader
	wantConnError(t, "DataReader", r.Start(h), ErrCodeProtocol, "6.1")
	if !r.Done() {
		t.Error("a DataReader that refused to start has something to read")
	}
}

func TestSection6_1_Padding(t *testing.T) {
	for payload, want := range map[string]ErrCode{
		"":                  ErrCodeFrameSize, // no room for Pad Length
		"\x00":              ErrCodeNo,
		"\x01":              ErrCodeProtocol, // "the length of the frame payload"
		"\x02":              ErrCodeProtocol, // "or greater"
		"\x02a\x00":         ErrCodeNo,       // padding need not be verified
		"\x03ab":            ErrCodeProtocol,
		"\xffabcdefghijk":   ErrCodeProtocol,
		"\x02hello\x00\x00": ErrCodeNo,
	} {
		h := headerOf(TypeData, FlagPadded, 1, payload)
		_, err := ParseData(h, []byte(payload))
		var r DataReader
		rerr := r.Start(h)
		if rerr == nil {
			_, _, rerr = r.Next([]byte(payload))
		}
		section := "6.1"
		if want == ErrCodeFrameSize {
			section = "4.2"
		}
		if want != ErrCodeNo {
			wantConnError(t, "ParseData of "+payload, err, want, section)
			wantConnError(t, "DataReader of "+payload, rerr, want, section)
		} else if err != nil || rerr != nil {
			t.Errorf("%q: ParseData %v, DataReader %v", payload, err, rerr)
		}
	}
}

func TestSection6_2_HeadersOnStream0(t *testing.T) {
	_, err := ParseHeaders(headerOf(TypeHeaders, FlagEndHeaders, 0, "\x82"), []byte("\x82"))
	wantConnError(t, "stream 0", err, ErrCodeProtocol, "6.2")
}

func TestSection6_2_PaddingExceedsFragment(t *testing.T) {
	for _, tt := range []struct {
		flags   Flags
		payload string
		ok      bool
	}{
		{FlagPadded, "\x01", false},
		{FlagPadded, "\x01\x00", true},
		{FlagPadded, "\x03\x82\x00", false},
		{FlagPadded | FlagPriority, "\x00\x00\x00\x00\x03\x00", true},
		{FlagPadded | FlagPriority, "\x01\x00\x00\x00\x03\x00", false}, // would reach into Weight
		{FlagPadded | FlagPriority, "\x01\x00\x00\x00\x03\x00\x00", true},
		{FlagPadded | FlagPriority, "\x02\x00\x00\x00\x03\x00\x00", false},
	} {
		_, err := ParseHeaders(headerOf(TypeHeaders, tt.flags, 1, tt.payload), []byte(tt.payload))
		if !tt.ok {
			wantConnError(t, "padding", err, ErrCodeProtocol, "6.2")
		} else if err != nil {
			t.Errorf("%q: %v", tt.payload, err)
		}
	}
}

// TestSection4_2_TooShort has frames without room for what they must have. All of
// these can alter the state of the connection.
func TestSection4_2_TooShort(t *testing.T) {
	for _, tt := range []struct {
		typ     Type
		flags   Flags
		id      StreamID
		payload string
	}{
		{TypeHeaders, FlagPadded, 1, ""},
		{TypeHeaders, FlagPriority, 1, "\x00\x00\x00\x03"},
		{TypeHeaders, FlagPadded | FlagPriority, 1, "\x00\x00\x00\x00\x03"},
		{TypePushPromise, 0, 1, "\x00\x00\x00"},
		{TypePushPromise, FlagPadded, 1, "\x00\x00\x00\x00"},
		{TypeGoAway, 0, 0, "\x00\x00\x00\x01\x00\x00\x00"},
		{TypePriorityUpdate, 0, 0, "\x00\x00\x00"},
	} {
		_, err := parseAny(headerOf(tt.typ, tt.flags, tt.id, tt.payload), []byte(tt.payload))
		wantConnError(t, tt.typ.String(), err, ErrCodeFrameSize, "4.2")
		if err != nil && !strings.Contains(err.Error(), tt.typ.String()) {
			t.Errorf("%v does not name %v", err, tt.typ)
		}
	}
}

func TestSection6_3_PriorityOnStream0(t *testing.T) {
	const payload = "\x00\x00\x00\x01\x00"
	_, err := ParsePriority(headerOf(TypePriority, 0, 0, payload), []byte(payload))
	wantConnError(t, "stream 0", err, ErrCodeProtocol, "6.3")
}

func TestSection6_3_PriorityLength(t *testing.T) {
	for _, payload := range []string{"", "\x00\x00\x00\x01", "\x00\x00\x00\x01\x00\x00"} {
		_, err := ParsePriority(headerOf(TypePriority, 0, 3, payload), []byte(payload))
		wantStreamError(t, "length", err, 3, ErrCodeFrameSize, "6.3")
	}
}

// TestRFC7540Section5_3_1_SelfDependency is the one rule of the old priorities that
// is still enforced.
func TestRFC7540Section5_3_1_SelfDependency(t *testing.T) {
	const section = "RFC 7540, Section 5.3.1"
	for _, payload := range []string{"\x00\x00\x00\x03\x00", "\x80\x00\x00\x03\x10"} {
		_, err := ParsePriority(headerOf(TypePriority, 0, 3, payload), []byte(payload))
		wantStreamError(t, "PRIORITY", err, 3, ErrCodeProtocol, section)

		f, err := ParseHeaders(headerOf(TypeHeaders, FlagPriority|FlagEndHeaders|FlagEndStream, 3, payload+"\x82\x86"), []byte(payload+"\x82\x86"))
		wantStreamError(t, "HEADERS", err, 3, ErrCodeProtocol, section)
		if string(f.Fragment) != "\x82\x86" || f.StreamID != 3 || !f.EndHeaders || !f.EndStream {
			t.Errorf("the frame to decode beside the error is %+v", f)
		}
	}
}

func TestSection6_4_RSTStream(t *testing.T) {
	const payload = "\x00\x00\x00\x08"
	_, err := ParseRSTStream(headerOf(TypeRSTStream, 0, 0, payload), []byte(payload))
	wantConnError(t, "stream 0", err, ErrCodeProtocol, "6.4")
	for _, payload := range []string{"", "\x00\x00\x00", "\x00\x00\x00\x08\x00"} {
		_, err := ParseRSTStream(headerOf(TypeRSTStream, 0, 1, payload), []byte(payload))
		wantConnError(t, "length", err, ErrCodeFrameSize, "6.4")
	}
}

func TestSection6_5_SettingsOnAStream(t *testing.T) {
	_, err := ParseSettings(headerOf(TypeSettings, 0, 1, ""), nil)
	wantConnError(t, "stream 1", err, ErrCodeProtocol, "6.5")
	_, err = ParseSettings(headerOf(TypeSettings, FlagAck, 1, ""), nil)
	wantConnError(t, "acknowledgement on stream 1", err, ErrCodeProtocol, "6.5")
}

func TestSection6_5_SettingsLength(t *testing.T) {
	for n := range 20 {
		payload := strings.Repeat("\x00", n)
		f, err := ParseSettings(headerOf(TypeSettings, 0, 0, payload), []byte(payload))
		if n%6 != 0 {
			wantConnError(t, "length", err, ErrCodeFrameSize, "6.5")
		} else if err != nil || f.Len() != n/6 {
			t.Errorf("%d octets: %d settings, %v", n, f.Len(), err)
		}
		_, err = ParseSettings(headerOf(TypeSettings, FlagAck, 0, payload), []byte(payload))
		if n != 0 {
			wantConnError(t, "acknowledgement with a payload", err, ErrCodeFrameSize, "6.5")
		} else if err != nil {
			t.Errorf("acknowledgement: %v", err)
		}
	}
}

func TestSection6_5_2_SettingValues(t *testing.T) {
	const maxValue = 1<<32 - 1
	for _, tt := range []struct {
		setting Setting
		code    ErrCode
		section string
	}{
		{Setting{SettingHeaderTableSize, 0}, ErrCodeNo, ""},
		{Setting{SettingHeaderTableSize, maxValue}, ErrCodeNo, ""},
		{Setting{SettingEnablePush, 0}, ErrCodeNo, ""},
		{Setting{SettingEnablePush, 1}, ErrCodeNo, ""},
		{Setting{SettingEnablePush, 2}, ErrCodeProtocol, "6.5.2"},
		{Setting{SettingEnablePush, maxValue}, ErrCodeProtocol, "6.5.2"},
		{Setting{SettingMaxConcurrentStreams, 0}, ErrCodeNo, ""},
		{Setting{SettingMaxConcurrentStreams, maxValue}, ErrCodeNo, ""},
		{Setting{SettingInitialWindowSize, 0}, ErrCodeNo, ""},
		{Setting{SettingInitialWindowSize, 1<<31 - 1}, ErrCodeNo, ""},
		{Setting{SettingInitialWindowSize, 1 << 31}, ErrCodeFlowControl, "6.5.2"},
		{Setting{SettingInitialWindowSize, maxValue}, ErrCodeFlowControl, "6.5.2"},
		{Setting{SettingMaxFrameSize, 0}, ErrCodeProtocol, "6.5.2"},
		{Setting{SettingMaxFrameSize, 16383}, ErrCodeProtocol, "6.5.2"},
		{Setting{SettingMaxFrameSize, 16384}, ErrCodeNo, ""},
		{Setting{SettingMaxFrameSize, 16777215}, ErrCodeNo, ""},
		{Setting{SettingMaxFrameSize, 16777216}, ErrCodeProtocol, "6.5.2"},
		{Setting{SettingMaxHeaderListSize, 0}, ErrCodeNo, ""},
		{Setting{SettingMaxHeaderListSize, maxValue}, ErrCodeNo, ""},
		{Setting{SettingEnableConnectProtocol, 0}, ErrCodeNo, ""},
		{Setting{SettingEnableConnectProtocol, 1}, ErrCodeNo, ""},
		{Setting{SettingEnableConnectProtocol, 2}, ErrCodeProtocol, "RFC 8441, Section 3"},
		{Setting{SettingNoRFC7540Priorities, 0}, ErrCodeNo, ""},
		{Setting{SettingNoRFC7540Priorities, 1}, ErrCodeNo, ""},
		{Setting{SettingNoRFC7540Priorities, 2}, ErrCodeProtocol, "RFC 9218, Section 2.1"},
		{Setting{0, maxValue}, ErrCodeNo, ""},      // "MUST ignore that setting"
		{Setting{7, maxValue}, ErrCodeNo, ""},      // not assigned
		{Setting{0x0a0a, maxValue}, ErrCodeNo, ""}, // as some clients send to keep servers honest
	} {
		err := tt.setting.Validate()
		if tt.code != ErrCodeNo {
			wantConnError(t, tt.setting.ID.String(), err, tt.code, tt.section)
		} else if err != nil {
			t.Errorf("%v=%d: %v", tt.setting.ID, tt.setting.Value, err)
		}
	}
}

func TestSection6_6_PushPromise(t *testing.T) {
	const payload = "\x00\x00\x00\x02\x82"
	_, err := ParsePushPromise(headerOf(TypePushPromise, 0, 0, payload), []byte(payload))
	wantConnError(t, "stream 0", err, ErrCodeProtocol, "6.6")
	for _, payload := range []string{"\x00\x00\x00\x00\x82", "\x80\x00\x00\x00\x82", "\x00\x00\x00\x03\x82"} {
		_, err := ParsePushPromise(headerOf(TypePushPromise, 0, 1, payload), []byte(payload))
		wantConnError(t, "promised stream", err, ErrCodeProtocol, "6.6")
	}
	for _, payload := range []string{"\x01\x00\x00\x00\x02", "\x03\x00\x00\x00\x02\x82\x00"} {
		_, err := ParsePushPromise(headerOf(TypePushPromise, FlagPadded, 1, payload), []byte(payload))
		wantConnError(t, "padding", err, ErrCodeProtocol, "6.6")
	}
}

func TestSection6_7_Ping(t *testing.T) {
	_, err := ParsePing(headerOf(TypePing, 0, 1, "12345678"), []byte("12345678"))
	wantConnError(t, "on a stream", err, ErrCodeProtocol, "6.7")
	for _, payload := range []string{"", "1234567", "123456789"} {
		for _, flags := range []Flags{0, FlagAck} {
			_, err := ParsePing(headerOf(TypePing, flags, 0, payload), []byte(payload))
			wantConnError(t, "length", err, ErrCodeFrameSize, "6.7")
		}
	}
}

func TestSection6_8_GoAwayOnAStream(t *testing.T) {
	_, err := ParseGoAway(headerOf(TypeGoAway, 0, 1, "\x00\x00\x00\x00\x00\x00\x00\x00"), make([]byte, 8))
	wantConnError(t, "on a stream", err, ErrCodeProtocol, "6.8")
}

func TestSection6_9_WindowUpdateLength(t *testing.T) {
	for _, id := range []StreamID{0, 1} {
		for _, payload := range []string{"", "\x00\x00\x01", "\x00\x00\x00\x01\x00"} {
			_, err := ParseWindowUpdate(headerOf(TypeWindowUpdate, 0, id, payload), []byte(payload))
			wantConnError(t, "length", err, ErrCodeFrameSize, "6.9")
		}
	}
}

func TestSection6_9_WindowUpdateOfZero(t *testing.T) {
	for _, payload := range []string{"\x00\x00\x00\x00", "\x80\x00\x00\x00"} { // the reserved bit is not value
		_, err := ParseWindowUpdate(headerOf(TypeWindowUpdate, 0, 0, payload), []byte(payload))
		wantConnError(t, "on the connection", err, ErrCodeProtocol, "6.9")
		_, err = ParseWindowUpdate(headerOf(TypeWindowUpdate, 0, 5, payload), []byte(payload))
		wantStreamError(t, "on a stream", err, 5, ErrCodeProtocol, "6.9")
	}
}

func TestSection6_10_ContinuationOnStream0(t *testing.T) {
	_, err := ParseContinuation(headerOf(TypeContinuation, FlagEndHeaders, 0, "\x82"), []byte("\x82"))
	wantConnError(t, "stream 0", err, ErrCodeProtocol, "6.10")
}

func TestRFC9218Section7_1_PriorityUpdate(t *testing.T) {
	const section = "RFC 9218, Section 7.1"
	const payload = "\x00\x00\x00\x01u=0"
	_, err := ParsePriorityUpdate(headerOf(TypePriorityUpdate, 0, 1, payload), []byte(payload))
	wantConnError(t, "on a stream", err, ErrCodeProtocol, section)
	for _, payload := range []string{"\x00\x00\x00\x00u=0", "\x80\x00\x00\x00"} {
		_, err := ParsePriorityUpdate(headerOf(TypePriorityUpdate, 0, 0, payload), []byte(payload))
		wantConnError(t, "of stream 0", err, ErrCodeProtocol, section)
	}
}
