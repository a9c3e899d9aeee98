package h2

import "golang.org/x/net/http2/hpack"

// A plainCodec encodes header sections without a dynamic table, so that the block is the
// same on every connection: it is for the first answer on each. Many connections have no
// other one, and are spared an encoder, whose table costs more than all else about that
// answer; and where servers say much the same again and again the block was made before.
type plainCodec struct {
	enc   *hpack.Encoder // nil before the first
	out   []byte
	memos blockMemos
}

// Write takes what the encoder encodes.
func (p *plainCodec) Write(b []byte) (int, error) {
	p.out = append(p.out, b...)
	return len(b), nil
}

// maxPlainBlock keeps long blocks out of memory.
const maxPlainBlock = 1 << 10

// encode lends the block of a section until it is called again.
func (p *plainCodec) encode(status int, fields []Field) []byte {
	if block := p.memos.find(status, fields); block != nil {
		return block
	}
	if p.enc == nil {
		p.enc = hpack.NewEncoder(p)
		p.enc.SetMaxDynamicTableSize(0)
		writeSection(p.enc, 200, nil) // which nobody is sent has the table's size before it
	}
	p.out = p.out[:0]
	writeSection(p.enc, status, fields)
	block := p.out
	if len(block) > maxPlainBlock {
		p.out = nil
	} else if len(fields) <= maxMemoFields {
		p.memos.add(status, fields, block)
	}
	return block
}

// mayBeginPlain reports whether the next block is the first on the connection, and need
// not say what size the table has: "This dynamic table size update MUST occur at the
// beginning of the first header block following the change to the dynamic table size."
// RFC 7541, Section 4.2.
func (c *Conn) mayBeginPlain() bool {
	return !c.codec.begun && c.codec.enc == nil && c.peer.minHeaderTable >= headerTableSize
}
