package loop

// Resume has the exchange's source asked again. It is [Async.Resume] for those
// who are on the loop already. Within the source's own Pull it does nothing.
func (x *Exchange) Resume() error {
	if x.isDead() {
		return ErrClosed
	}
	if x.off != nil {
		return x.off.of.Resume()
	}
	x.conn.loop.touch(x.conn)
	x.conn.protocol.resume(x)
	return nil
}
