package h2

import "github.com/h2loop/h2loop/frames"

func (c *Conn) recvSettings(h frames.Header, payload []byte) error {
	f, err := frames.ParseSettings(h, payload)
	if err != nil {
		return err
	}
	if f.Ack {
		return c.recvSettingsAck()
	}
	// "The values in the SETTINGS frame MUST be processed in the order they
	// appear, with no other frame processing between values."
	// RFC 9113, Section 6.5.3.
	before := c.peer.initialWindow
	largest := before
	for i := range f.Len() {
		if err := c.recvSetting(f.At(i)); err != nil {
			return err
		}
		largest = max(largest, c.peer.initialWindow)
	}
	// One frame may change the initial window two thousand times: the streams
	// are visited once.
	if err := c.moveWindows(before, largest, c.peer.initialWindow); err != nil {
		return err
	}
	c.peer.seen = true
	if err := c.answer(); err != nil {
		return err
	}
	o := c.outbox()
	o.Scratch = frames.AppendSettingsAck(o.Scratch)
	return nil
}

// recvSettingsAck takes the acknowledgement of the one SETTINGS frame we send.
func (c *Conn) recvSettingsAck() error {
	if c.peer.acked {
		return c.recvUseless()
	}
	c.peer.acked = true
	if early := c.earlyCredit(); early > 0 {
		for _, s := range c.streams.slots {
			if s != nil {
				s.recvWindow.granted -= early
			}
		}
	}
	return nil
}

// earlyCredit returns by how much the window that a peer may use before it has
// seen our SETTINGS is larger than the one they ask for.
func (c *Conn) earlyCredit() int32 { return max(0, initialWindow-c.cfg.StreamWindow) }

func (c *Conn) recvSetting(s frames.Setting) error {
	if err := s.Validate(); err != nil {
		return err
	}
	switch s.ID {
	case frames.SettingHeaderTableSize:
		c.peer.headerTable = min(s.Value, c.cfg.EncoderTableSize)
		c.peer.minHeaderTable = min(c.peer.minHeaderTable, c.peer.headerTable)
		if c.codec != nil && c.codec.enc != nil {
			c.codec.enc.SetMaxDynamicTableSize(c.peer.headerTable)
			c.codec.memos.forget()
		}
	case frames.SettingInitialWindowSize:
		c.peer.initialWindow = s.Value
	case frames.SettingMaxFrameSize:
		c.peer.maxFrameSize = s.Value
	case frames.SettingNoRFC7540Priorities:
		// "The value … MUST NOT change after the first SETTINGS frame."
		// RFC 9218, Section 2.1.
		if c.peer.seen && c.peer.noPriorities != (s.Value == 1) {
			return frames.ConnError{Code: frames.ErrCodeProtocol, Reason: "SETTINGS_NO_RFC7540_PRIORITIES changed", Section: "RFC 9218, Section 2.1"}
		}
		c.peer.noPriorities = s.Value == 1
	default:
		// ENABLE_PUSH and MAX_CONCURRENT_STREAMS bind a server that pushes; we
		// do not; MAX_HEADER_LIST_SIZE is advice. "An endpoint that receives a SETTINGS frame with any unknown
		// or unsupported identifier MUST ignore that setting."
		// RFC 9113, Section 6.5.2.
	}
	return nil
}

// moveWindows moves every stream's window as the initial one moved: from before,
// by way of largest, to after. Some may fall below zero; none may rise above
// 2^31-1, not even on the way (RFC 9113, Section 6.9.2).
func (c *Conn) moveWindows(before, largest, after uint32) error {
	if before == after && before == largest {
		return nil
	}
	for _, s := range c.streams.slots {
		if s == nil {
			continue
		}
		if !s.sendWindow.grow(int64(largest) - int64(before)) {
			return frames.ConnError{Code: frames.ErrCodeFlowControl, Reason: "SETTINGS_INITIAL_WINDOW_SIZE takes a stream window above 2^31-1", Section: "6.9.2"}
		}
		s.sendWindow.grow(int64(after) - int64(largest))
		c.schedule(s)
	}
	return nil
}

func (c *Conn) recvPing(h frames.Header, payload []byte) error {
	f, err := frames.ParsePing(h, payload)
	if err != nil {
		return err
	}
	if f.Ack {
		if c.life == lifeGoingAway && f.Data == drainPing {
			c.sendLastGoAway("shutting down")
			return nil
		}
		return c.recvUseless() // those that keepalive asks for are few
	}
	if err := c.answer(); err != nil {
		return err
	}
	o := c.outbox()
	o.Scratch = frames.AppendPing(o.Scratch, frames.Ping{Ack: true, Data: f.Data})
	return nil
}

func (c *Conn) recvGoAway(h frames.Header, payload []byte) error {
	if _, err := frames.ParseGoAway(h, payload); err != nil {
		return err
	}
	if c.life >= lifeDraining {
		return c.recvUseless()
	}
	// The peer opens no more streams; those that are open go on. An orderly
	// answer is to leave too when they are done.
	c.sendLastGoAway("")
	return nil
}

func (c *Conn) recvWindowUpdate(h frames.Header, payload []byte) error {
	f, err := frames.ParseWindowUpdate(h, payload)
	if err != nil {
		return err
	}
	if err := c.chargeGrant(); err != nil {
		return err
	}
	if f.StreamID == 0 {
		if !c.sendWindow.grow(int64(f.Increment)) {
			return frames.ConnError{Code: frames.ErrCodeFlowControl, Reason: "connection window above 2^31-1", Section: "6.9.1"}
		}
		return nil
	}
	s, err := c.streamFor(f.StreamID)
	if err != nil {
		return err
	}
	if s == nil {
		// The stream has closed here while the peer still reads what it was
		// sent: x/net's client grants every 4 KiB, a thousand times for what
		// a socket holds.
		return nil
	}
	if !s.sendWindow.grow(int64(f.Increment)) {
		return frames.StreamError{StreamID: f.StreamID, Code: frames.ErrCodeFlowControl, Reason: "stream window above 2^31-1", Section: "6.9.1"}
	}
	c.schedule(s)
	return nil
}

func (c *Conn) recvRSTStream(h frames.Header, payload []byte) error {
	f, err := frames.ParseRSTStream(h, payload)
	if err != nil {
		return err
	}
	c.shared.ResetsReceived++
	s, err := c.streamFor(f.StreamID)
	if err != nil {
		return err
	}
	if s == nil {
		return c.recvUseless() // it crossed our END_STREAM or RST_STREAM
	}
	if err := c.chargeReset(); err != nil {
		return err
	}
	c.closed.addEnded(s.id)
	c.closeStream(s, ErrPeerReset)
	return nil
}

// recvPriority checks and ignores a PRIORITY frame: the scheme of RFC 7540 is
// deprecated (RFC 9113, Section 5.3.2).
func (c *Conn) recvPriority(h frames.Header, payload []byte) error {
	if _, err := frames.ParsePriority(h, payload); err != nil {
		return err
	}
	return c.recvUseless()
}
