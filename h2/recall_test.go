package h2

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/h2loop/h2loop/frames"
)

// A requestEncoder encodes requests as a client may: with or without adding to the
// table, whose size it changes at times.
type requestEncoder struct {
	enc   *hpack.Encoder
	block blockBuffer
}

func newRequestEncoder() *requestEncoder {
	e := new(requestEncoder)
	e.enc = hpack.NewEncoder(&e.block)
	return e
}

func (e *requestEncoder) encode(fields []Field) []byte {
	e.block = e.block[:0]
	for _, f := range fields {
		_ = e.enc.WriteField(f)
	}
	return slices.Clone(e.block)
}

// TestRFC7541_RequestMemos sends requests of which many are the same, while others change
// the table: what is remembered of a block must never outlive the table that it refers to,
// and each request is what a decoder of its own makes of it.
func TestRFC7541_RequestMemos(t *testing.T) {
	recalled := 0
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 7))
		many := Budget{Burst: 1 << 20}
		tc := newTestConn(t, Config{MaxHeaderListSize: 2000, NoiseBudget: many, ResetBudget: many})
		tc.whole = seed%2 == 0
		e := newRequestEncoder()
		sections := make([][]Field, 1+rng.IntN(7))
		for i := range sections {
			sections[i] = randomRequest(rng, i)
		}
		var got string
		tc.app.request = func(s *Stream) {
			r := &s.Request
			got = fmt.Sprint(r.Method, r.Scheme, r.Authority, r.Path, r.ContentLength, r.Fields, s.priority)
			r.Path = "/mine" // the application's to change
			if len(r.Fields) > 0 {
				r.Fields[0] = Field{Name: "x-mine", Value: "now"}
			}
			mustDo(t, tc.c.WriteHeaders(s, 200, nil, true))
		}
		for i := range 200 {
			if rng.IntN(40) == 0 {
				e.enc.SetMaxDynamicTableSize(rng.Uint32N(2) * 4096)
			}
			id := frames.StreamID(2*i + 1)
			section := sections[rng.IntN(len(sections))]
			block := e.encode(section)
			if tc.c.codec != nil && tc.c.codec.requests.find(block) != nil {
				recalled++
			}
			in := frames.AppendHeaders(nil, frames.Headers{StreamID: id, Fragment: block, EndStream: true, EndHeaders: true})
			if n := rng.IntN(len(block)); rng.IntN(10) == 0 { // in two frames
				in = frames.AppendHeaders(nil, frames.Headers{StreamID: id, Fragment: block[:n], EndStream: true})
				in = frames.AppendContinuation(in, frames.Continuation{StreamID: id, Fragment: block[n:], EndHeaders: true})
			}
			got = ""
			tc.recv(in)
			// A connection that has heard of this request only.
			want := alone(t, section)
			if got != want {
				t.Fatalf("seed %d, request %d: %s, want %s", seed, i, got, want)
			}
			tc.drain()
			tc.app.events = nil
			if n := len(tc.c.codec.requests.all); n > maxMemos {
				t.Fatalf("%d blocks are remembered", n)
			}
			if rng.IntN(60) == 0 {
				tc.c.Rest()
			}
		}
	}
	if recalled < 1000 {
		t.Errorf("%d requests were remembered, want many", recalled)
	}
}

// randomRequest returns the fields of a request: most are alike, some long, or wrong.
func randomRequest(rng *rand.Rand, i int) []Field {
	fields := []Field{
		{Name: ":method", Value: "GET"},
		{Name: ":scheme", Value: "https"},
		{Name: ":path", Value: fmt.Sprint("/", i), Sensitive: rng.IntN(2) == 0}, // which is not added to the table
		{Name: ":authority", Value: "a.example"},
	}
	switch rng.IntN(10) {
	case 5, 6, 7: // whose blocks are the same once they refer to the newest entry
		fields[2] = Field{Name: ":path", Value: "/"}
		fields[3].Sensitive = true
		fields = append(fields, Field{Name: "x-one", Value: fmt.Sprint(i)})
	case 0:
		fields = append(fields, Field{Name: "x-many", Value: strings.Repeat("m", 1950/(1+i))})
	case 1:
		for j := range maxMemoFields + 1 {
			fields = append(fields, Field{Name: "x-n", Value: fmt.Sprint(j)})
		}
	case 2:
		fields = append(fields, Field{Name: "priority", Value: fmt.Sprint("u=", i)}, Field{Name: "content-length", Value: "0"})
	case 3:
		fields = append(fields, Field{Name: "TE", Value: "upper case is malformed"})
	case 4:
		fields = append(fields, Field{Name: "host", Value: "a.example"}, Field{Name: "cookie", Value: "a=b", Sensitive: true})
	}
	return fields
}

// alone returns what a request on a connection of its own is, or "" if it is refused.
func alone(t *testing.T, section []Field) (got string) {
	t.Helper()
	tc := newTestConn(t, Config{MaxHeaderListSize: 2000})
	tc.whole = true
	tc.app.request = func(s *Stream) {
		r := &s.Request
		got = fmt.Sprint(r.Method, r.Scheme, r.Authority, r.Path, r.ContentLength, r.Fields, s.priority)
		mustDo(t, tc.c.WriteHeaders(s, 200, nil, true))
	}
	block := newRequestEncoder().encode(section)
	tc.recv(frames.AppendHeaders(nil, frames.Headers{StreamID: 1, Fragment: block, EndStream: true, EndHeaders: true}))
	tc.drain()
	return got
}

// TestRequestMemosAreUsed changes what is remembered of a block, and sees it come.
func TestRequestMemosAreUsed(t *testing.T) {
	tc := newTestConn(t, Config{})
	var paths []string
	tc.app.request = func(s *Stream) {
		paths = append(paths, s.Request.Path)
		mustDo(t, tc.c.WriteHeaders(s, 200, nil, true))
	}
	for id := frames.StreamID(1); id < 7; id += 2 {
		tc.recv(tc.get(id))
	}
	m := &tc.c.codec.requests
	if len(m.all) != 1 {
		t.Fatalf("%d blocks are remembered, want 1", len(m.all))
	}
	m.all[0].pseudo.Path = "/remembered"
	tc.recv(tc.get(7))
	if last := paths[len(paths)-1]; last != "/remembered" {
		t.Errorf("the path is %s: it was decoded anew", last)
	}
	tc.c.Rest()
	if m.all != nil || tc.c.MayRest() {
		t.Error("it is remembered by a connection that rests")
	}
	tc.recv(tc.get(9))
	if last := paths[len(paths)-1]; last != "/" {
		t.Errorf("the path is %s", last)
	}
}

// TestRequestMemosContinued changes the table with a block in two frames.
func TestRequestMemosContinued(t *testing.T) {
	tc := newTestConn(t, Config{})
	got := ""
	tc.app.request = func(s *Stream) {
		got = s.Request.Fields[0].Value
		mustDo(t, tc.c.WriteHeaders(s, 200, nil, true))
	}
	e := newRequestEncoder()
	id := frames.StreamID(1)
	for _, v := range []string{"a", "a", "a", "b", "b", "b"} {
		block := e.encode([]Field{
			{Name: ":method", Value: "GET"},
			{Name: ":scheme", Value: "https"},
			{Name: ":path", Value: "/"},
			{Name: ":authority", Value: "a.example", Sensitive: true},
			{Name: "x-one", Value: v},
		})
		in := frames.AppendHeaders(nil, frames.Headers{StreamID: id, Fragment: block[:2], EndStream: true})
		in = frames.AppendContinuation(in, frames.Continuation{StreamID: id, Fragment: block[2:], EndHeaders: true})
		if block[len(block)-1] == 0x80|62 { // the newest entry, and nothing new
			in = frames.AppendHeaders(nil, frames.Headers{StreamID: id, Fragment: block, EndStream: true, EndHeaders: true})
		}
		tc.recv(in)
		if got != v {
			t.Errorf("request %d has %q, want %q", id, got, v)
		}
		id += 2
	}
}

// TestRequestMemosMiss has a peer that never says the same twice: hardly anything of it
// is remembered.
func TestRequestMemosMiss(t *testing.T) {
	var m requestMemos
	b := &headerBlock{kind: blockRequest, stream: new(Stream)}
	adds, first := 0, byte(0)
	for i := range 1000 {
		block := []byte{0x04, 2, '/', byte(i), 0x80 | byte(i>>8)} // literal :path, not added
		if m.find(block) != nil {
			t.Fatalf("block %d is known", i)
		}
		before := len(m.all)
		m.learn(block, b)
		if len(m.all) > before || m.all[(m.oldest+maxMemos-1)%maxMemos].block[3] != first {
			adds, first = adds+1, byte(i)
		}
	}
	if adds > 12 {
		t.Errorf("%d of 1000 blocks were remembered", adds)
	}
}

// TestChangesTable compares it with what a decoder's table has afterwards, also for
// blocks that are cut.
func TestChangesTable(t *testing.T) {
	for block, want := range map[string]bool{
		"":                    false,
		"\x82\x84":            false,
		"\xff\x80\x01\x82":    false, // a long index
		"\x04\x01/":           false, // literal, indexed name
		"\x00\x01a\x01b":      false, // new name
		"\x10\x01a\x01b":      false, // never to be indexed
		"\x0f\x2f\x03abc\x82": false, // index above 15
		"\x00\x7f\x01" + strings.Repeat("a", 128) + "\x00\x82": false,
		"\x41\x01a":                  true,
		"\x40\x01a\x01b":             true,
		"\x82\x7f\x00\x01a":          true,
		"\x20":                       true,
		"\x3f\xe1\x1f\x82":           true,
		"\x04\x01\x40":               false, // what looks like one is in a string
		"\x04\x01\x40\x40\x01a\x01b": true,
	} {
		if got := changesTable([]byte(block)); got != want {
			t.Errorf("%x: %v, want %v", block, got, want)
		}
		for n := range len(block) {
			changesTable([]byte(block)[:n]) // does not panic
		}
	}
	changesTable([]byte("\x00\x7f\xff\xff\xff\xff\xff\xff\xff"))
}

// TestRFC7541_Section5_1_PaddedInteger has a block that adds to the table behind an
// integer of more octets than it needs: that it adds must not be overlooked.
func TestRFC7541_Section5_1_PaddedInteger(t *testing.T) {
	tc := newTestConn(t, Config{})
	tc.whole = true
	var got []string
	tc.app.request = func(s *Stream) {
		got = append(got, fmt.Sprint(s.Request.Fields))
		mustDo(t, tc.c.WriteHeaders(s, 200, nil, true))
	}
	dec := hpack.NewDecoder(4096, nil)
	var want []string
	const request = "\x82\x86\x84\x01\x01h" // GET http / h
	const last = "\xbe"                     // what was added last
	add := func(value string) string { return "\x40\x03x-a\x01" + value }
	// accept-charset, which is 15, without a value
	padded := []string{"\x0f\x00\x00", "\x0f\x80\x00\x00", "\x0f\x80\x80\x80\x80\x80\x00\x00", "\x0f\x80\x80\x80\x80\x80\x80\x80\x80\x00\x00"}
	blocks := []string{request + add("0")}
	for i, p := range padded {
		blocks = append(blocks, request+last, request+last, request+p+add(fmt.Sprint(i+1)))
	}
	blocks = append(blocks, request+last)
	for i, block := range blocks {
		fields, err := dec.DecodeFull([]byte(block))
		if err != nil {
			t.Fatal(err)
		}
		var others []Field
		for _, f := range fields {
			if !f.IsPseudo() {
				others = append(others, Field{Name: f.Name, Value: f.Value})
			}
		}
		want = append(want, fmt.Sprint(others))
		tc.recv(frames.AppendHeaders(nil, frames.Headers{
			StreamID: frames.StreamID(2*i + 1), Fragment: []byte(block), EndStream: true, EndHeaders: true,
		}))
		tc.drain()
	}
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			t.Fatalf("request %d: %q, and a decoder has %q", i, got[min(i, len(got)):], want[i])
		}
	}
}
