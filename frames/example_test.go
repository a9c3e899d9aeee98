package frames_test

import (
	"fmt"

	"github.com/h2loop/h2loop/frames"
)

// A body of 64 KiB leaves as four DATA frames. Only their headers are written: the
// payloads are parts of the body.
func ExampleBatch() {
	body := make([]byte, 64<<10)
	const maxFrameSize = frames.DefaultMaxFrameSize

	var b frames.Batch
	for at := 0; at < len(body); at += maxFrameSize {
		n := min(len(body)-at, maxFrameSize)
		err := b.WriteRegion(frames.Region{
			StreamID:  1,
			Source:    body,
			Offset:    at,
			Length:    n,
			EndStream: at+n == len(body),
		}, maxFrameSize)
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	for i, segment := range b.Segments() {
		if i%2 == 0 {
			h, _ := frames.ParseHeader(segment)
			fmt.Println(frames.Describe(h, nil))
		} else {
			fmt.Println(len(segment), "octets of the body")
		}
	}
	fmt.Println(len(b.Scratch), "octets written,", b.Len(), "to send")
	b.Reset()

	// Output:
	// DATA stream=1 len=16384
	// 16384 octets of the body
	// DATA stream=1 len=16384
	// 16384 octets of the body
	// DATA stream=1 len=16384
	// 16384 octets of the body
	// DATA stream=1 len=16384 END_STREAM
	// 16384 octets of the body
	// 36 octets written, 65572 to send
}

// Control frames are appended to Scratch and leave in order with the regions.
func ExampleBatch_scratch() {
	var b frames.Batch
	b.Scratch = frames.AppendSettingsAck(b.Scratch)
	if err := b.WriteRegion(frames.Region{StreamID: 1, Source: []byte("say hello"), Offset: 4, Length: 5}, 16384); err != nil {
		fmt.Println(err)
	}
	b.Scratch = frames.AppendPing(b.Scratch, frames.Ping{Ack: true})
	for _, segment := range b.Segments() {
		fmt.Printf("%q\n", segment)
	}
	// Output:
	// "\x00\x00\x00\x04\x01\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x01"
	// "hello"
	// "\x00\x00\b\x06\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
}

// A DATA frame with padding arrives in three pieces.
func ExampleDataReader() {
	h := frames.Header{Length: 8, Type: frames.TypeData, Flags: frames.FlagPadded | frames.FlagEndStream, StreamID: 1}
	var r frames.DataReader
	if err := r.Start(h); err != nil {
		fmt.Println(err)
		return
	}
	for _, piece := range []string{"\x02he", "llo\x00", "\x00next frame"} {
		data, n, err := r.Next([]byte(piece))
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%d octets of the frame, data %q, done %t\n", n, data, r.Done())
	}
	// Output:
	// 3 octets of the frame, data "he", done false
	// 4 octets of the frame, data "llo", done false
	// 1 octets of the frame, data "", done true
}

func ExampleParseWindowUpdate() {
	h, _ := frames.ParseHeader([]byte("\x00\x00\x04\x08\x00\x00\x00\x00\x07"))
	_, err := frames.ParseWindowUpdate(h, []byte("\x00\x00\x00\x00"))
	fmt.Println(err)
	// Output: stream 7 error PROTOCOL_ERROR: WINDOW_UPDATE increment is 0 (RFC 9113, Section 6.9)
}
