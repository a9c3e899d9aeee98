package h2

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/h2loop/h2loop/frames"
)

// TestRandomConversations lets a peer say, and an application do, anything in
// any order. The testConn sees that the rules are kept and that nothing is lost.
func TestRandomConversations(t *testing.T) {
	for seed := range uint64(150) {
		randomConversation(t, seed)
	}
}

// A randomTalk is one such conversation.
type randomTalk struct {
	*testConn
	rng  *rand.Rand
	next frames.StreamID
	bad  bool // the peer breaks rules
	busy int  // depth of callbacks, so that they do not recurse without end
}

func randomConversation(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 5))
	cfg := Config{MaxConcurrentStreams: 1 + rng.Uint32N(20), EnableConnectProtocol: seed%2 == 0}
	if rng.IntN(2) == 0 {
		cfg.StreamWindow, cfg.MaxStreamWindow, cfg.MaxUnread = 1+rng.Int32N(3000), 5000, 1+rng.IntN(5000)
		cfg.ConnWindow = 65535
	}
	tc := newRawConn(t, cfg, []int{0, 0, 16384, 500}[rng.IntN(4)])
	r := &randomTalk{testConn: tc, rng: rng, next: 1, bad: rng.IntN(3) == 0}
	tc.whole = true // random pieces are made here
	tc.app.hold = true
	tc.app.request = func(s *Stream) { r.act(s) }
	tc.app.body = func(s *Stream, p []byte, _ bool) {
		r.act(s)
		if rng.IntN(3) > 0 && tc.app.open[s] != 0 {
			tc.c.Consume(s, min(len(p), s.unread))
		}
	}
	tc.app.closed = func(s *Stream, _ error) {
		if other := r.any(); other != nil && rng.IntN(4) == 0 {
			r.act(other)
		}
	}
	r.say([]byte(Preface))
	r.say(settings())
	for range 400 {
		if tc.err != nil || tc.c.Finished() {
			break
		}
		switch rng.IntN(10) {
		case 0, 1:
			tc.room = rng.IntN(70000)
			tc.turn()
			tc.lines = nil
			tc.sh.Now += second
		case 2:
			if s := r.any(); s != nil {
				r.act(s)
			}
			checkConn(t, tc.c)
		default:
			r.say(r.frame())
		}
	}
	tc.errSeen = true
	tc.room = 1 << 20
	for range 3 {
		tc.turn()
	}
	if tc.err != nil && (tc.c.OpenStreams() != 0 || !tc.c.Finished()) {
		t.Errorf("seed %d: %v, and %d streams open", seed, tc.err, tc.c.OpenStreams())
	}
	tc.c.Close()
	checkClosed(t, tc.c)
	if t.Failed() {
		t.Fatalf("seed %d", seed)
	}
}

// say sends b in random pieces.
func (r *randomTalk) say(b []byte) {
	for len(b) > 0 && r.err == nil {
		n := min(len(b), 1+r.rng.IntN(40))
		if r.rng.IntN(3) == 0 {
			n = len(b)
		}
		r.recv(b[:n])
		b = b[n:]
	}
}

// any returns an open stream, or nil.
func (r *randomTalk) any() (found *Stream) {
	n := 0
	r.c.streams.each(func(s *Stream) {
		if n++; r.rng.IntN(n) == 0 && s.announced {
			found = s
		}
	})
	return found
}

func (r *randomTalk) anyID() frames.StreamID {
	if r.bad && r.rng.IntN(10) == 0 {
		return frames.StreamID(r.rng.Uint32N(uint32(r.next) + 20))
	}
	if s := r.any(); s != nil && r.rng.IntN(10) > 0 {
		return s.id
	}
	return 2*frames.StreamID(r.rng.Uint32N(uint32(r.next)/2+1)) + 1
}

// frame returns something for the peer to say.
func (r *randomTalk) frame() []byte {
	rng := r.rng
	id := r.anyID()
	opened := id < r.next
	switch rng.IntN(14) {
	case 0, 1, 2, 3:
		id = r.next
		r.next += 2 * frames.StreamID(1+rng.IntN(2))
		var extra []string
		if rng.IntN(2) == 0 {
			extra = append(extra, fmt.Sprintf("priority: u=%d%s", rng.IntN(8), []string{"", ", i"}[rng.IntN(2)]))
		}
		if rng.IntN(10) == 0 {
			extra = append(extra, "Malformed: yes")
		}
		if rng.IntN(10) == 0 {
			extra = append(extra, "content-length: 100")
		}
		block := r.block(requestFields("POST", extra)...)
		return headerFrames(id, rng.IntN(2) == 0, block, rng.IntN(len(block)+1), len(block))
	case 4, 5, 6:
		s := r.c.streams.get(id)
		inFlight := r.c.closed.wasReset(id) || r.bad && rng.IntN(4) == 0
		if s == nil && !inFlight {
			return ping("no data!")
		}
		n := rng.IntN(500)
		if rng.IntN(8) == 0 {
			n = 0
		}
		if !r.bad && s != nil {
			n = min(n, int(s.recvWindow.granted))
		}
		if !r.bad {
			n = min(n, int(r.c.recvWindow.granted))
		}
		f := frames.Data{StreamID: id, EndStream: rng.IntN(6) == 0}
		if n > 30 && rng.IntN(3) == 0 {
			f.Padded, f.PadLength = true, uint8(rng.IntN(25))
			n -= 1 + int(f.PadLength)
		}
		f.Data = []byte(strings.Repeat("d", max(n, 0)))
		return frames.AppendData(nil, f)
	case 7:
		if !opened && !r.bad {
			return nil
		}
		return rst(id, frames.ErrCodeCancel)
	case 8:
		if rng.IntN(2) == 0 || !opened && !r.bad {
			return windowUpdate(0, 1+rng.Uint32N(100000))
		}
		return windowUpdate(id, 1+rng.Uint32N(100000))
	case 9:
		// Not between these: two updates in a row, the first of which does not
		// empty the table, are beyond x/net's decoder.
		size := 4096 * rng.Uint32N(2)
		return settings(setting(frames.SettingInitialWindowSize, rng.Uint32N(100000)),
			setting(frames.SettingMaxFrameSize, 16384+rng.Uint32N(10000)), setting(frames.SettingHeaderTableSize, size))
	case 10:
		return priorityUpdate(id|1, fmt.Sprintf("u=%d%s", rng.IntN(8), []string{"", ", i"}[rng.IntN(2)]))
	case 11:
		return ping("12345678")
	case 12:
		if r.c.streams.get(id) == nil {
			return frames.AppendSettingsAck(nil)
		}
		return r.headers(id, rng.IntN(8) > 0, "x-trailer: "+fmt.Sprint(rng.IntN(3)))
	default:
		switch rng.IntN(40) {
		case 0:
			return frames.AppendGoAway(nil, frames.GoAway{})
		case 1, 2:
			return frames.AppendPing(nil, frames.Ping{Ack: true, Data: drainPing})
		case 3:
			if r.bad {
				return frame(frames.Type(rng.IntN(20)), frames.Flags(rng.Uint32()), id, strings.Repeat("\x00", rng.IntN(20)))
			}
		}
		return frame(0x33, 0, id, "unknown")
	}
}

// act has the application do something to s.
func (r *randomTalk) act(s *Stream) {
	if r.busy > 3 || r.app.open[s] == 0 {
		return
	}
	r.busy++
	defer func() { r.busy-- }()
	rng, c := r.rng, r.c
	end := rng.IntN(3) == 0
	fields := []Field{{Name: "x-field", Value: fmt.Sprint(rng.IntN(5))}, {Name: "x-secret", Value: "s", Sensitive: true}}
	switch rng.IntN(16) {
	case 0:
		_ = c.WriteHeaders(s, 103, fields, false)
	case 1, 2, 3:
		_ = c.WriteHeaders(s, 200, fields[:rng.IntN(3)], end)
	case 4, 5:
		_ = c.Write(s, make([]byte, rng.IntN(3000)), end)
	case 6:
		_ = c.WriteHeaders(s, 200, nil, false)
		fallthrough
	case 7:
		rel := r.release("region")
		if rng.IntN(4) == 0 {
			rel.then = func() {
				if other := r.any(); other != nil {
					r.act(other)
				}
			}
		}
		_ = c.WriteRegion(s, make([]byte, rng.IntN(60000)), rel, end)
	case 8, 9:
		_ = c.WriteHeaders(s, 200, nil, false)
		var pieces []string
		for range rng.IntN(6) {
			pieces = append(pieces, strings.Repeat("s", rng.IntN(2)*rng.IntN(30000)))
		}
		src := r.source(s.id, pieces...)
		src.during = func(src *testSource) {
			if other := r.any(); other != nil && rng.IntN(3) == 0 {
				r.act(other)
			}
		}
		if rng.IntN(8) == 0 {
			src.err = hpack.ErrInvalidHuffman // any error
		}
		_ = c.WriteSource(s, src)
	case 10:
		_ = c.WriteTrailers(s, fields[:rng.IntN(3)])
	case 11, 12:
		c.Resume(s)
	case 13:
		c.Consume(s, rng.IntN(s.unread+1))
	case 14:
		c.Reset(s, frames.ErrCodeCancel)
	case 15:
		switch rng.IntN(100) {
		case 0:
			c.GoAway(frames.ErrCodeNo, "")
		case 1:
			c.Close()
		case 2, 3, 4:
			c.Shutdown()
		}
	}
}
