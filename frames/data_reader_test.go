package frames

import (
	"bytes"
	"slices"
	"testing"
)

// readData feeds the payload of h to a DataReader in pieces that end at cuts, and
// then what follows, octet by octet, until it is done. It returns the octets of the
// application.
func readData(t *testing.T, h Header, payload []byte, cuts ...int) ([]byte, error) {
	t.Helper()
	var r DataReader
	if err := r.Start(h); err != nil {
		return nil, err
	}
	got := []byte{}
	for at := 0; at < len(payload); {
		end := at + 1
		if len(cuts) > 0 {
			end, cuts = cuts[0], cuts[1:]
		}
		piece := payload[at:end]
		if len(piece) > 0 && r.Done() {
			t.Fatalf("done after %d of %d octets", at, len(payload))
		}
		data, n, err := r.Next(piece)
		if err != nil {
			if n != 0 || len(data) != 0 {
				t.Fatalf("%d octets and data %q beside error %v", n, data, err)
			}
			return got, err
		}
		if n != len(piece) {
			t.Fatalf("took %d octets of %q, all of its frame", n, piece)
		}
		got = append(got, data...)
		at = end
	}
	if !r.Done() {
		t.Fatalf("not done after all %d octets", len(payload))
	}
	if r.EndStream() != h.Flags.Has(FlagEndStream) {
		t.Fatalf("END_STREAM %t, want %t", r.EndStream(), !r.EndStream())
	}
	return got, nil
}

// TestSection6_1_DataInPieces splits payloads at every boundary, at every pair of
// boundaries, and octet by octet.
func TestSection6_1_DataInPieces(t *testing.T) {
	for _, tt := range []struct {
		flags   Flags
		payload string
		want    string
	}{
		{0, "", ""},
		{FlagEndStream, "", ""},
		{0, "hello", "hello"},
		{FlagPadded, "\x00", ""},
		{FlagPadded | FlagEndStream, "\x00hello", "hello"},
		{FlagPadded, "\x01\x00", ""},
		{FlagPadded, "\x03hello\x00\x00\x00", "hello"},
		{FlagPadded, "\x05\x00\x00\x00\x00\x00", ""},
		{FlagPadded | FlagEndStream, "\x04x\x00\x00\x00\x00", "x"},
	} {
		h := headerOf(TypeData, tt.flags, 1, tt.payload)
		payload := []byte(tt.payload)
		check := func(cuts ...int) {
			t.Helper()
			if got, err := readData(t, h, payload, cuts...); err != nil || string(got) != tt.want {
				t.Errorf("%q cut at %v: %q, %v, want %q", tt.payload, cuts, got, err, tt.want)
			}
		}
		check()
		check(len(payload))
		for i := range len(payload) + 1 {
			for j := i; j <= len(payload); j++ {
				check(i, j, len(payload)) // i == j is a Next of nothing
			}
		}
	}
}

func TestSection6_1_DataPaddingTooLong(t *testing.T) {
	for _, payload := range []string{"\x01", "\x02a", "\xffhello"} {
		h := headerOf(TypeData, FlagPadded, 1, payload)
		for i := range len(payload) + 1 {
			_, err := readData(t, h, []byte(payload), i, len(payload))
			wantConnError(t, "padding", err, ErrCodeProtocol, "6.1")
		}
		// It stays an error.
		var r DataReader
		if err := r.Start(h); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			_, _, err := r.Next([]byte(payload))
			wantConnError(t, "padding", err, ErrCodeProtocol, "6.1")
		}
	}
}

func TestSection4_2_DataWithoutPadLength(t *testing.T) {
	var r DataReader
	wantConnError(t, "no payload", r.Start(headerOf(TypeData, FlagPadded, 1, "")), ErrCodeFrameSize, "4.2")
}

// TestDataReaderStopsAtTheFrame leaves the octets of the next frame alone, and lends
// from what it was given.
func TestDataReaderStopsAtTheFrame(t *testing.T) {
	in := []byte("\x02hello\x00\x00next")
	var r DataReader
	if err := r.Start(Header{Length: 8, Flags: FlagPadded | FlagEndStream, StreamID: 1}); err != nil {
		t.Fatal(err)
	}
	data, n, err := r.Next(in)
	if err != nil || n != 8 || string(data) != "hello" || &data[0] != &in[1] {
		t.Errorf("%q, %d, %v", data, n, err)
	}
	if !r.Done() || !r.EndStream() {
		t.Errorf("done %t, END_STREAM %t", r.Done(), r.EndStream())
	}
	if data, n, err := r.Next(in[n:]); len(data) != 0 || n != 0 || err != nil {
		t.Errorf("after the end: %q, %d, %v", data, n, err)
	}
}

func TestDataReaderStartsAnew(t *testing.T) {
	var r DataReader
	if !r.Done() || r.EndStream() {
		t.Error("the zero DataReader is not done")
	}
	if err := r.Start(Header{Length: 100, Flags: FlagPadded | FlagEndStream, StreamID: 1}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Next([]byte("\x09abc")); err != nil || r.Done() {
		t.Fatalf("done %t, %v", r.Done(), err)
	}
	if err := r.Start(Header{Length: 3, StreamID: 3}); err != nil {
		t.Fatal(err)
	}
	data, n, err := r.Next([]byte("abcdef"))
	if string(data) != "abc" || n != 3 || err != nil || !r.Done() || r.EndStream() {
		t.Errorf("%q, %d, %v, done %t, END_STREAM %t", data, n, err, r.Done(), r.EndStream())
	}
}

// TestDataReaderLongest reads the longest frame there is.
func TestDataReaderLongest(t *testing.T) {
	payload := make([]byte, MaxMaxFrameSize)
	payload[0] = 255
	for i := range payload[1:] {
		payload[1+i] = byte(i)
	}
	h := Header{Length: MaxMaxFrameSize, Flags: FlagPadded, StreamID: 1}
	var cuts []int
	for at := 65537; at < len(payload); at += 65537 {
		cuts = append(cuts, at)
	}
	got, err := readData(t, h, payload, slices.Concat(cuts, []int{len(payload)})...)
	if err != nil || !bytes.Equal(got, payload[1:len(payload)-255]) {
		t.Errorf("%d octets, %v", len(got), err)
	}
}
