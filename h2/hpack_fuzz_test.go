package h2

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/h2loop/h2loop/frames"
)

// FuzzDecode sends header blocks on one connection, cut into HEADERS and CONTINUATION
// in any way, on streams that are served, refused, reset, or have ended, and whose
// header lists are within the limit or above it. A decoder that is given the same
// blocks whole must come to the same fields, so that the table has stayed in step.
//
// In blocks, an octet tells how long the next one is; in cuts, how long a fragment.
func FuzzDecode(f *testing.F) {
	var blocks []byte
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for i := range 12 {
		block.Reset()
		if i == 7 {
			enc.SetMaxDynamicTableSize(100)
		}
		for _, field := range append(requestFields("GET", nil), fmt.Sprintf("x-%d: %s", i/2, strings.Repeat("a", 10*i)), "x-same: b") {
			_ = enc.WriteField(parseField(field))
		}
		blocks = append(append(blocks, byte(block.Len())), block.Bytes()...)
	}
	f.Add(blocks, []byte{}, byte(0))
	f.Add(blocks, []byte{1, 0, 3, 200, 2}, byte(1))
	f.Add(blocks, []byte{20}, byte(2))
	f.Add([]byte("\x03\x82\x84\x87\x01\xbe\x02\x3f\xe1\x01\xff"), []byte{1}, byte(3))          // an index beyond the table
	f.Add([]byte("\x05\x40\x81\xff\x01a\x04\x00\x01a\x7f\x03\x82\x20\x82"), []byte{}, byte(0)) // Huffman padding, cut strings, a late size update
	f.Fuzz(func(t *testing.T, blocks, cuts []byte, shape byte) {
		if len(blocks) > 8<<10 {
			t.Skip("limits have tests of their own")
		}
		tc := newTestConn(t, Config{MaxConcurrentStreams: 3, MaxHeaderListSize: 400, MaxBlockFactor: 1000, MaxContinuations: 1 << 20})
		tc.whole = true
		defer tc.finish()
		tc.app.request = func(s *Stream) {
			switch shape % 4 {
			case 0:
				_ = tc.c.WriteHeaders(s, 200, nil, true)
			case 1: // it stays open, until there are too many
			case 2:
				tc.c.Reset(s, frames.ErrCodeCancel)
			case 3: // trailers follow, and more
				_ = tc.c.WriteHeaders(s, 200, nil, false)
			}
		}
		var got []Field
		tc.c.codec = tc.c.newCodec()
		tc.c.codec.dec.SetEmitFunc(func(f Field) {
			got = append(got, f)
			tc.c.recvField(f)
		})
		var want []Field
		reference := hpack.NewDecoder(headerTableSize, func(f Field) { want = append(want, f) })
		reference.SetMaxStringLength(400)

		id := frames.StreamID(1)
		for n := 0; len(blocks) > 0; n++ {
			length := min(int(blocks[0]), len(blocks)-1)
			block := blocks[1:][:length]
			blocks = blocks[1+length:]

			got, want = nil, nil
			_, err := reference.Write(block)
			if err == nil {
				err = reference.Close()
			}
			var at []int
			for end := 0; len(cuts) > 0 && end < length; cuts = cuts[1:] {
				end = min(end+int(cuts[0]), length)
				at = append(at, end)
			}
			tc.sh.Now += second // budgets refill
			tc.recv(headerFrames(id, shape&4 != 0, block, at...))
			tc.drain()
			if shape%4 != 3 || n%3 == 2 {
				id += 2
			}

			ce, failed := tc.err.(frames.ConnError) //nolint:errorlint // never wrapped
			switch {
			case failed && err == nil && ce.Code == frames.ErrCodeCompression:
				t.Fatalf("block %x: %v, and the decoder takes it", block, tc.err)
			case failed:
				tc.errSeen = true
				return
			case err != nil && tc.c.codec.dec.EmitEnabled():
				t.Fatalf("block %x is taken, and the decoder says %v", block, err)
			case err != nil:
				return // of strings that nobody has looked at
			case tc.c.codec.dec.EmitEnabled() && !slices.Equal(got, want), !slices.Equal(got, want[:min(len(got), len(want))]):
				t.Fatalf("block %x:\ngot  %v\nwant %v", block, got, want)
			}
		}
	})
}

// FuzzEncoder answers requests with what the fuzzer likes, while the peer changes
// the size of its table and of its frames, and the connection rests. The peer's
// decoder must come to the same fields.
func FuzzEncoder(f *testing.F) {
	f.Add([]byte("\x10\x11\x10\x10\x21\x12\x10\x00\x10\x01\x10"), uint16(4096))
	f.Add([]byte("\x43\x40\x53\x40\x00\x53\x43\x53\x53\x43\x02\x53\x53"), uint16(64))
	f.Add(bytes.Repeat([]byte("\x91\x92\x93\xa4\xb5\x91\x05\x03\x91"), 20), uint16(200))
	f.Fuzz(func(t *testing.T, program []byte, tableSize uint16) {
		if len(program) > 1<<10 {
			t.Skip("it takes long")
		}
		tc := newTestConn(t, Config{EncoderTableSize: uint32(tableSize)})
		tc.whole = true
		defer tc.finish()
		id, frameSize := frames.StreamID(1), uint32(16384)
		for len(program) > 0 {
			op := program[0]
			program = program[1:]
			switch op {
			case 0:
				tc.c.Rest()
				continue
			case 1, 2, 3, 4:
				size := []uint32{0, 50, 4096, 1 << 20}[op-1]
				// By way of an empty table, for hpack's decoder takes a second size
				// update for one that comes too late while there is something in it.
				tc.recv(settings(setting(frames.SettingHeaderTableSize, 0), setting(frames.SettingHeaderTableSize, size)))
				tc.want("", "SETTINGS ACK")
				continue
			case 5:
				frameSize ^= 16384 ^ 20000
				tc.recv(settings(setting(frames.SettingMaxFrameSize, frameSize)))
				tc.want("", "SETTINGS ACK")
				continue
			}
			// The high half says how many fields, the low one which.
			status := 200 + int(op&1)
			want := fmt.Sprintf("HEADERS %d :status=%d", id, status)
			var fields []Field
			for i := range int(op >> 4) {
				f := Field{Name: "x-" + string('a'+rune(op&7)), Value: strings.Repeat("v", i)}
				switch {
				case op&8 != 0 && len(program) > 0:
					f.Name, f.Value = "date", fmt.Sprint(program[0])
				case op&15 == 7:
					f.Value = strings.Repeat("~", 2000*i)
				case op&3 == 2:
					f.Sensitive = i&1 == 1
				}
				fields = append(fields, f)
				want += " " + f.Name + "=" + f.Value
			}
			tc.app.request = func(s *Stream) { mustDo(t, tc.c.WriteHeaders(s, status, fields, true)) }
			tc.recv(tc.get(id))
			tc.want("", want+" END_STREAM")
			id += 2
		}
	})
}
