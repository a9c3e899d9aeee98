package loop

// A heldBody is what has come of a request body that is paused. Its octets are not
// consumed: they count as unread, as what the client may send is less by them.
type heldBody struct {
	on     bool
	anew   bool // since that was last asked; see Continue
	octets []byte
	end    bool // has come behind them
}

// keep copies p.
func (h *heldBody) keep(p []byte, end bool) {
	h.octets = append(h.octets, p...)
	h.end = end
}

// PauseBody has the request body handed on no further until [Exchange.ResumeBody].
// The client may go on sending as far as its credit goes, 256 KiB to 1 MiB; what
// comes is kept, and the credit for it returns only once it is handed on.
//
// It may be called before anybody has asked for the body: nothing of it is thrown
// away then, and [Exchange.OnBody] and [Exchange.ReadBody] find all of it.
func (x *Exchange) PauseBody() error {
	switch {
	case x.isDead():
		return ErrClosed
	case x.off != nil:
		return ErrOffLoop
	}
	x.body.hold.on, x.body.hold.anew = true, true
	return nil
}

// ResumeBody hands on what has come of a request body since
// [Exchange.PauseBody], in one piece, before it returns; what comes later is handed
// on as it does. It does nothing if the body is not paused.
func (x *Exchange) ResumeBody() error {
	switch {
	case x.isDead():
		return ErrClosed
	case x.off != nil:
		return ErrOffLoop
	}
	held := x.body.hold
	if !held.on {
		return nil
	}
	x.body.hold = heldBody{}
	if len(held.octets) > 0 || held.end {
		x.conn.loop.touch(x.conn)
		x.deliver(held.octets, held.end)
	}
	return nil
}
