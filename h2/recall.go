package h2

import (
	"bytes"
	"math/bits"
)

// A requestMemos remembers what header blocks were decoded to: while the decoder's table
// does not change, the same octets are the same fields. Whoever asks for the same again
// and again, as callers of a procedure do, or who looks whether something is new, sends
// the same block, in which nothing is to be added to the table.
type requestMemos struct {
	memoRing[requestMemo]
	misses uint32 // blocks in a row that were not remembered
}

// A requestMemo is a block and what it says. Its list and its request were not judged
// as a whole, which goes by more than the block.
type requestMemo struct {
	block  []byte
	list   fieldList // whose fields are its own
	pseudo Request   // only what pseudo-header fields say
}

// maxRequestBlock keeps long blocks, which are rarely the same, out of memory.
const maxRequestBlock = 512

// find returns what is remembered of block, or nil.
func (m *requestMemos) find(block []byte) *requestMemo {
	for i := range m.all {
		if bytes.Equal(m.all[i].block, block) {
			m.misses = 0
			return &m.all[i]
		}
	}
	return nil
}

// learn notes that block, which is whole and comes with b, was decoded.
func (m *requestMemos) learn(block []byte, b *headerBlock) {
	m.misses++
	// Of those who never say the same twice, ever fewer blocks are remembered.
	wanted := bits.OnesCount32(m.misses) == 1 && b.kind == blockRequest && b.err == nil && b.list.fault == "" &&
		!b.list.tooLong && len(block) <= maxRequestBlock && len(b.list.fields) <= maxMemoFields
	switch {
	case !wanted && len(m.all) == 0:
	case changesTable(block):
		m.forget()
	case wanted:
		m.add(block, b)
	}
}

func (m *requestMemos) add(block []byte, b *headerBlock) {
	e := m.next()
	fields := append(e.list.fields[:0], b.list.fields...)
	e.block = append(e.block[:0], block...)
	e.list = b.list
	e.list.fields = fields
	r := &b.stream.Request
	e.pseudo = Request{Method: r.Method, Scheme: r.Scheme, Authority: r.Authority, Path: r.Path, Protocol: r.Protocol}
}

// forget drops everything: the table has changed.
func (m *requestMemos) forget() { m.memoRing = memoRing[requestMemo]{} }

// recall gives b what e says.
func (b *headerBlock) recall(e *requestMemo) {
	r, fields := &b.stream.Request, b.list.fields
	b.list = e.list
	b.list.fields = append(fields, e.list.fields...)
	r.Method, r.Scheme, r.Authority, r.Path, r.Protocol =
		e.pseudo.Method, e.pseudo.Scheme, e.pseudo.Authority, e.pseudo.Path, e.pseudo.Protocol
}

// changesTable reports whether block, which is well-formed, adds to the table or changes
// its size (RFC 7541, Section 6).
func changesTable(block []byte) bool {
	for len(block) > 0 {
		switch first := block[0]; {
		case first&0x80 != 0: // indexed
			block = skipInt(block, 7)
		case first&0x60 != 0: // a literal with incremental indexing, or a size
			return true
		case first&0x0f != 0: // a literal whose name is indexed
			block = skipString(skipInt(block, 4))
		default:
			block = skipString(skipString(block[1:]))
		}
	}
	return false
}

// skipInt returns what is behind the integer with a prefix of n bits that b begins with
// (RFC 7541, Section 5.1).
func skipInt(b []byte, n int) []byte {
	_, rest := cutInt(b, n)
	return rest
}

// skipString returns what is behind the string that b begins with (RFC 7541, Section 5.2).
func skipString(b []byte) []byte {
	n, rest := cutInt(b, 7)
	return rest[min(n, len(rest)):]
}

func cutInt(b []byte, n int) (v int, rest []byte) {
	if len(b) == 0 {
		return 0, nil
	}
	mask := byte(1)<<n - 1
	v, b = int(b[0]&mask), b[1:]
	if v < int(mask) {
		return v, b
	}
	for shift := 0; len(b) > 0 && shift < 63; shift += 7 {
		first := b[0]
		v, b = v+int(first&0x7f)<<shift, b[1:]
		if first&0x80 == 0 {
			break
		}
	}
	return v, b
}
