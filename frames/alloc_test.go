package frames

import "testing"

// wantNoAllocs checks that f, once warm, allocates nothing.
func wantNoAllocs(t *testing.T, why string, f func()) {
	t.Helper()
	f()
	if n := testing.AllocsPerRun(100, f); n != 0 {
		t.Errorf("%s: %v allocations, want 0", why, n)
	}
}

// sink keeps the compiler from leaving out what a test or benchmark measures.
var sink struct {
	header       Header
	data         Data
	headers      Headers
	priority     Priority
	rstStream    RSTStream
	settings     Settings
	setting      Setting
	pushPromise  PushPromise
	ping         Ping
	goAway       GoAway
	windowUpdate WindowUpdate
	continuation Continuation
	update       PriorityUpdate
	bytes        []byte
	segments     [][]byte
	err          error
}

// parseToSink parses a frame as a connection does, without making it an any.
func parseToSink(wire []byte) {
	h, _ := ParseHeader(wire)
	payload := wire[HeaderLen:]
	sink.header = h
	switch h.Type {
	case TypeData:
		sink.data, sink.err = ParseData(h, payload)
		var r DataReader
		sink.err = r.Start(h)
		sink.bytes, _, sink.err = r.Next(payload)
	case TypeHeaders:
		sink.headers, sink.err = ParseHeaders(h, payload)
	case TypePriority:
		sink.priority, sink.err = ParsePriority(h, payload)
	case TypeRSTStream:
		sink.rstStream, sink.err = ParseRSTStream(h, payload)
	case TypeSettings:
		sink.settings, sink.err = ParseSettings(h, payload)
		for i := range sink.settings.Len() {
			sink.setting = sink.settings.At(i)
			sink.err = sink.setting.Validate()
		}
	case TypePushPromise:
		sink.pushPromise, sink.err = ParsePushPromise(h, payload)
	case TypePing:
		sink.ping, sink.err = ParsePing(h, payload)
	case TypeGoAway:
		sink.goAway, sink.err = ParseGoAway(h, payload)
	case TypeWindowUpdate:
		sink.windowUpdate, sink.err = ParseWindowUpdate(h, payload)
	case TypeContinuation:
		sink.continuation, sink.err = ParseContinuation(h, payload)
	case TypePriorityUpdate:
		sink.update, sink.err = ParsePriorityUpdate(h, payload)
	}
}

func TestNothingAllocates(t *testing.T) {
	for _, tt := range wireFrames {
		wire := []byte(tt.wire)
		wantNoAllocs(t, "parse "+tt.name, func() { parseToSink(wire) })
		if sink.err != nil {
			t.Errorf("%s: %v", tt.name, sink.err)
		}
		dst := make([]byte, 0, 64)
		wantNoAllocs(t, "append "+tt.name, func() { sink.bytes = appendAny(dst, tt.value) })
	}

	var dst [128]byte
	wantNoAllocs(t, "append SETTINGS of literals", func() {
		sink.bytes = AppendSettings(dst[:0],
			Setting{SettingMaxConcurrentStreams, 250},
			Setting{SettingInitialWindowSize, 256 << 10},
			Setting{SettingNoRFC7540Priorities, 1})
	})

	source := make([]byte, 1<<20)
	var b Batch
	wantNoAllocs(t, "a batch of everything", func() {
		b.Reset()
		b.Scratch = AppendPing(b.Scratch, Ping{Ack: true})
		for at := 0; at < len(source); at += DefaultMaxFrameSize {
			r := Region{StreamID: 1, Source: source, Offset: at, Length: 16000, Padded: true, PadLength: 200}
			if sink.err = b.WriteRegion(r, DefaultMaxFrameSize); sink.err != nil {
				t.Fatal(sink.err)
			}
			r.Length = 1000
			if sink.err = b.CopyRegion(r, DefaultMaxFrameSize); sink.err != nil {
				t.Fatal(sink.err)
			}
			b.Scratch = AppendWindowUpdate(b.Scratch, WindowUpdate{Increment: 1})
			sink.segments = b.Segments()
		}
	})
	var control Batch
	wantNoAllocs(t, "a batch of one run", func() {
		control.Reset()
		control.Scratch = AppendPing(control.Scratch, Ping{Ack: true})
		sink.segments = control.Segments()
	})
	wantNoAllocs(t, "a full batch", func() {
		b.Reset()
		for b.WriteRegion(Region{StreamID: 1, Source: source, Length: 1}, DefaultMaxFrameSize) == nil {
		}
		sink.segments = b.Segments()
	})
}

func BenchmarkParseHeader(b *testing.B) {
	wire := AppendHeader(nil, Header{Length: 16384, Type: TypeData, Flags: FlagEndStream, StreamID: 12345})
	b.ReportAllocs()
	for b.Loop() {
		sink.header, _ = ParseHeader(wire)
	}
}

func BenchmarkAppendHeader(b *testing.B) {
	h := Header{Length: 16384, Type: TypeData, Flags: FlagEndStream, StreamID: 12345}
	dst := make([]byte, 0, HeaderLen)
	b.ReportAllocs()
	for b.Loop() {
		sink.bytes = AppendHeader(dst, h)
	}
}

func BenchmarkParse(b *testing.B) {
	for _, tt := range wireFrames {
		b.Run(tt.name, func(b *testing.B) {
			wire := []byte(tt.wire)
			b.ReportAllocs()
			for b.Loop() {
				parseToSink(wire)
			}
		})
	}
}

// BenchmarkDataReader reads a frame of 16 KiB in pieces of a size.
func BenchmarkDataReader(b *testing.B) {
	payload := make([]byte, DefaultMaxFrameSize)
	h := Header{Length: DefaultMaxFrameSize, Type: TypeData, StreamID: 1}
	for name, size := range map[string]int{"whole": len(payload), "1400": 1400, "1": 1} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(payload)))
			for b.Loop() {
				var r DataReader
				sink.err = r.Start(h)
				for at := 0; !r.Done(); {
					_, n, _ := r.Next(payload[at:min(at+size, len(payload))])
					at += n
				}
			}
		})
	}
}

// BenchmarkRegions queues a buffer of 64 KiB as four frames.
func BenchmarkRegions(b *testing.B) {
	buffer := make([]byte, 64<<10)
	var batch Batch
	b.ReportAllocs()
	b.SetBytes(int64(len(buffer)))
	for b.Loop() {
		batch.Reset()
		if err := writeBuffer(&batch, 1, buffer, DefaultMaxFrameSize); err != nil {
			b.Fatal(err)
		}
		sink.segments = batch.Segments()
	}
}

// BenchmarkRegion compares the two ways to queue a payload, as far as the batch is
// concerned: a segment also costs the kernel.
func BenchmarkRegion(b *testing.B) {
	source := make([]byte, 16<<10)
	for _, size := range []struct {
		name string
		n    int
	}{{"13B", 13}, {"256B", 256}, {"1KiB", 1 << 10}, {"4KiB", 4 << 10}, {"16KiB", 16 << 10}} {
		r := Region{StreamID: 1, Source: source, Length: size.n}
		b.Run("write/"+size.name, func(b *testing.B) {
			var batch Batch
			b.ReportAllocs()
			for b.Loop() {
				batch.Reset()
				for range 32 {
					sink.err = batch.WriteRegion(r, DefaultMaxFrameSize)
				}
				sink.segments = batch.Segments()
			}
		})
		b.Run("copy/"+size.name, func(b *testing.B) {
			var batch Batch
			b.ReportAllocs()
			for b.Loop() {
				batch.Reset()
				for range 32 {
					sink.err = batch.CopyRegion(r, DefaultMaxFrameSize)
				}
				sink.segments = batch.Segments()
			}
		})
	}
}
