package tlsbridge

import (
	"errors"
	"fmt"
)

// ErrHandshakeTooLarge is returned by Receive and Stepped when the peer has sent
// more than Options.MaxHandshakeBytes and the handshake has not ended.
var ErrHandshakeTooLarge = errors.New("tlsbridge: peer sent too much before the handshake ended")

// errHandshaking is returned by Seal before the handshake has ended.
var errHandshaking = errors.New("tlsbridge: the handshake has not ended")

// ErrGoexit is the Value of a PanicError for a callback that called
// runtime.Goexit.
var ErrGoexit = errors.New("runtime.Goexit called")

// A NotTLSError is returned by Receive when what the peer sent first cannot be
// a TLS record. There is nothing pending then: the peer would not understand an
// alert.
type NotTLSError struct {
	Prefix []byte // the first octets, at most 16: those that had arrived
}

func (e NotTLSError) Error() string {
	return fmt.Sprintf("tlsbridge: first octets are not TLS: %q", e.Prefix)
}

// A PanicError is returned by Receive and Stepped when a callback of the tls.Config
// panicked during the handshake, or called runtime.Goexit.
type PanicError struct {
	Value any    // the value of the panic; ErrGoexit for a Goexit
	Stack []byte // the stack of the coroutine, as of debug.Stack
}

func (e PanicError) Error() string {
	return fmt.Sprintf("tlsbridge: panic in the handshake: %v", e.Value)
}

// Unwrap returns the value of the panic if it is an error.
func (e PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// noBytesError is the temporary net.Error that leaves a tls.Conn as it is.
type noBytesError struct{}

func (noBytesError) Error() string   { return "tlsbridge: no bytes yet" }
func (noBytesError) Timeout() bool   { return false }
func (noBytesError) Temporary() bool { return true }
