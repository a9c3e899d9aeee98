package h2

import (
	"golang.org/x/net/http2/hpack"

	"github.com/h2loop/h2loop/frames"
)

// A codec is the HPACK state of a connection, both ways (RFC 7541). The connection gets
// it when the first header block arrives, and gives it back at its end: a decoder that
// was in use before has room for its table.
type codec struct {
	conn     *Conn // whose it is
	dec      *hpack.Decoder
	requests requestMemos   // of blocks decoded since its table last changed
	enc      *hpack.Encoder // nil until there is an answer, and while the connection rests

	memos   blockMemos // of blocks encoded since the encoder's table last changed
	changed bool       // what is being encoded is more than references to the table
	begun   bool       // a block was sent
}

// A memoRing holds what was remembered last.
type memoRing[T any] struct {
	all    []T
	oldest int // is overwritten next, once there are maxMemos
}

// next returns the place of what is remembered next, with what was there.
func (r *memoRing[T]) next() *T {
	if len(r.all) < maxMemos {
		var zero T
		r.all = append(r.all, zero)
		r.oldest = len(r.all) - 1
	}
	e := &r.all[r.oldest]
	r.oldest = (r.oldest + 1) % maxMemos
	return e
}

// A blockMemos is the sections that were encoded last.
type blockMemos struct{ memoRing[blockMemo] }

// A blockMemo remembers how a header section was encoded: as long as the table
// does not change, the same section gives the same octets. Servers say much the
// same again and again, and encoding costs ten times this comparison
// (BenchmarkAppendBlock).
type blockMemo struct {
	status int
	fields []Field
	block  []byte
}

// maxMemos is how many header sections a connection remembers: it has a few
// kinds of answer in a second, after which Date changes the table.
const maxMemos = 4

// maxMemoFields keeps long sections, which are rarely the same, out of memory.
const maxMemoFields = 16

// find returns the remembered encoding of a section, or nil.
func (m *blockMemos) find(status int, fields []Field) []byte {
next:
	for i := range m.all {
		e := &m.all[i]
		if e.status != status || len(e.fields) != len(fields) {
			continue
		}
		for j := range fields {
			if e.fields[j] != fields[j] {
				continue next
			}
		}
		return e.block
	}
	return nil
}

// add remembers a section and the block that encodes it.
func (m *blockMemos) add(status int, fields []Field, block []byte) {
	e := m.next()
	e.status = status
	e.fields = append(e.fields[:0], fields...)
	e.block = append(e.block[:0], block...)
}

// forget drops the memos: the table has changed, and with it what they refer to.
func (m *blockMemos) forget() {
	for i := range m.all {
		clear(m.all[i].fields)
		m.all[i].status = -1
	}
}

func (c *Conn) newCodec() *codec {
	k := c.shared.getCodec()
	k.conn = c
	k.dec.SetMaxStringLength(int(c.cfg.MaxHeaderListSize))
	return k
}

func (sh *Shared) getCodec() *codec {
	k := sh.codecs.Pop()
	if k == nil {
		k = new(codec)
		k.dec = hpack.NewDecoder(headerTableSize, func(f Field) { k.conn.recvField(f) })
	}
	return k
}

// putCodec takes a codec back, which may be nil, wherever in a block its connection has
// ended.
func (sh *Shared) putCodec(k *codec) {
	if k == nil {
		return
	}
	dec := k.dec
	_ = dec.Close() // drops what it has of a field
	dec.SetMaxDynamicTableSize(0)
	dec.SetMaxDynamicTableSize(headerTableSize)
	*k = codec{dec: dec}
	sh.codecs.Push(k, maxFreeCodecs)
}

func (c *Conn) newEncoder() *hpack.Encoder {
	enc := hpack.NewEncoder((*blockWriter)(c))
	// "This [the lowest] maximum size MUST be signaled … the final maximum
	// size is also signaled." RFC 7541, Section 4.2.
	if c.peer.minHeaderTable < headerTableSize {
		enc.SetMaxDynamicTableSize(c.peer.minHeaderTable)
		enc.SetMaxDynamicTableSize(c.peer.headerTable)
	}
	return enc
}

// MayRest reports whether [Conn.Rest] would give memory back.
func (c *Conn) MayRest() bool {
	k := c.codec
	return (c.streams.slots != nil || k != nil && (k.enc != nil || k.requests.all != nil)) && !c.NeedsTick()
}

// Rest gives back what only a connection with streams needs, 1 KiB and more: it is
// for one that has been idle for a while. The next answer begins with an empty
// table, as the peer is then told.
func (c *Conn) Rest() {
	if !c.MayRest() {
		return
	}
	if k := c.codec; k != nil {
		k.requests = requestMemos{}
		if k.enc != nil {
			k.enc, k.memos = nil, blockMemos{}
			c.peer.minHeaderTable = 0
		}
	}
	c.streams, c.lame = streamTable{}, nil
}

// A blockWriter is the connection as the encoder's destination: a header block
// is encoded where it will be sent from.
type blockWriter Conn

func (w *blockWriter) Write(p []byte) (int, error) {
	if p[0]&0x80 == 0 {
		// Not an indexed field (RFC 7541, Section 6.1): the table may change.
		w.codec.changed = true
	}
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
	if c.trace != nil {
		c.trace.block(status, fields)
	}
	o := c.outbox()
	start := len(o.Scratch)
	flags := frames.FlagEndHeaders
	if end {
		flags |= frames.FlagEndStream
	}
	o.Scratch = frames.AppendHeader(o.Scratch, frames.Header{Type: frames.TypeHeaders, Flags: flags, StreamID: id})
	if block := c.codec.memos.find(status, fields); block != nil {
		o.Scratch = append(o.Scratch, block...)
		putLength(o.Scratch[start:], len(block))
		return
	}
	if c.mayBeginPlain() {
		o.Scratch = append(o.Scratch, c.shared.plain.encode(status, fields)...)
	} else {
		c.encode(status, fields, start+frames.HeaderLen)
	}
	c.codec.begun = true
	n := len(o.Scratch) - start - frames.HeaderLen
	if n <= int(c.peer.maxFrameSize) {
		putLength(o.Scratch[start:], n)
		return
	}
	c.splitBlock(start, id, flags)
}

// encode appends a section to the outbox, whose scratch has start octets then, with the
// table of the connection.
func (c *Conn) encode(status int, fields []Field, start int) {
	k := c.codec
	k.changed = false
	if k.enc == nil {
		k.enc = c.newEncoder()
	}
	writeSection(k.enc, status, fields)
	block := c.out.Scratch[start:]
	if k.changed {
		k.memos.forget()
	} else if len(block) > 0 && len(fields) <= maxMemoFields {
		k.memos.add(status, fields, block)
	}
}

func writeSection(enc *hpack.Encoder, status int, fields []Field) {
	if status != 0 {
		_ = enc.WriteField(Field{Name: ":status", Value: statusText[status]})
	}
	for i := range fields {
		_ = enc.WriteField(fields[i])
	}
}

// putLength sets the length in the frame header that b begins with.
func putLength(b []byte, n int) { b[0], b[1], b[2] = byte(n>>16), byte(n>>8), byte(n) }

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
