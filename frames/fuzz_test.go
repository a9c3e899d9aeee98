package frames

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

// fuzzRoundTrip checks that what a parser accepts is appended again as the same
// octets, but for what is not kept: flags that mean nothing, reserved bits, which
// reserved clears in the payload, and the content of padding.
func fuzzRoundTrip[F any](
	f *testing.F, typ Type, flags Flags, parse func(Header, []byte) (F, error),
	appendFrame func([]byte, F) []byte, reserved func(fields []byte),
) {
	for _, tt := range wireFrames {
		if h, _ := ParseHeader([]byte(tt.wire)); h.Type == typ {
			f.Add(byte(h.Flags), uint32(h.StreamID), []byte(tt.wire[HeaderLen:]))
		}
	}
	f.Fuzz(func(t *testing.T, allFlags byte, id uint32, payload []byte) {
		h, ok := ParseHeader(AppendHeader(nil, Header{
			Length: uint32(len(payload)), Type: typ, Flags: Flags(allFlags), StreamID: StreamID(id),
		}))
		if !ok {
			t.Fatal("a frame header of 9 octets is too short")
		}
		before := bytes.Clone(payload)
		frame, err := parse(h, payload)
		if !bytes.Equal(payload, before) {
			t.Fatalf("the parser changed its payload from %x to %x", before, payload)
		}
		if err != nil {
			code(t, err)
			return
		}
		h.Flags &= flags
		want := AppendHeader(nil, h)
		fields := bytes.Clone(payload)
		if h.Flags.Has(FlagPadded) {
			clear(fields[len(fields)-int(fields[0]):])
			reserved(fields[1:])
		} else {
			reserved(fields)
		}
		want = append(want, fields...)
		if got := appendFrame(nil, frame); !bytes.Equal(got, want) {
			t.Errorf("%x\nappended again as\n%x", want, got)
		}
	})
}

func noReserved([]byte) {}

func firstBitReserved(fields []byte) { fields[0] &^= 0x80 }

func FuzzData(f *testing.F) {
	fuzzRoundTrip(f, TypeData, FlagEndStream|FlagPadded, ParseData, AppendData, noReserved)
}

func FuzzHeaders(f *testing.F) {
	flags := FlagEndStream | FlagEndHeaders | FlagPadded | FlagPriority
	fuzzRoundTrip(f, TypeHeaders, flags, ParseHeaders, AppendHeaders, noReserved)
}

func FuzzPriority(f *testing.F) {
	fuzzRoundTrip(f, TypePriority, 0, ParsePriority, AppendPriority, noReserved)
}

func FuzzRSTStream(f *testing.F) {
	fuzzRoundTrip(f, TypeRSTStream, 0, ParseRSTStream, AppendRSTStream, noReserved)
}

func FuzzSettings(f *testing.F) {
	appendSettings := func(dst []byte, f Settings) []byte {
		if f.Ack {
			return AppendSettingsAck(dst)
		}
		list := make([]Setting, f.Len())
		for i := range list {
			list[i] = f.At(i)
		}
		return AppendSettings(dst, list...)
	}
	fuzzRoundTrip(f, TypeSettings, FlagAck, ParseSettings, appendSettings, noReserved)
}

// FuzzSettingValidate checks the rules by the numbers, on the wire's octets.
func FuzzSettingValidate(f *testing.F) {
	for id := range uint16(11) {
		for _, v := range []uint32{0, 1, 2, 16383, 16384, 1<<24 - 1, 1 << 24, 1<<31 - 1, 1 << 31} {
			f.Add(id, v)
		}
	}
	f.Fuzz(func(t *testing.T, id uint16, v uint32) {
		want := ErrCodeNo
		switch {
		case (id == 2 || id == 8 || id == 9) && v > 1:
			want = ErrCodeProtocol
		case id == 4 && v >= 0x80000000:
			want = ErrCodeFlowControl
		case id == 5 && (v < 16384 || v > 16777215):
			want = ErrCodeProtocol
		}
		got := ErrCodeNo
		if err := (Setting{SettingID(id), v}).Validate(); err != nil {
			got = code(t, err)
		}
		if got != want {
			t.Errorf("setting %d=%d: %v, want %v", id, v, got, want)
		}
	})
}

func FuzzPushPromise(f *testing.F) {
	fuzzRoundTrip(f, TypePushPromise, FlagEndHeaders|FlagPadded, ParsePushPromise, AppendPushPromise, firstBitReserved)
}

func FuzzPing(f *testing.F) {
	fuzzRoundTrip(f, TypePing, FlagAck, ParsePing, AppendPing, noReserved)
}

func FuzzGoAway(f *testing.F) {
	fuzzRoundTrip(f, TypeGoAway, 0, ParseGoAway, AppendGoAway, firstBitReserved)
}

func FuzzWindowUpdate(f *testing.F) {
	fuzzRoundTrip(f, TypeWindowUpdate, 0, ParseWindowUpdate, AppendWindowUpdate, firstBitReserved)
}

func FuzzContinuation(f *testing.F) {
	fuzzRoundTrip(f, TypeContinuation, FlagEndHeaders, ParseContinuation, AppendContinuation, noReserved)
}

func FuzzPriorityUpdate(f *testing.F) {
	fuzzRoundTrip(f, TypePriorityUpdate, 0, ParsePriorityUpdate, AppendPriorityUpdate, firstBitReserved)
}

// FuzzHeader checks the header both ways against a decoder that reads it octet by
// octet.
func FuzzHeader(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x04\x00\x00\x00\x00\x00"))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Add([]byte("\x01\x02\x03\x04\x05\x06\x07\x08"))
	f.Fuzz(func(t *testing.T, in []byte) {
		h, ok := ParseHeader(in)
		if ok != (len(in) >= HeaderLen) {
			t.Fatalf("%d octets: %t", len(in), ok)
		}
		if !ok {
			return
		}
		want := Header{
			Length:   uint32(in[0])<<16 | uint32(in[1])<<8 | uint32(in[2]),
			Type:     Type(in[3]),
			Flags:    Flags(in[4]),
			StreamID: StreamID(in[5]&0x7f)<<24 | StreamID(in[6])<<16 | StreamID(in[7])<<8 | StreamID(in[8]),
		}
		if h != want {
			t.Errorf("parsed %+v, want %+v", h, want)
		}
		octets := bytes.Clone(in[:HeaderLen])
		octets[5] &^= 0x80
		if got := AppendHeader(nil, h); !bytes.Equal(got, octets) {
			t.Errorf("%x appended again as %x", octets, got)
		}
	})
}

// FuzzDataReader reads a payload in the pieces the fuzzer wants, and whole, and as
// ParseData does: all must agree on the data and on the error.
func FuzzDataReader(f *testing.F) {
	f.Add(byte(FlagPadded), []byte("\x02hello\x00\x00"), []byte{1, 1, 1})
	f.Add(byte(FlagPadded|FlagEndStream), []byte("\x09hello"), []byte{0, 1})
	f.Add(byte(0), []byte("hello"), []byte{3, 0, 1})
	f.Add(byte(FlagPadded), []byte(""), []byte{})
	f.Fuzz(func(t *testing.T, flags byte, payload, steps []byte) {
		h := Header{Length: uint32(len(payload)), Type: TypeData, Flags: Flags(flags), StreamID: 1}
		want, wantErr := ParseData(h, payload)

		var r DataReader
		err := r.Start(h)
		var got []byte
		in := append(bytes.Clone(payload), "the next frame"...)
		for err == nil && !r.Done() {
			n := len(in)
			if len(steps) > 0 {
				n, steps = min(int(steps[0]), n), steps[1:]
			}
			var data []byte
			var used int
			data, used, err = r.Next(in[:n])
			if err == nil && used != min(n, len(in)-len("the next frame")) {
				t.Fatalf("used %d of %d octets with %d in the frame", used, n, len(in)-len("the next frame"))
			}
			if len(data) > used {
				t.Fatalf("%d octets of data in %d", len(data), used)
			}
			got = append(got, data...)
			in = in[used:]
		}
		if !errors.Is(err, wantErr) {
			t.Fatalf("DataReader: %v, ParseData: %v", err, wantErr)
		}
		if err != nil {
			return
		}
		if !bytes.Equal(got, want.Data) || r.EndStream() != want.EndStream {
			t.Errorf("DataReader: %q, %t, ParseData: %q, %t", got, r.EndStream(), want.Data, want.EndStream)
		}
		if string(in) != "the next frame" {
			t.Errorf("%q is left", in)
		}
	})
}

// naiveData encodes a DATA frame without any code of the package.
func naiveData(id uint32, data []byte, padded bool, padLength byte, end bool) []byte {
	var flags byte
	payload := bytes.Clone(data)
	if padded {
		payload = append([]byte{padLength}, payload...)
		payload = append(payload, strings.Repeat("\x00", int(padLength))...)
		flags += 8
	}
	if end {
		flags++
	}
	out := binary.BigEndian.AppendUint32(nil, uint32(len(payload)))[1:]
	out = append(out, 0, flags)
	out = binary.BigEndian.AppendUint32(out, id)
	return append(out, payload...)
}

// FuzzBatch has the fuzzer write a program of calls and appends. After each, the
// batch must hold what a naive encoder has written, regions in place.
func FuzzBatch(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x03\x04\x05"), uint32(64))
	f.Add([]byte("\x10\x10\x20\x05\x1f\x10\x20\x03\x2a\x08\x04\x0a\x10\x02\x02\x39\x04\x04"), uint32(200))
	f.Add(bytes.Repeat([]byte("\x10\x10\x20"), 600), uint32(16384)) // more regions than there is room for
	f.Fuzz(func(t *testing.T, program []byte, maxFrameSize uint32) {
		if len(program) > 8<<10 {
			t.Skip() // checking is quadratic
		}
		source := make([]byte, 512)
		for i := range source {
			source[i] = byte(i ^ i>>8)
		}
		next := func() byte {
			if len(program) == 0 {
				return 0
			}
			o := program[0]
			program = program[1:]
			return o
		}
		var b Batch
		var want []byte
		regions := 0 // octets referenced
		for step := 0; len(program) > 0; step++ {
			op := next()
			switch op % 5 {
			case 0:
				ping := Ping{Data: [8]byte{7: op}}
				b.Scratch = AppendPing(b.Scratch, ping)
				want = append(want, "\x00\x00\x08\x06\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
				want = append(want, op)
			case 1, 2:
				r := Region{
					StreamID:  StreamID(op >> 4),
					Source:    source,
					Offset:    2*int(next()) - 4,
					Length:    2*int(next()) - 4,
					Padded:    op&0x08 != 0,
					PadLength: op,
					EndStream: op&0x04 != 0,
				}
				size := r.Length
				if r.Padded {
					size += 1 + int(r.PadLength)
				}
				fits := r.StreamID != 0 && r.Offset >= 0 && r.Length >= 0 && r.Offset+r.Length <= len(source) &&
					int64(size) <= int64(maxFrameSize)
				var err error
				if op%5 == 1 {
					full := r.Length > 0 && b.NumSegments()+2 >= MaxSegments
					if err = b.WriteRegion(r, maxFrameSize); errors.Is(err, ErrBatchFull) && full {
						break
					}
					if err == nil {
						regions += r.Length
					}
				} else {
					err = b.CopyRegion(r, maxFrameSize)
				}
				if (err == nil) != fits {
					t.Fatalf("step %d: %+v in a frame of %d: %v", step, r, maxFrameSize, err)
				}
				if fits {
					data := source[r.Offset:][:r.Length]
					want = append(want, naiveData(uint32(r.StreamID), data, r.Padded, r.PadLength, r.EndStream)...)
				}
			case 3:
				b.Segments()
			case 4:
				if op > 200 {
					b.Reset()
					want, regions = nil, 0
				}
			}
			if len(want) != b.Len() {
				t.Fatalf("step %d: Len %d, want %d", step, b.Len(), len(want))
			}
		}
		checkBatch(t, "the end", &b, want)
		for _, s := range b.Segments() {
			if within(s, source) {
				regions -= len(s)
			}
		}
		if regions != 0 {
			t.Errorf("%d octets of regions are not where they were", regions)
		}
	})
}

// FuzzDescribe takes anything for a frame. The line must be one line, and begin with
// what the header says.
func FuzzDescribe(f *testing.F) {
	for _, tt := range wireFrames {
		h, _ := ParseHeader([]byte(tt.wire))
		f.Add(h.Length, byte(h.Type), byte(h.Flags), uint32(h.StreamID), []byte(tt.wire[HeaderLen:]))
	}
	f.Fuzz(func(t *testing.T, length uint32, typ, flags byte, id uint32, payload []byte) {
		h := Header{Length: length, Type: Type(typ), Flags: Flags(flags), StreamID: StreamID(id)}
		got := Describe(h, payload)
		if !strings.HasPrefix(got, h.Type.String()+" stream=") || strings.ContainsAny(got, "\r\n\x00") {
			t.Errorf("%+v: %q", h, got)
		}
		if len(got) > 1<<10 {
			t.Errorf("a line of %d octets", len(got))
		}
		h.Length = uint32(len(payload))
		Describe(h, payload)
	})
}
