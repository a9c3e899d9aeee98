package h2

import (
	"golang.org/x/net/http2/hpack"

	"github.com/h2loop/h2loop/frames"
)

// A codec is the HPACK state of a connection, both ways (RFC 7541). It is made
// when the first header block arrives.
type codec struct {
	dec *hpack.Decoder
	enc *hpack.Encoder
}

func (c *Conn) newCodec() *codec {
	k := &codec{
		dec: hpack.NewDecoder(headerTableSize, c.recvField),
		enc: hpack.NewEncoder((*blockWriter)(c)),
	}
	k.dec.SetMaxStringLength(int(c.shared.cfg.MaxHeaderListSize))
	// "This [the lowest] maximum size MUST be signaled … the final maximum
	// size is also signaled." RFC 7541, Section 4.2.
	if c.peer.minHeaderTable < headerTableSize {
		k.enc.SetMaxDynamicTableSize(c.peer.minHeaderTable)
		k.enc.SetMaxDynamicTableSize(c.peer.headerTable)
	}
	return k
}

// A blockWriter is the connection as the encoder's destination: a header block
// is encoded where it will be sent from.
type blockWriter Conn

func (w *blockWriter) Write(p []byte) (int, error) {
	w.out.Scratch = append(w.out.Scratch, p...)
	return len(p), nil
}

// statusText holds "000" to "999".
var statusText = func() (t [1000]string) {
	for i := range t {
		t[i] = string([]byte{'0' + byte(i/100), '0' + byte(i/10%10), '0' + byte(i%10)})
	}
	return t
}()

// appendBlock appends HEADERS, and CONTINUATION as needed, for a status (none
// if 0) and fields, to the outbox.
func (c *Conn) appendBlock(id frames.StreamID, status int, fields []Field, end bool) {
	o := c.outbox()
	start := len(o.Scratch)
	flags := frames.FlagEndHeaders
	if end {
		flags |= frames.FlagEndStream
	}
	o.Scratch = frames.AppendHeader(o.Scratch, frames.Header{Type: frames.TypeHeaders, Flags: flags, StreamID: id})
	if status != 0 {
		_ = c.codec.enc.WriteField(Field{Name: ":status", Value: statusText[status]})
	}
	for i := range fields {
		_ = c.codec.enc.WriteField(fields[i])
	}
	n := len(o.Scratch) - start - frames.HeaderLen
	if n <= int(c.peer.maxFrameSize) {
		b := o.Scratch[start:]
		b[0], b[1], b[2] = byte(n>>16), byte(n>>8), byte(n)
		return
	}
	c.splitBlock(start, id, flags)
}

// splitBlock cuts the block encoded behind the frame header at start into
// HEADERS and CONTINUATION frames of the peer's maximum size.
func (c *Conn) splitBlock(start int, id frames.StreamID, flags frames.Flags) {
	o := c.out
	block := append([]byte(nil), o.Scratch[start+frames.HeaderLen:]...)
	o.Scratch = o.Scratch[:start]
	t := frames.TypeHeaders
	for len(block) > 0 {
		n := min(len(block), int(c.peer.maxFrameSize))
		f := flags &^ frames.FlagEndHeaders
		if n == len(block) {
			f |= frames.FlagEndHeaders
		}
		o.Scratch = frames.AppendHeader(o.Scratch, frames.Header{Length: uint32(n), Type: t, Flags: f, StreamID: id})
		o.Scratch = append(o.Scratch, block[:n]...)
		block = block[n:]
		t, flags = frames.TypeContinuation, 0
	}
}
