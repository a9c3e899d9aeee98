package tlsbridge

// earlyBytes is what a client may have sent behind its Finished before we have
// seen that: an HTTP/2 client the requests and 64 KiB of DATA that it may send
// without having seen our SETTINGS. RFC 9113, Sections 3.4 and 6.9.2.
const earlyBytes = 128 << 10

// Hold makes the handshake wait for [Bridge.Step]. It is to be called before
// Receive; when the first record is there it does nothing any more.
//
// Until the handshake is over Receive then only keeps a copy of what arrives, and
// calls nothing. It returns ErrHandshakeTooLarge when that is more than
// Options.MaxHandshakeBytes; once the peer has been answered 128 KiB of
// application data may come in addition, which a peer may send at once behind
// its last octets of the handshake.
func (b *Bridge) Hold() {
	if b.phase == gathering {
		b.held = true
	}
}

// Ready reports whether a step of a held handshake is due: the first record is
// whole, there are octets that the handshake has not seen, and no step runs or
// waits for Stepped. It does not know of a step that is yet to run: whoever hands
// a bridge over to have Step called asks again after Stepped.
func (b *Bridge) Ready() bool {
	h := b.wire.hs
	return b.held && h != nil && h.turn.Load() == turnLoop && h.kept.Load() != nil
}

// Step runs a held handshake on with what has come so far, callbacks of the
// tls.Config and arithmetic included. It is to be called when Ready has reported
// true, once, and Stepped after it. It may be called on any goroutine that is not
// locked to a thread, while the loop calls the other methods. What happened on
// the loop before the bridge was handed over for a step must happen before it in
// the sense of the Go memory model, and Step must happen before Stepped: a
// channel does both.
//
// After Stop it does nothing. If Stop is called while it runs, Step ends the
// coroutine itself before it returns.
func (b *Bridge) Step() {
	if h := b.steps.Load(); h != nil {
		h.step()
	}
}

// Stepped takes over, on the loop, what a step has done, and returns what Receive
// would have returned: nil or an error that stays. What the step had to say is
// pending from then on. If the handshake has ended well, Stepped opens the octets
// that came behind it and calls open with each piece of plaintext in them, as
// Receive does.
//
// After Stop it need not be called, but may be.
func (b *Bridge) Stepped(open func(plain []byte) error) error {
	h := b.wire.hs
	if !b.held || h == nil {
		return b.err
	}
	switch h.turn.Load() {
	case turnStep:
		panic("tlsbridge: Stepped while Step runs")
	case turnStopped: // while the step ran, or it would have been forgotten
		b.forget()
	case turnDone:
		b.answered = b.answered || len(h.out) > 0
		rest := b.takeOver(h)
		if b.phase != established {
			break
		}
		if len(rest) > 0 {
			b.open(rest, open)
		}
		if more := h.kept.Swap(nil); more != nil && b.err == nil {
			b.open(*more, open)
		}
	}
	return b.err
}

// keep copies in for the next step.
func (b *Bridge) keep(in []byte) {
	h := b.wire.hs
	most := b.srv.maxHandshake
	if b.answered {
		most += earlyBytes
	}
	// A step that begins now finds nothing to do, which is all right: there is
	// another one due after it.
	kept := h.kept.Swap(nil)
	if kept == nil {
		kept = new([]byte)
	}
	if len(in) > most-len(*kept) {
		b.fail(ErrHandshakeTooLarge)
		if h.stop() {
			b.forget()
		}
		return
	}
	*kept = append(*kept, in...)
	h.kept.Store(kept)
}

// forget lets go of a handshake in which nothing runs any more.
func (b *Bridge) forget() {
	b.steps.Store(nil)
	if b.phase == stopped {
		b.wire.clear()
		return
	}
	b.wire.hs = nil
}
