package message

// A Releaser is told that a region's octets are no longer referenced.
type Releaser interface {
	// Release is called exactly once: when the last octet was written, or
	// when the stream died.
	Release()
}

// ReleaseFunc is a function as a [Releaser].
type ReleaseFunc func()

// Release calls f.
func (f ReleaseFunc) Release() { f() }

// A Source yields a response body piece by piece, for bodies that are larger
// than memory or not there yet.
type Source interface {
	// Pull returns the next piece, of about max octets at most; end says
	// that it is the last. It is called only when there is room to send.
	// The piece is lent to the connection until the next call of Pull or
	// Release; Release comes within Pull only if that closes the
	// connection. An empty piece without end means that nothing is ready: the
	// source is not asked again until the connection's Resume. An error ends
	// the response in a way that the client cannot take for its end.
	Pull(max int) (p []byte, end bool, err error)

	Releaser
}
