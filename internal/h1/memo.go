package h1

import (
	"hash/maphash"

	"github.com/h2loop/h2loop/internal/message"
)

// A headMemo is a head that was read before, and what it says. Clients say the
// same again and again, and to compare octets costs a fraction of reading them
// (BenchmarkReceiveGET). It does not change once it is made.
type headMemo struct {
	head    string
	request message.Request // without its fields
	fields  []message.Field
	hop     []message.Field
	target  string
	flags   headFlags
}

// headMemos are the heads that the connections of a loop have seen twice. A head
// has one place where it may be, so that there is a bound and nothing to keep in
// order.
type headMemos struct {
	seed  maphash.Seed
	seen  [numMemos]uint64 // hashes of heads that came last in a place, and are not remembered
	memos [numMemos]*headMemo
}

const (
	numMemos = 64

	// maxMemoHead bounds what is remembered. Browsers send more, and cookies.
	maxMemoHead = 1 << 10
)

// isKept reports whether head, which was read into s, may be remembered: it is not
// long, and has no credentials.
func isKept(head []byte, s *Stream) bool { return len(head) <= maxMemoHead && !s.head.has(hasSecret) }

// get returns what is remembered of head, or nil.
func (h *headMemos) get(head []byte, s *Stream) *headMemo {
	if !isKept(head, s) {
		return nil
	}
	if m := h.memos[h.place(head)]; m != nil && m.head == string(head) {
		return m
	}
	return nil
}

// place returns where head may be, by its first octets: most heads are looked for in
// vain. Those that differ only in what is behind take turns there.
func (h *headMemos) place(head []byte) uint64 {
	const most = 128
	return (maphash.Bytes(h.seed, head[:min(len(head), most)]) + uint64(len(head))) % numMemos
}

// put remembers head, which was read into s, if it was there before.
func (h *headMemos) put(head []byte, s *Stream) *headMemo {
	if !isKept(head, s) {
		return nil
	}
	place, hash := h.place(head), maphash.Bytes(h.seed, head)
	if h.seen[place] != hash {
		h.seen[place] = hash
		return nil
	}
	m := &headMemo{head: string(head), request: s.Request, target: s.Target, flags: s.head}
	m.request.Fields, m.request.Trailers, m.request.Late = nil, nil, nil
	m.fields, m.hop = s.late.AppendFields(nil), s.late.appendHop(nil)
	h.memos[place] = m
	return m
}

// isPrefixOf reports whether b begins with the head of m.
func (m *headMemo) isPrefixOf(b []byte) bool {
	return len(b) >= len(m.head) && string(b[:len(m.head)]) == m.head
}

// copyTo makes s a stream whose head is that of m.
func (m *headMemo) copyTo(s *Stream) {
	q, r := &s.Request, &m.request
	q.Method, q.Scheme, q.Authority, q.Path, q.Protocol = r.Method, r.Scheme, r.Authority, r.Path, r.Protocol
	q.ContentLength = r.ContentLength
	s.late.memo, s.late.hopLate, s.Target, s.head = m, len(m.hop) > 0, m.target, m.flags
	if len(m.fields) > 0 {
		q.Late = &s.late
	}
}
