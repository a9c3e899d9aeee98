package loop

import (
	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/internal/message"
)

// An engine is the state machine of a connection's protocol: an [h2.Conn], whose
// methods say what these do, or an h1.Conn.
type engine interface {
	Receive(b []byte) error
	ReceiveUpTo(b []byte, most *int) (n int, err error)

	SetRoom(n int)
	WantsRoom() bool
	Fill()
	HasPending() bool
	Pending() [][]byte
	Flushed()

	NeedsTick() bool
	Tick() error
	OpenStreams() int

	Shutdown()
	Draining() bool
	Finished() bool
	Close()
	Abandon()
}

// A protocol is how exchanges reach their streams, whatever the engine.
type protocol interface {
	// established reports whether the peer has said all that comes before
	// requests.
	established() bool

	writeHeaders(x *Exchange, status int, fields []message.Field, end bool) error
	write(x *Exchange, p []byte, end bool) error
	writeRegion(x *Exchange, p []byte, rel message.Releaser, end bool) error
	writeSource(x *Exchange, src message.Source) error
	resume(x *Exchange)

	// writeSwitch sends the header section that switches the protocol.
	writeSwitch(x *Exchange, fields []message.Field) error

	// writeTrailers completes the response with trailer fields: at once, or when
	// the source ends, from within whose last Pull it may be called. It copies
	// fields. Where the protocol has no place for them, they are left out.
	writeTrailers(x *Exchange, fields []message.Field) error

	// version is what the protocol of a request is called in its request line.
	version(x *Exchange) string

	requestEnded(x *Exchange) bool
	consume(x *Exchange, n int)

	// moved returns how many octets of the bodies have come and gone.
	moved(x *Exchange) (received, sent int64)

	setLongLived(x *Exchange)
	reset(x *Exchange, code frames.ErrCode)
	holdPlace()
	freePlace()

	// end ends the connection at once, and says why where the protocol can; calm
	// does so because of what the peer does.
	end(reason string)
	calm(reason string)
}
