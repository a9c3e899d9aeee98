package loop

// A pushBuffer is what was written of a response body and has not been sent: two
// slices that change places. What is written is appended to one; the other is cut
// into pieces, each of which is lent until the next is cut.
type pushBuffer struct {
	in      []byte
	out     []byte
	at      int // out[:at] was cut
	lent    int // octets of the last piece
	counted int // octets of Server.pushed that are its
}

// keptPush is what a pushBuffer that is empty keeps of memory, so that streams on
// which little happens are small.
const keptPush = 4 << 10

// len returns the octets that cannot be overwritten yet.
func (b *pushBuffer) len() int { return len(b.in) + len(b.out) - b.at + b.lent }

// unsent returns the octets that were not cut yet.
func (b *pushBuffer) unsent() int { return len(b.in) + len(b.out) - b.at }

// write copies p.
func (b *pushBuffer) write(p []byte) { b.in = append(b.in, p...) }

// cut lends the next piece, of most octets at most, until it is called again.
func (b *pushBuffer) cut(most int) []byte {
	b.lent = 0
	if b.at == len(b.out) {
		b.in, b.out, b.at = b.out[:0], b.in, 0
	}
	n := min(most, len(b.out)-b.at)
	p := b.out[b.at : b.at+n]
	b.at, b.lent = b.at+n, n
	if n == 0 && cap(b.in)+cap(b.out) > keptPush {
		b.in, b.out, b.at = nil, nil, 0
	}
	return p
}

// count brings up to date what the server knows of b.
func (b *pushBuffer) count(l *eventLoop) {
	if n := b.len(); n != b.counted {
		l.srv.pushed.Add(int64(n - b.counted))
		b.counted = n
	}
}

// drop gives the memory back.
func (b *pushBuffer) drop(l *eventLoop) {
	*b = pushBuffer{counted: b.counted}
	b.count(l)
}

// pushLimit returns how many octets a pushBuffer may have now:
// [Config.MaxStreamBuffer], and an eighth of what is left of [Config.MaxHeldOutput],
// but always enough to make some way.
func (l *eventLoop) pushLimit() int {
	cfg := l.srv.config()
	left := int64(cfg.MaxHeldOutput) - l.srv.pushed.Load()
	return min(cfg.MaxStreamBuffer, int(max(left/8, leastBatch)))
}
