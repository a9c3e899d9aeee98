package h2

import "github.com/h2loop/h2loop/frames"

func (c *Conn) recvSettings(h frames.Header, payload []byte) error {
	f, err := frames.ParseSettings(h, payload)
	if err != nil {
		return err
	}
	if f.Ack {
		return nil
	}
	// "The values in the SETTINGS frame MUST be processed in the order they
	// appear, with no other frame processing between values."
	// RFC 9113, Section 6.5.3.
	for i := range f.Len() {
		if err := c.recvSetting(f.At(i)); err != nil {
			return err
		}
	}
	c.peer.seen = true
	o := c.outbox()
	o.Scratch = frames.AppendSettingsAck(o.Scratch)
	return nil
}

func (c *Conn) recvSetting(s frames.Setting) error {
	if err := s.Validate(); err != nil {
		return err
	}
	switch s.ID {
	case frames.SettingHeaderTableSize:
		c.peer.headerTable = min(s.Value, headerTableSize)
		c.peer.minHeaderTable = min(c.peer.minHeaderTable, c.peer.headerTable)
		if c.codec != nil {
			c.codec.enc.SetMaxDynamicTableSize(c.peer.headerTable)
		}
	case frames.SettingInitialWindowSize:
		return c.recvInitialWindow(s.Value)
	case frames.SettingMaxFrameSize:
		c.peer.maxFrameSize = s.Value
	case frames.SettingMaxHeaderListSize:
		c.peer.maxHeaderListSz = s.Value
	case frames.SettingNoRFC7540Priorities:
		// "The value … MUST NOT change after the first SETTINGS frame."
		// RFC 9218, Section 2.1.
		if c.peer.seen && c.peer.noPriorities != (s.Value == 1) {
			return frames.ConnError{Code: frames.ErrCodeProtocol, Reason: "SETTINGS_NO_RFC7540_PRIORITIES changed", Section: "2.1 of RFC 9218"}
		}
		c.peer.noPriorities = s.Value == 1
	}
	// ENABLE_PUSH and MAX_CONCURRENT_STREAMS bind a server that pushes; we do
	// not. "An endpoint that receives a SETTINGS frame with any unknown or
	// unsupported identifier MUST ignore that setting." RFC 9113, Section 6.5.2.
	return nil
}

// recvInitialWindow moves every stream's window by the difference, which may
// take some below zero (RFC 9113, Section 6.9.2).
func (c *Conn) recvInitialWindow(size uint32) error {
	delta := int64(size) - int64(c.peer.initialWindow)
	c.peer.initialWindow = size
	for _, s := range c.streams.slots {
		if s == nil {
			continue
		}
		if !s.sendWindow.grow(delta) {
			return frames.ConnError{Code: frames.ErrCodeFlowControl, Reason: "SETTINGS_INITIAL_WINDOW_SIZE takes a stream window above 2^31-1", Section: "6.9.2"}
		}
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
		}
		return nil
	}
	o := c.outbox()
	o.Scratch = frames.AppendPing(o.Scratch, frames.Ping{Ack: true, Data: f.Data})
	return nil
}

func (c *Conn) recvGoAway(h frames.Header, payload []byte) error {
	if _, err := frames.ParseGoAway(h, payload); err != nil {
		return err
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
		// a socket holds. That is honest and costs nothing.
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
	s, err := c.streamFor(f.StreamID)
	if err != nil {
		return err
	}
	if s == nil {
		return nil // it crossed our END_STREAM or RST_STREAM
	}
	if !c.budget.reset(c.shared.Now) {
		return errTooManyResets
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
