package h2

import (
	"fmt"
	"strings"
	"testing"

	"github.com/h2loop/h2loop/frames"
)

func priorityUpdate(id frames.StreamID, value string) []byte {
	return frames.AppendPriorityUpdate(nil, frames.PriorityUpdate{PrioritizedStreamID: id, FieldValue: []byte(value)})
}

func TestRFC9218Section4_ParsePriority(t *testing.T) {
	for _, tt := range []struct {
		value       string
		urgency     uint8
		incremental bool
	}{
		{"", 3, false},
		{"  ", 3, false},
		{"u=0", 0, false},
		{"u=7", 7, false},
		{"i", 3, true},
		{"u=5, i", 5, true},
		{"i,u=5", 5, true},
		{"u=5,i ", 5, true},
		{" u=5 \t,\t i", 5, true},
		{"i=?1", 3, true},
		{"i=?0", 3, false},
		{"u=2;x=y;z, i;a", 2, true},
		{"i;a=1;b=\"q,u=6\"", 3, true},
		{"i;u=6", 3, true},
		{"a09z-=5, z=6, a=i, u=4", 4, false},
		{"x=\"\\", 3, false}, // an end inside an escape
		{"a;u=6;i, u=1;i", 1, false},

		// What is out of range or of another type has no effect.
		{"u=8", 3, false},
		{"u=-1", 3, false},
		{"u=10", 3, false},
		{"u=1.0", 3, false},
		{"u=?1", 3, false},
		{"u", 3, false},
		{`u="1"`, 3, false},
		{"u=:MQ==:", 3, false},
		{"u=(1 2), i", 3, true},
		{"i=1", 3, false},
		{"i=yes", 3, false},
		{"u=000000000000001", 1, false},
		{"u=0000000000000001", 3, false},
		{"u=07", 7, false},
		{"u=-0", 0, false},
		{"u=-", 3, false},
		{"u=", 3, false},

		// Unknown members are ignored, and the last of equal keys counts.
		{"a=1, u=2, b, i, c=(x y);d", 2, true},
		{`x="a, u=7 \" , i", u=1`, 1, false},
		{"u=1, u=2", 2, false},
		{"u=1, u=9", 3, false},
		{"i, i=?0", 3, false},
		{"i, i=5", 3, false},
		{"*u=1, u*=2, u-x=4, u_=5, u.=6", 3, false},
		{"u=1,", 1, false}, // no dictionary, but no harm
	} {
		p, ok := parsePriority(tt.value)
		if want := (priority{tt.urgency, tt.incremental}); !ok || p != want {
			t.Errorf("%q: %+v, %v; want %+v", tt.value, p, ok, want)
		}
	}
	for _, value := range []string{",", "=1", "U=1", "u=1,,i", "u=1, =2", "1", "?1", "\"u\"", "(u)", "\x00", "-u=1", "u=1, \xff"} {
		if p, ok := parsePriority(value); ok {
			t.Errorf("%q: %+v, want malformed", value, p)
		}
	}
}

func TestRFC9218Section5_PriorityField(t *testing.T) {
	for _, tt := range []struct {
		fields []string
		want   priority
	}{
		{nil, priority{3, true}}, // no signal: our own default
		{[]string{"priority: u=1"}, priority{1, false}},
		{[]string{"priority: i"}, priority{3, true}},
		{[]string{"priority: "}, priority{3, false}},
		{[]string{"priority: u=1", "priority: i"}, priority{1, true}},
		{[]string{"priority: u=1, i", "priority: u=6"}, priority{6, true}},
		{[]string{"priority: u=1" + strings.Repeat(" ", 300) + ", i", "priority: u=6"}, priority{1, true}}, // long enough
		{[]string{"priority: !!"}, priority{3, true}},                                                      // as if it were not there
	} {
		tc := newTestConn(t, Config{})
		tc.recv(tc.get(1, tt.fields...))
		if got := tc.stream(1).priority; got != tt.want {
			t.Errorf("%q: %+v, want %+v", tt.fields, got, tt.want)
		}
	}
}

func TestRFC9218Section7_1_Malformed(t *testing.T) {
	for why, tt := range map[string]struct {
		frame []byte
		code  frames.ErrCode
	}{
		"on a stream":        {frame(frames.TypePriorityUpdate, 0, 1, "\x00\x00\x00\x01u=1"), frames.ErrCodeProtocol},
		"of stream 0":        {priorityUpdate(0, "u=1"), frames.ErrCodeProtocol},
		"3 octets":           {frame(frames.TypePriorityUpdate, 0, 0, "\x00\x00\x01"), frames.ErrCodeFrameSize},
		"of a pushed stream": {priorityUpdate(2, "u=1"), frames.ErrCodeProtocol},
	} {
		tc := newTestConn(t, Config{})
		tc.recv(tt.frame)
		tc.wantConnError("PRIORITY_UPDATE "+why, tt.code)
	}
}

// TestRFC9218Section7_1_BeforeHeaders has PRIORITY_UPDATE overtake its stream.
func TestRFC9218Section7_1_BeforeHeaders(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.recv(priorityUpdate(3, "u=5"), priorityUpdate(5, "u=6"), priorityUpdate(3, "u=1"), priorityUpdate(7, "u=0"))
	tc.recv(tc.get(1), tc.get(3, "priority: u=7, i"), tc.get(7))
	for id, want := range map[frames.StreamID]priority{1: unsignalled, 3: {1, false}, 7: {0, false}} {
		if got := tc.stream(id).priority; got != want {
			t.Errorf("stream %d: %+v, want %+v", id, got, want)
		}
	}
	if len(tc.c.early) != 0 {
		t.Errorf("%d remembered, but 5 can come no more", len(tc.c.early))
	}
	tc.recv(priorityUpdate(5, "u=1"))
	if len(tc.c.early) != 0 {
		t.Error("a stream that is closed is remembered")
	}
	// The oldest is forgotten first.
	for i := range frames.StreamID(50) {
		tc.recv(priorityUpdate(9+2*i, "u=0"))
	}
	if n := len(tc.c.early); n != maxEarlyPriorities {
		t.Errorf("%d remembered, want %d", n, maxEarlyPriorities)
	}
	for i := range frames.StreamID(maxEarlyPriorities + 1) {
		tc.recv(priorityUpdate(101+2*i, "u=0"))
	}
	tc.recv(tc.get(101), tc.get(103), tc.get(101+2*maxEarlyPriorities))
	if got := tc.stream(101).priority; got != unsignalled {
		t.Errorf("the oldest is remembered: %+v", got)
	}
	for _, id := range []frames.StreamID{103, 101 + 2*maxEarlyPriorities} {
		if got := tc.stream(id).priority; got.urgency != 0 {
			t.Errorf("stream %d: %+v", id, got)
		}
	}
}

// order returns the streams of DATA in the order they came, a letter each:
// a for 1, b for 3.
func order(lines []string) string {
	var b strings.Builder
	for _, l := range lines {
		var id int
		if _, err := fmt.Sscanf(l, "DATA %d", &id); err == nil {
			b.WriteByte('a' + byte(id/2))
		}
	}
	return b.String()
}

// TestRFC9218Section10_Order has streams of all kinds wait and looks at the
// order in which their frames leave. Each body is of three frames.
func TestRFC9218Section10_Order(t *testing.T) {
	for _, tt := range []struct {
		why        string
		priorities []string // of streams 1, 3 …; "-" for no field
		queued     string   // the order in which the application answers
		want       string
	}{
		{"urgency decides", []string{"u=5", "u=1", "u=7", "u=0"}, "abcd", "dddbbbaaaccc"},
		{"incremental: round robin", []string{"i", "i", "i"}, "abc", "abcabcabc"},
		{"in the order of answers", []string{"i", "i", "i"}, "bca", "bcabcabca"},
		{"without a signal: round robin", []string{"-", "-", "-"}, "abc", "abcabcabc"},
		{"not incremental: by identifier", []string{"u=3", "u=3", "u=3"}, "cab", "aaabbbccc"},
		{"one of each: turn and turn about", []string{"u=3", "i"}, "ab", "bababa"},
		{"the first in order has every second turn", []string{"u=3", "u=3", "i", "i"}, "abcd", "cadacadbcbdb"},
		{"levels do not mix", []string{"u=1, i", "u=1", "u=2, i", "u=2"}, "abcd", "ababab" + "cdcdcd"},
		{"urgent incremental before ordered", []string{"u=3", "u=0, i", "u=0, i"}, "abc", "bcbcbcaaa"},
	} {
		tc := newTestConn(t, Config{})
		tc.recv(settings(setting(frames.SettingInitialWindowSize, 1<<20)), windowUpdate(0, 1<<20))
		tc.answerHeaders()
		for i, p := range tt.priorities {
			var fields []string
			if p != "-" {
				fields = []string{"priority: " + p}
			}
			tc.recv(tc.get(frames.StreamID(2*i+1), fields...))
		}
		tc.drain()
		for _, c := range tt.queued {
			id := 2*frames.StreamID(c-'a') + 1
			mustDo(t, tc.c.WriteRegion(tc.stream(id), make([]byte, 3*16384), nil, true))
		}
		if got := order(tc.drain()); got != tt.want {
			t.Errorf("%s: %v answered %s:\ngot  %s\nwant %s", tt.why, tt.priorities, tt.queued, got, tt.want)
		}
	}
}

// TestRFC9218Section10_NoStarvation mixes streams that need one frame each with
// a long one of the other kind: turns are taken by frames and not by streams.
func TestRFC9218Section10_NoStarvation(t *testing.T) {
	for _, tt := range []struct{ long, short, want string }{
		{"u=3", "i", "bacadaeafaaaaa"},
		{"i", "u=3", "abacadaeafaaaa"},
	} {
		tc := newTestConn(t, Config{})
		tc.recv(settings(setting(frames.SettingInitialWindowSize, 1<<20)), windowUpdate(0, 1<<20))
		tc.answerHeaders()
		tc.recv(tc.get(1, "priority: "+tt.long))
		for id := frames.StreamID(3); id < 13; id += 2 {
			tc.recv(tc.get(id, "priority: "+tt.short))
		}
		tc.drain()
		mustDo(t, tc.c.WriteRegion(tc.stream(1), make([]byte, 9*16384), nil, true))
		for id := frames.StreamID(3); id < 13; id += 2 {
			mustDo(t, tc.c.WriteRegion(tc.stream(id), make([]byte, 5000), nil, true))
		}
		if got := order(tc.drain()); got != tt.want {
			t.Errorf("long is %q, short are %q:\ngot  %s\nwant %s", tt.long, tt.short, got, tt.want)
		}
	}
}

// TestRFC9218Section7_Reprioritize changes priorities of streams that wait, are
// parked, are idle, or have nothing to send.
func TestRFC9218Section7_Reprioritize(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.recv(settings(setting(frames.SettingInitialWindowSize, 1<<20)), windowUpdate(0, 1<<20))
	tc.answerHeaders()
	for id := frames.StreamID(1); id < 9; id += 2 {
		tc.recv(tc.get(id))
	}
	tc.drain()
	for id := frames.StreamID(1); id < 7; id += 2 {
		mustDo(t, tc.c.WriteRegion(tc.stream(id), make([]byte, 4*16384), nil, true))
	}
	tc.room = 3 * (16384 + 9)
	tc.turn()
	if got := order(tc.lines); got != "abc" {
		t.Errorf("first turn %s", got)
	}
	tc.lines = nil
	tc.recv(priorityUpdate(5, "u=0"))
	tc.turn()
	if got := order(tc.lines); got != "ccc" {
		t.Errorf("5 is urgent now: %s", got)
	}
	tc.lines = nil
	tc.recv(priorityUpdate(1, "u=3"), priorityUpdate(3, "u=6"), priorityUpdate(7, "u=1"), priorityUpdate(7, "u=1, i"))
	mustDo(t, tc.c.WriteRegion(tc.stream(7), make([]byte, 16384), nil, true))
	if got := order(tc.drain()); got != "daaabbb" {
		t.Errorf("7 before 1 before 3: %s", got)
	}
}

func TestRFC9218Section7_ReprioritizeParkedSource(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answerHeaders()
	tc.recv(tc.get(1), tc.get(3))
	tc.drain()
	big := strings.Repeat("x", 5000)
	src := tc.source(1, big, big)
	mustDo(t, tc.c.WriteSource(tc.stream(1), src))
	tc.c.Fill()
	if tc.stream(1).list != &tc.c.parked {
		t.Fatal("a source with a piece in the batch is not parked")
	}
	tc.recv(priorityUpdate(1, "u=6"))
	mustDo(t, tc.c.WriteRegion(tc.stream(3), make([]byte, 5000), nil, true))
	tc.flush()
	tc.want("the second piece has its new place", "DATA 1 len=5000", "DATA 3 len=5000 END_STREAM", "DATA 1 len=5000 END_STREAM")
}

// FuzzPriority holds parsePriority against a strict parser of RFC 8941: what is
// a dictionary there is one here, and says the same.
func FuzzPriority(f *testing.F) {
	for _, v := range []string{
		"", "u=1", "u=1, i", "i=?0,u=7;q=\"a\\\"b,\"", "a=(1 2;x);y, u=0", "u=-0", "u=1.5", "x=:aGk=:, i",
		"u=1,", " u=3", "u = 3", "i;;", "u=\"1\"", "*=1", "a.b_c-d*=t/x:y",
	} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		got, ok := parsePriority(v)
		if got.urgency >= numUrgencies {
			t.Fatalf("%q: urgency %d", v, got.urgency)
		}
		want, valid := strictPriority(v)
		if valid && (!ok || got != want) {
			t.Errorf("%q: %+v, %v; the strict parser says %+v", v, got, ok, want)
		}
	})
}
