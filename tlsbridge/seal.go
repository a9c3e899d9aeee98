package tlsbridge

import "net"

// Seal encrypts the concatenation of segs as records that are full but for the
// last one, behind what is already pending. It borrows segs.
//
// It returns an error before the end of the handshake, after CloseNotify, after
// Stop and after an error of TLS; the connection is to be closed then.
func (b *Bridge) Seal(segs [][]byte) error {
	switch b.phase {
	case established:
	case gathering, handshaking:
		return errHandshaking
	case failed:
		return b.err
	case stopped:
		return net.ErrClosed
	}
	total := 0
	for _, s := range segs {
		total += len(s)
	}
	if total == 0 {
		return nil
	}
	records := (total + MaxRecordPayload - 1) / MaxRecordPayload
	b.wire.reserve(total + records*recordOverhead)

	// crypto/tls makes at least one record of each Write, and cuts a long one
	// into full records itself. So what fills records where it lies goes there
	// directly, and the rest by way of stage.
	stage := b.wire.bufs.stage[:0]
	for i, s := range segs {
		for len(s) > 0 {
			if len(stage) == 0 {
				direct := len(s) - len(s)%MaxRecordPayload
				if i == len(segs)-1 {
					direct = len(s)
				}
				if direct > 0 {
					if _, err := b.conn.Write(s[:direct]); err != nil {
						return err
					}
					s = s[direct:]
					continue
				}
			}
			n := min(len(s), cap(stage)-len(stage))
			stage = append(stage, s[:n]...)
			s = s[n:]
			if len(stage) == cap(stage) {
				if _, err := b.conn.Write(stage); err != nil {
					return err
				}
				stage = stage[:0]
			}
		}
	}
	if len(stage) > 0 {
		_, err := b.conn.Write(stage)
		return err
	}
	return nil
}
