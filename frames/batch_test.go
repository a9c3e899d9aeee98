package frames

import (
	"bytes"
	"errors"
	"math"
	"testing"
	"unsafe"
)

// joined returns all that b would send.
func joined(b *Batch) []byte { return bytes.Join(b.Segments(), nil) }

// checkBatch holds b to what it must be at any time, and to the octets it must have.
func checkBatch(t *testing.T, why string, b *Batch, want []byte) {
	t.Helper()
	length, count := b.Len(), b.NumSegments()
	segments := b.Segments()
	if got := bytes.Join(segments, nil); !bytes.Equal(got, want) {
		t.Fatalf("%s:\ngot  %x\nwant %x", why, got, want)
	}
	if length != len(want) || b.Len() != len(want) {
		t.Errorf("%s: Len %d, then %d, of %d octets", why, length, b.Len(), len(want))
	}
	if count != len(segments) || b.NumSegments() != len(segments) || len(segments) > MaxSegments {
		t.Errorf("%s: NumSegments %d, then %d, of %d segments", why, count, b.NumSegments(), len(segments))
	}
	for i, s := range segments {
		if len(s) == 0 || len(s) != cap(s) {
			t.Errorf("%s: segment %d has %d octets and room for %d", why, i, len(s), cap(s))
		}
	}
}

// within reports whether p is a part of source.
func within(p, source []byte) bool {
	at := uintptr(unsafe.Pointer(unsafe.SliceData(p)))
	start := uintptr(unsafe.Pointer(unsafe.SliceData(source)))
	return at >= start && at+uintptr(len(p)) <= start+uintptr(len(source))
}

func TestWriteRegionOctets(t *testing.T) {
	source := []byte("say hello to all")
	for _, tt := range []struct {
		name   string
		region Region
		want   string
	}{
		{
			"plain",
			Region{StreamID: 1, Source: source, Offset: 4, Length: 5},
			"\x00\x00\x05\x00\x00\x00\x00\x00\x01hello",
		},
		{
			"last",
			Region{StreamID: 3, Source: source, Offset: 13, Length: 3, EndStream: true},
			"\x00\x00\x03\x00\x01\x00\x00\x00\x03all",
		},
		{
			"padded",
			Region{StreamID: 0x01020304, Source: source, Length: 3, Padded: true, PadLength: 4},
			"\x00\x00\x08\x00\x08\x01\x02\x03\x04\x04say\x00\x00\x00\x00",
		},
		{
			"padded with 0",
			Region{StreamID: 1, Source: source, Length: 3, Padded: true, EndStream: true},
			"\x00\x00\x04\x00\x09\x00\x00\x00\x01\x00say",
		},
		{
			"empty",
			Region{StreamID: MaxStreamID, Source: source, Offset: 16, EndStream: true},
			"\x00\x00\x00\x00\x01\x7f\xff\xff\xff",
		},
		{
			"of nothing",
			Region{StreamID: 1, EndStream: true},
			"\x00\x00\x00\x00\x01\x00\x00\x00\x01",
		},
		{
			"padding only",
			Region{StreamID: 1, Source: source, Padded: true, PadLength: 2},
			"\x00\x00\x03\x00\x08\x00\x00\x00\x01\x02\x00\x00",
		},
		{
			"pad length without padding",
			Region{StreamID: 1, Source: source, Length: 1, PadLength: 9},
			"\x00\x00\x01\x00\x00\x00\x00\x00\x01s",
		},
	} {
		for _, write := range []struct {
			name string
			f    func(*Batch, Region, uint32) error
		}{
			{"WriteRegion", (*Batch).WriteRegion},
			{"CopyRegion", (*Batch).CopyRegion},
		} {
			why := write.name + ", " + tt.name
			// What was in Scratch before must not shine through the padding.
			b := Batch{Scratch: bytes.Repeat([]byte{0xff}, 64)[:0]}
			if err := write.f(&b, tt.region, DefaultMaxFrameSize); err != nil {
				t.Errorf("%s: %v", why, err)
			}
			checkBatch(t, why, &b, []byte(tt.want))

			referenced := false
			for _, s := range b.Segments() {
				referenced = referenced || within(s, source)
			}
			if want := write.name == "WriteRegion" && tt.region.Length > 0; referenced != want {
				t.Errorf("%s: source referenced %t, want %t", why, referenced, want)
			}
			if h, _ := ParseHeader([]byte(tt.want)); h.Flags.Has(FlagEndStream) != tt.region.EndStream {
				t.Errorf("%s: the test is wrong", why)
			}
		}
	}
}

func TestRegionRefused(t *testing.T) {
	source := make([]byte, 100)
	for _, tt := range []struct {
		name   string
		region Region
		max    uint32
		want   error
	}{
		{"stream 0", Region{Source: source, Length: 1}, 100, ErrRegionStream},
		{"stream above 31 bits", Region{StreamID: MaxStreamID + 1, Source: source, Length: 1}, 100, ErrRegionStream},
		{"stream of 32 bits", Region{StreamID: math.MaxUint32, Source: source, Length: 1}, 100, ErrRegionStream},
		{"negative offset", Region{StreamID: 1, Source: source, Offset: -1, Length: 1}, 100, ErrRegionBounds},
		{"least offset", Region{StreamID: 1, Source: source, Offset: math.MinInt, Length: 1}, 100, ErrRegionBounds},
		{"offset behind the end", Region{StreamID: 1, Source: source, Offset: 101}, 100, ErrRegionBounds},
		{"largest offset", Region{StreamID: 1, Source: source, Offset: math.MaxInt}, 100, ErrRegionBounds},
		{"negative length", Region{StreamID: 1, Source: source, Offset: 5, Length: -1}, 100, ErrRegionBounds},
		{"least length", Region{StreamID: 1, Source: source, Offset: 5, Length: math.MinInt}, 100, ErrRegionBounds},
		{"one too many", Region{StreamID: 1, Source: source, Offset: 50, Length: 51}, 100, ErrRegionBounds},
		{"sum overflows", Region{StreamID: 1, Source: source, Offset: 100, Length: math.MaxInt}, 100, ErrRegionBounds},
		{"sum overflows to 0", Region{StreamID: 1, Source: source, Offset: math.MaxInt, Length: math.MaxInt}, 100, ErrRegionBounds},
		{"room of the source", Region{StreamID: 1, Source: source[:10], Length: 11}, 100, ErrRegionBounds},
		{"no source", Region{StreamID: 1, Length: 1}, 100, ErrRegionBounds},
		{"frame size", Region{StreamID: 1, Source: source, Length: 100}, 99, ErrRegionSize},
		{"frame size with Pad Length", Region{StreamID: 1, Source: source, Length: 99, Padded: true}, 99, ErrRegionSize},
		{"frame size with padding", Region{StreamID: 1, Source: source, Length: 90, Padded: true, PadLength: 9}, 99, ErrRegionSize},
		{
			"length field",
			Region{StreamID: 1, Source: make([]byte, MaxMaxFrameSize+1), Length: MaxMaxFrameSize + 1},
			math.MaxUint32, ErrRegionSize,
		},
	} {
		var b Batch
		b.Scratch = AppendPing(b.Scratch, Ping{})
		if err := b.WriteRegion(Region{StreamID: 1, Source: source, Length: 10}, 100); err != nil {
			t.Fatal(err)
		}
		b.Scratch = AppendSettingsAck(b.Scratch)
		before := joined(&b)
		if err := b.WriteRegion(tt.region, tt.max); !errors.Is(err, tt.want) {
			t.Errorf("WriteRegion, %s: error %v, want %v", tt.name, err, tt.want)
		}
		if err := b.CopyRegion(tt.region, tt.max); !errors.Is(err, tt.want) {
			t.Errorf("CopyRegion, %s: error %v, want %v", tt.name, err, tt.want)
		}
		checkBatch(t, tt.name, &b, before)
	}

	// The very last that are not refused.
	for _, r := range []Region{
		{StreamID: 1, Source: source, Length: 100},
		{StreamID: 1, Source: source, Offset: 1, Length: 99, Padded: true},
		{StreamID: MaxStreamID, Source: source, Offset: 100, Padded: true, PadLength: 99},
	} {
		var b Batch
		if err := b.WriteRegion(r, 100); err != nil {
			t.Errorf("WriteRegion of %d octets and %d of padding: %v", r.Length, r.PadLength, err)
		}
		if err := b.CopyRegion(r, 100); err != nil {
			t.Errorf("CopyRegion of %d octets and %d of padding: %v", r.Length, r.PadLength, err)
		}
	}
}

// TestBatchOrder mixes all ways in: what leaves is in the order of the calls.
func TestBatchOrder(t *testing.T) {
	source := []byte("abcdefghijklmnopqrstuvwxyz")
	var b Batch
	var want []byte
	checkBatch(t, "empty", &b, want)

	ping := Ping{Data: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}}
	b.Scratch = AppendPing(b.Scratch, ping)
	want = AppendPing(want, ping)
	checkBatch(t, "ping", &b, want)

	for i := range 5 {
		if err := b.WriteRegion(Region{StreamID: 1, Source: source, Offset: i, Length: 20}, 100); err != nil {
			t.Fatal(err)
		}
		want = AppendData(want, Data{StreamID: 1, Data: source[i:][:20]})
		checkBatch(t, "region", &b, want)

		if err := b.CopyRegion(Region{StreamID: 3, Source: source, Offset: i, Length: 2}, 100); err != nil {
			t.Fatal(err)
		}
		want = AppendData(want, Data{StreamID: 3, Data: source[i:][:2]})
		if i%2 == 0 { // with and without Segments between
			checkBatch(t, "copied region", &b, want)
		}

		b.Scratch = AppendRSTStream(b.Scratch, RSTStream{StreamID: 5, Code: ErrCodeCancel})
		want = AppendRSTStream(want, RSTStream{StreamID: 5, Code: ErrCodeCancel})

		r := Region{StreamID: 7, Source: source, Length: 26, Padded: true, PadLength: 3, EndStream: true}
		if err := b.WriteRegion(r, 100); err != nil {
			t.Fatal(err)
		}
		want = AppendData(want, Data{StreamID: 7, Data: source, Padded: true, PadLength: 3, EndStream: true})
		checkBatch(t, "padded region", &b, want)
	}

	b.Reset()
	checkBatch(t, "reset", &b, nil)
	b.Scratch = AppendSettingsAck(b.Scratch)
	checkBatch(t, "after reset", &b, AppendSettingsAck(nil))
}

// TestBatchScratchMoves has Scratch outgrow its array many times: what points to the
// old ones must stay right.
func TestBatchScratchMoves(t *testing.T) {
	source := []byte("0123456789")
	var b Batch
	var want []byte
	arrays := map[*byte]bool{}
	for i := range 100 {
		b.Scratch = AppendGoAway(b.Scratch, GoAway{LastStreamID: StreamID(i), Debug: bytes.Repeat([]byte{byte(i)}, i)})
		want = AppendGoAway(want, GoAway{LastStreamID: StreamID(i), Debug: bytes.Repeat([]byte{byte(i)}, i)})
		if err := b.WriteRegion(Region{StreamID: 1, Source: source, Length: 10}, 100); err != nil {
			t.Fatal(err)
		}
		want = AppendData(want, Data{StreamID: 1, Data: source})
		arrays[unsafe.SliceData(b.Scratch)] = true
	}
	if len(arrays) < 5 {
		t.Fatalf("Scratch had %d arrays: the test tests nothing", len(arrays))
	}
	checkBatch(t, "moved", &b, want)
}

// TestBatchReset finds no reference left, even behind what the list holds.
func TestBatchReset(t *testing.T) {
	source := make([]byte, 100)
	var b Batch
	for range 3 {
		for range 10 {
			if err := b.WriteRegion(Region{StreamID: 1, Source: source, Length: 100, Padded: true}, 200); err != nil {
				t.Fatal(err)
			}
			b.Scratch = AppendSettingsAck(b.Scratch)
			b.Segments() // which leaves a segment behind the list
		}
		room, listRoom := cap(b.Scratch), cap(b.segs)
		b.Reset()
		for i, s := range b.segs[:cap(b.segs)] {
			if s != nil {
				t.Errorf("element %d refers to %d octets", i, len(s))
			}
		}
		if len(b.Scratch) != 0 || cap(b.Scratch) != room || cap(b.segs) != listRoom {
			t.Errorf("room for %d octets and %d segments, was %d and %d", cap(b.Scratch), cap(b.segs), room, listRoom)
		}
		checkBatch(t, "reset", &b, nil)
	}
}

// TestBatchResetAfterPartialWrite has the writer change the list it was lent, as a
// vectored write of which the kernel takes a part does.
func TestBatchResetAfterPartialWrite(t *testing.T) {
	source := []byte("hello")
	var b Batch
	for range 2 {
		if err := b.WriteRegion(Region{StreamID: 1, Source: source, Length: 5}, 100); err != nil {
			t.Fatal(err)
		}
		checkBatch(t, "anew", &b, []byte("\x00\x00\x05\x00\x00\x00\x00\x00\x01hello"))
		segments := b.Segments()
		segments[0] = nil
		segments[1] = segments[1][2:]
		b.Reset()
	}
	if string(source) != "hello" {
		t.Errorf("the source is %q", source)
	}
}

// TestBatchFull fills batches in several ways. None ever has more segments than a
// vectored write takes, whatever comes after the last region.
func TestBatchFull(t *testing.T) {
	source := make([]byte, 10)
	for _, tt := range []struct {
		name   string
		padded bool
		ping   bool
	}{
		{"regions", false, false},
		{"padded regions", true, false},
		{"regions and pings", false, true},
	} {
		r := Region{StreamID: 1, Source: source, Length: 10, Padded: tt.padded, PadLength: 1}
		var b Batch
		var want []byte
		var err error
		for len(want) < 1<<20 {
			if tt.ping {
				b.Scratch = AppendPing(b.Scratch, Ping{})
				want = AppendPing(want, Ping{})
			}
			if err = b.WriteRegion(r, 100); err != nil {
				break
			}
			want = AppendData(want, Data{StreamID: 1, Data: source, Padded: tt.padded, PadLength: 1})
		}
		if !errors.Is(err, ErrBatchFull) {
			t.Fatalf("%s: error %v, want %v", tt.name, err, ErrBatchFull)
		}
		checkBatch(t, tt.name, &b, want) // nothing of the refused one
		if n := b.NumSegments(); n < MaxSegments-3 {
			t.Errorf("%s: full at %d segments of %d", tt.name, n, MaxSegments)
		}

		// What needs no segment still goes out.
		b.Scratch = AppendPing(b.Scratch, Ping{Ack: true})
		want = AppendPing(want, Ping{Ack: true})
		checkBatch(t, tt.name+", ping", &b, want)
		if err := b.CopyRegion(r, 100); err != nil {
			t.Errorf("%s: CopyRegion: %v", tt.name, err)
		}
		want = AppendData(want, Data{StreamID: 1, Data: source, Padded: tt.padded, PadLength: 1})
		checkBatch(t, tt.name+", copied region", &b, want)
		if err := b.WriteRegion(Region{StreamID: 1, EndStream: true}, 100); err != nil {
			t.Errorf("%s: empty region: %v", tt.name, err)
		}
		want = AppendData(want, Data{StreamID: 1, EndStream: true})
		checkBatch(t, tt.name+", empty region", &b, want)

		b.Reset()
		if err := b.WriteRegion(r, 100); err != nil {
			t.Errorf("%s: after Reset: %v", tt.name, err)
		}
	}
}

// writeBuffer queues all of p as DATA frames of at most maxFrameSize octets.
func writeBuffer(b *Batch, id StreamID, p []byte, maxFrameSize uint32) error {
	for at := 0; at < len(p); at += int(maxFrameSize) {
		n := min(len(p)-at, int(maxFrameSize))
		r := Region{StreamID: id, Source: p, Offset: at, Length: n, EndStream: at+n == len(p)}
		if err := b.WriteRegion(r, maxFrameSize); err != nil {
			return err
		}
	}
	return nil
}

// TestRegionsCopyNothing sends a buffer of 64 KiB as four frames of 16 KiB: what is
// written is four frame headers, every payload is the buffer itself, and in steady
// state nothing is allocated.
func TestRegionsCopyNothing(t *testing.T) {
	buffer := make([]byte, 64<<10)
	for i := range buffer {
		buffer[i] = byte(i >> 8)
	}
	var b Batch
	if err := writeBuffer(&b, 1, buffer, DefaultMaxFrameSize); err != nil {
		t.Fatal(err)
	}
	segments := b.Segments()
	if len(segments) != 8 {
		t.Fatalf("%d segments, want 8", len(segments))
	}
	for i := range 4 {
		h, ok := ParseHeader(segments[2*i])
		want := Header{Length: DefaultMaxFrameSize, Type: TypeData, StreamID: 1}
		if i == 3 {
			want.Flags = FlagEndStream
		}
		if !ok || h != want || len(segments[2*i]) != HeaderLen {
			t.Errorf("frame %d: header %+v in %d octets, want %+v", i, h, len(segments[2*i]), want)
		}
		payload := segments[2*i+1]
		if len(payload) != DefaultMaxFrameSize || unsafe.SliceData(payload) != &buffer[i*DefaultMaxFrameSize] {
			t.Errorf("frame %d: the payload is not the buffer's", i)
		}
	}
	if len(b.Scratch) != 4*HeaderLen {
		t.Errorf("%d octets written, want 36", len(b.Scratch))
	}

	wantNoAllocs(t, "64 KiB in four regions", func() {
		b.Reset()
		if err := writeBuffer(&b, 1, buffer, DefaultMaxFrameSize); err != nil {
			t.Fatal(err)
		}
		if len(b.Segments()) != 8 {
			t.Fatal("not 8 segments")
		}
	})
}
