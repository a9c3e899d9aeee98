// Package frames reads and writes the frames of HTTP/2: RFC 9113, and the
// PRIORITY_UPDATE frame of RFC 9218. It is pure bytes: no I/O, no goroutine, no
// state but that of a [DataReader] or a [Batch], and it imports only the standard
// library.
//
// # Reading
//
// [ParseHeader] reads the nine octets that start a frame. With them and the whole
// payload, ParseX gives the frame X as a small value:
//
//	h, ok := frames.ParseHeader(b)
//	if !ok {
//		return // fewer than nine octets have arrived
//	}
//	switch h.Type {
//	case frames.TypePing:
//		f, err := frames.ParsePing(h, payload)
//		// ...
//	}
//
// A parser is given the payload that belongs to h, h.Length octets of it, and the
// type is the caller's choice: neither is checked again. It enforces what a single
// frame can violate: its length, its padding, its stream being or not being 0, its
// fields. What needs more knowledge is the caller's: the limit of
// SETTINGS_MAX_FRAME_SIZE, which frame may come in which state of a stream, that
// CONTINUATION follows HEADERS. Flags and reserved bits without meaning are
// ignored, as RFC 9113, Section 4.1, asks.
//
// An error is a [ConnError] or a [StreamError], as the RFC demands, with the code to
// send and the section that was violated. No input makes a parser panic.
//
// A DATA frame need not be gathered before it is read: [DataReader] takes its
// payload in pieces of any size.
//
// # Writing
//
// AppendX appends the frame X to a slice and cannot fail: what may be sent, and
// that it fits the peer's SETTINGS_MAX_FRAME_SIZE, is decided before. Only a length
// that the 24 bits on the wire cannot say panics.
//
// # Regions and batches
//
// A [Batch] gathers what one turn of a connection sends, for one vectored write. A
// [Region] is a DATA frame whose payload stays where the application has it: only
// its frame header, and its padding if it has any, are written, and the payload is
// referenced. A body of 64 KiB leaves as four DATA frames of 16 KiB for 36 octets
// written and no allocation. Other frames, and small payloads, are appended to the
// batch's Scratch; all leave in the order in which they were queued.
//
// # Who owns memory
//
// Four words say so in every doc comment: a function borrows a slice if it keeps no
// reference after it returns; takes it if it keeps one until it says so; copies it
// if the caller may reuse it at once; and lends one if its result is good only
// until what it names happens. A parser lends: the fragments, data and settings in
// its result are parts of the payload it was given, good until that changes.
//
// Nothing here allocates but errors, [Describe], and the growth of the slices that
// are appended to.
package frames
