package h2

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/internal/message"
)

// TestRFC7541_Memos answers with few kinds of header sections, and some that
// change the table, while the peer changes its size: what is remembered of a
// section must never outlive the table that it refers to.
func TestRFC7541_Memos(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 6))
		tc := newTestConn(t, Config{})
		tc.whole = true
		var sections [][]Field
		for i := range 2 + rng.IntN(6) {
			fields := []Field{{Name: "server", Value: "h2loop"}, {Name: "content-length", Value: fmt.Sprint(13 + i%2)}}
			switch rng.IntN(6) {
			case 5:
				fields = []Field{{Name: "x-one", Value: fmt.Sprint(i)}} // all of it differs
			case 0:
				fields = append(fields, Field{Name: "x-secret", Value: "s", Sensitive: true})
			case 1:
				fields = append(fields, Field{Name: "x-big", Value: strings.Repeat("b", rng.IntN(5000))})
			case 2:
				for j := range maxMemoFields {
					fields = append(fields, Field{Name: "x-many", Value: fmt.Sprint(j)})
				}
			}
			sections = append(sections, fields)
		}
		var want []string
		tc.app.request = func(s *Stream) {
			fields := slices.Clone(sections[rng.IntN(len(sections))])
			if rng.IntN(12) == 0 {
				fields = append(fields, Field{Name: "date", Value: fmt.Sprint(rng.Uint32())})
			}
			status := 200 + rng.IntN(2)
			trailers := rng.IntN(4) == 0
			id := s.ID() // s is gone once it is answered
			mustDo(t, tc.c.WriteHeaders(s, status, fields, !trailers))
			line := fmt.Sprintf("HEADERS %d :status=%d", id, status)
			text := ""
			for _, f := range fields {
				text += " " + f.Name + "=" + f.Value
			}
			if !trailers {
				want = append(want, line+text+" END_STREAM")
				return
			}
			want = append(want, line+text, fmt.Sprintf("HEADERS %d%s END_STREAM", id, text))
			mustDo(t, tc.c.WriteTrailers(s, fields))
		}
		id := frames.StreamID(1)
		for range 300 {
			if rng.IntN(25) == 0 {
				tc.recv(settings(setting(frames.SettingHeaderTableSize, 4096*rng.Uint32N(2))))
				want = append(want, "SETTINGS ACK")
			}
			tc.recv(tc.get(id))
			id += 2
			if rng.IntN(4) == 0 {
				tc.want(fmt.Sprintf("seed %d", seed), want...)
				want = nil
				tc.app.events = nil
			}
		}
		tc.drain()
		for _, m := range tc.c.codec.memos.all {
			if len(m.fields) > maxMemoFields {
				t.Errorf("%d fields remembered", len(m.fields))
			}
		}
		if n := len(tc.c.codec.memos.all); n > maxMemos {
			t.Errorf("%d sections remembered", n)
		}
	}
}

// TestRFC7541Section4_2_SizeUpdatePassesMemos: the update comes in the very next
// block, whatever is remembered.
func TestRFC7541Section4_2_SizeUpdatePassesMemos(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.app.request = func(s *Stream) { mustDo(t, tc.c.WriteHeaders(s, 200, helloFields, true)) }
	for id := frames.StreamID(1); id < 9; id += 2 {
		tc.recv(tc.get(id))
	}
	before := tc.blocks()
	if last := before[len(before)-1]; len(last) != len(helloFields)+1 {
		t.Errorf("block %x, want only indices", last)
	}
	tc.recv(settings(setting(frames.SettingHeaderTableSize, 0), setting(frames.SettingHeaderTableSize, 4096)), tc.get(9), tc.get(11), tc.get(13))
	after := tc.blocks()
	if got := sizeUpdates(after[0]); !slices.Equal(got, []int{0, 4096}) {
		t.Errorf("size updates %v, want 0 and 4096", got)
	}
	for _, block := range after[1:] {
		if got := sizeUpdates(block); len(got) != 0 || len(block) != len(helloFields)+1 {
			t.Errorf("block %x, want only indices", block)
		}
	}
}

// TestMemosAreUsed changes what is remembered of a section, and sees it sent.
func TestMemosAreUsed(t *testing.T) {
	tc := newTestConn(t, Config{})
	answer := func(fields ...Field) {
		tc.app.request = func(s *Stream) { mustDo(t, tc.c.WriteHeaders(s, 200, fields, true)) }
	}
	a, b := Field{Name: "x-a", Value: "a"}, Field{Name: "x-b", Value: "b"}
	id := frames.StreamID(1)
	get := func() string {
		t.Helper()
		tc.recv(tc.get(id))
		id += 2
		return strings.SplitN(tc.drain()[0], " ", 3)[2]
	}
	for range 3 {
		answer(a)
		get()
		answer(b)
		get()
	}
	for i := range tc.c.codec.memos.all {
		m := &tc.c.codec.memos.all[i]
		m.block = append(m.block, 0xbf) // and the older entry of the table
	}
	for _, f := range []Field{a, b} {
		answer(f)
		if got, want := get(), ":status=200 "+f.Name+"="+f.Value; len(got) <= len(want+" END_STREAM") {
			t.Errorf("%s: it was encoded anew", got)
		}
	}
	answer(Field{Name: "x-a", Value: "a", Sensitive: true})
	if got := get(); got != ":status=200 x-a=a END_STREAM" {
		t.Errorf("%s: sensitive fields are another section", got)
	}
	answer(a, b)
	if got := get(); got != ":status=200 x-a=a x-b=b END_STREAM" {
		t.Errorf("%s: more fields are another section", got)
	}
}

// TestManyFields has a request with more fields than a free stream keeps room
// for.
func TestManyFields(t *testing.T) {
	tc := newTestConn(t, Config{})
	many := requestFields("POST", nil)
	for i := range 2 * message.MaxKeptFields {
		many = append(many, fmt.Sprintf("x-%d: y", i))
	}
	got := 0
	tc.app.request = func(s *Stream) { got = len(s.Request.Fields) }
	tc.recv(tc.headers(1, false, many...), tc.headers(1, true, many[4:]...), rst(1, frames.ErrCodeCancel))
	if got != 2*message.MaxKeptFields {
		t.Errorf("%d fields", got)
	}
	if s := tc.sh.streams.Values()[0]; cap(s.Request.Fields) != 0 || cap(s.Request.Trailers) != 0 {
		t.Errorf("a free stream keeps %d and %d fields", cap(s.Request.Fields), cap(s.Request.Trailers))
	}
}

// TestRest has a connection give back what it needs for answers only, and go on:
// its peer has a table that is no longer known here.
func TestRest(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.app.request = func(s *Stream) { mustDo(t, tc.c.WriteHeaders(s, 200, helloFields, true)) }
	table := func(v uint32) []byte { return settings(setting(frames.SettingHeaderTableSize, v)) }
	tc.c.Rest()
	if tc.c.MayRest() {
		t.Error("there is something to give back before the first request")
	}
	id := frames.StreamID(1)
	answers := func() (first []byte) {
		t.Helper()
		for range 3 {
			tc.recv(tc.get(id))
			id += 2
		}
		return tc.blocks()[0] // which the peer can decode, or this would have failed
	}
	answers()
	for _, tt := range []struct {
		why    string
		before []byte
		want   []int
	}{
		{"as it was", nil, []int{0, 4096}},
		{"a smaller table while it rests", table(100), []int{0, 100}},
		{"a larger one", table(4096), []int{0, 4096}},
		{"none", table(0), []int{0, 0}},
	} {
		if !tc.c.MayRest() {
			t.Errorf("%s: there is nothing to give back", tt.why)
		}
		tc.c.Rest()
		if tc.c.MayRest() || tc.c.codec.enc != nil || tc.c.codec.memos.all != nil || tc.c.streams.slots != nil {
			t.Errorf("%s: something was not given back", tt.why)
		}
		if tt.before != nil {
			tc.recv(tt.before)
		}
		if got := sizeUpdates(answers()); !sameSizes(got, tt.want) {
			t.Errorf("%s: size updates %v, want %v", tt.why, got, tt.want)
		}
	}
}

// TestRestNotNow asks connections to rest that have something to do.
func TestRestNotNow(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.answer("hello")
	tc.recv(tc.get(1), tc.get(3))
	tc.drain()
	get := tc.get(5)
	tc.recv(get[:12])
	if tc.c.Rest(); tc.c.codec.enc == nil || tc.c.MayRest() {
		t.Error("it rests although a frame is unfinished")
	}
	tc.app.request = func(*Stream) {}
	tc.recv(get[12:])
	if tc.c.Rest(); tc.c.codec.enc == nil || tc.c.MayRest() {
		t.Error("it rests although a stream is open")
	}
}

// TestPlainBegin looks at the first block of connections: it needs no table and leaves none
// behind, is made once for all of them, and what comes after it is as if it had not been.
func TestPlainBegin(t *testing.T) {
	sh := NewShared(Config{})
	long := Field{Name: "x-long", Value: strings.Repeat("long ", maxPlainBlock)}
	begin := func(section []Field, more ...[]byte) (first []byte, tc *testConn) {
		t.Helper()
		tc = connOn(t, sh, 0)
		tc.greet()
		tc.app.request = func(s *Stream) { mustDo(t, tc.c.WriteHeaders(s, 200, section, true)) }
		for _, b := range append(more, tc.get(1)) {
			tc.recv(b)
		}
		first = tc.blocks()[0]
		return first, tc
	}
	for i, section := range [][]Field{
		helloFields, helloFields[:1], nil, {long}, {{Name: "x-secret", Value: "s", Sensitive: true}}, {{Name: "x-secret", Value: "s"}}, helloFields,
	} {
		for range 2 {
			first, tc := begin(section)
			if entries := decodedTable(t, first); entries != 0 || tc.c.codec.enc != nil {
				t.Errorf("%d: block %x leaves %d entries in the table", i, first, entries)
			}
			for id := frames.StreamID(3); id < 9; id += 2 {
				tc.recv(tc.get(id))
			}
			blocks := tc.blocks() // which the peer has decoded
			if last := blocks[2]; len(section) == 3 && len(last) != len(section)+1 {
				t.Errorf("%d: the last block is %x, want indices only", i, last)
			}
			if tc.c.codec.enc == nil {
				t.Errorf("%d: no encoder after the second answer", i)
			}
		}
	}
	for _, m := range sh.plain.memos.all {
		if len(m.block) > maxPlainBlock {
			t.Errorf("a block of %d octets is remembered", len(m.block))
		}
	}
	if cap(sh.plain.out) > 2*maxPlainBlock {
		t.Errorf("room for %d octets is kept", cap(sh.plain.out))
	}
	sh.plain.memos.all[0].block = []byte{0x88} // :status 200
	if first, _ := begin(sh.plain.memos.all[0].fields); len(first) != 1 {
		t.Errorf("block %x, want what is remembered", first)
	}
	// A peer that has changed its table's size is told so in the very first block.
	first, _ := begin(helloFields, settings(setting(frames.SettingHeaderTableSize, 100)))
	if got := sizeUpdates(first); !sameSizes(got, []int{100, 100}) {
		t.Errorf("size updates %v", got)
	}
}

// decodedTable returns how many octets a block adds to the table of who decodes it.
func decodedTable(t *testing.T, block []byte) (entries int) {
	t.Helper()
	dec := hpack.NewDecoder(headerTableSize, func(Field) {})
	if _, err := dec.Write(block); err != nil || dec.Close() != nil {
		t.Fatalf("block %x: %v", block, err)
	}
	// Index 62 is the newest entry (RFC 7541, Section 2.3.3).
	if _, err := dec.Write([]byte{0x80 | 62}); err == nil {
		entries++
	}
	return entries
}

// TestRestAfterOne: a connection with one answer has no encoder to give back, and its
// table is what it was.
func TestRestAfterOne(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.app.request = func(s *Stream) { mustDo(t, tc.c.WriteHeaders(s, 200, helloFields, true)) }
	tc.recv(tc.get(1))
	tc.drain()
	if !tc.c.MayRest() {
		t.Error("there is nothing to give back")
	}
	tc.c.Rest()
	if tc.c.MayRest() || tc.c.streams.slots != nil {
		t.Error("something was not given back")
	}
	tc.peer.blocks = nil
	tc.recv(tc.get(3), tc.get(5))
	blocks := tc.blocks()
	if got := sizeUpdates(blocks[0]); len(got) != 0 {
		t.Errorf("size updates %v, want none", got)
	}
	if len(blocks[1]) != len(helloFields)+1 {
		t.Errorf("block %x, want indices only", blocks[1])
	}
}

// BenchmarkFirstAnswer is a connection with one request.
func BenchmarkFirstAnswer(b *testing.B) {
	h := newHotConn(b)
	h.answer = h.answerHello
	var block blockBuffer
	enc := hpack.NewEncoder(&block)
	for _, f := range []Field{
		{Name: ":method", Value: "GET"},
		{Name: ":scheme", Value: "https"},
		{Name: ":path", Value: "/hello"},
		{Name: ":authority", Value: "a.example:8443"},
	} {
		_ = enc.WriteField(f)
	}
	in := append([]byte(Preface), frames.AppendSettings(nil)...)
	in = frames.AppendHeaders(in, frames.Headers{StreamID: 1, Fragment: block, EndStream: true, EndHeaders: true})
	b.ReportAllocs()
	for b.Loop() {
		h.c.Init(h.sh, h, 0)
		h.receive(b, in)
		h.flush()
		h.c.Close()
	}
}

// TestCodecsAreUsedAgain ends connections at every octet of blocks that fill the table,
// change its size, or are wrong: the next connection, which has their decoder, knows
// nothing of that.
func TestCodecsAreUsedAgain(t *testing.T) {
	sh := NewShared(Config{MaxHeaderListSize: 400})
	var block blockBuffer
	enc := hpack.NewEncoder(&block)
	for _, line := range append(requestFields("GET", nil), "x-a: "+strings.Repeat("a", 60), "x-long: "+strings.Repeat("long", 60)) {
		name, value, _ := strings.Cut(line[1:], ": ")
		_ = enc.WriteField(Field{Name: line[:1] + name, Value: value})
	}
	full := slices.Clone(block)
	blocks := map[string][]byte{
		"full":            full,
		"smaller table":   append([]byte{0x20}, full...),
		"bad index":       append(slices.Clone(full), 0xff, 0xff, 0xff, 0xff, 0x0f),
		"bad table size":  append([]byte{0x3f, 0xff, 0xff, 0x03}, full...),
		"update too late": append(slices.Clone(full), 0x20),
	}
	used := make(map[*hpack.Decoder]int)
	for why, block := range blocks {
		for n := range len(block) + 1 {
			for _, end := range []bool{false, true} {
				tc := connOn(t, sh, 0)
				tc.greet()
				tc.app.request = func(s *Stream) { mustDo(t, tc.c.WriteHeaders(s, 200, nil, true)) }
				_ = tc.c.Receive(frames.AppendHeaders(nil, frames.Headers{StreamID: 1, Fragment: block[:n], EndStream: true, EndHeaders: end}))
				tc.c.Close()

				tc = connOn(t, sh, 0)
				tc.greet()
				got := ""
				tc.app.request = func(s *Stream) {
					got += fmt.Sprint(s.Request.Path, s.Request.Fields, " ")
					mustDo(t, tc.c.WriteHeaders(s, 200, nil, true))
				}
				tc.recv(tc.headers(1, true, append(requestFields("GET", nil), "x-b: b")...))
				tc.recv(tc.headers(3, true, append(requestFields("GET", nil), "x-b: b")...))
				if want := `/[header field "x-b" = "b"] `; got != want+want {
					t.Fatalf("%s, %d octets: the next connection has requests %q, want %q", why, n, got, want+want)
				}
				used[tc.c.codec.dec]++
				// Two entries and no more: those of others are not there (the index
				// of the oldest depends on what requestFields says).
				err := tc.c.Receive(frames.AppendHeaders(nil, frames.Headers{StreamID: 5, Fragment: []byte{0x80 | 90}, EndStream: true, EndHeaders: true}))
				if e, ok := errors.AsType[frames.ConnError](err); !ok || e.Code != frames.ErrCodeCompression {
					t.Fatalf("%s, %d octets: index 90 is there for the next connection: %v", why, n, err)
				}
				tc.c.Close()
			}
		}
	}
	if len(used) != 1 {
		t.Errorf("%d decoders, want one", len(used))
	}
}
