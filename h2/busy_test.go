package h2

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/h2loop/h2loop/frames"
)

// A busyPeer does much on one connection, with time that is passed in.
type busyPeer struct {
	*testConn
	next frames.StreamID
}

// id returns the identifier of a new stream.
func (p *busyPeer) id() frames.StreamID {
	p.next += 2
	if p.next%64 == 1 {
		p.read()
	}
	return p.next - 2
}

// read takes a turn and forgets what has come of it.
func (p *busyPeer) read() {
	p.t.Helper()
	p.turn()
	p.app.events, p.lines = nil, nil
}

// cancel opens a stream and gives it up.
func (p *busyPeer) cancel() {
	answer := p.app.request
	p.app.request = nil
	i := p.id()
	p.recv(p.get(i), rst(i, frames.ErrCodeCancel))
	p.app.request = answer
}

// stream opens a stream whose answer has begun.
func (p *busyPeer) open(extra ...string) *Stream {
	p.t.Helper()
	answer := p.app.request
	p.app.request = func(s *Stream) { mustDo(p.t, p.c.WriteHeaders(s, 200, nil, false)) }
	i := p.id()
	p.recv(p.post(i, extra...))
	p.app.request = answer
	p.read()
	return p.stream(i)
}

// TestBusyClients plays clients that are busy in the ways of browsers, proxies and
// gRPC, none of which is cut; and beside each its twin, which does much the same
// for no good, and is.
func TestBusyClients(t *testing.T) {
	const message = "\x00\x00\x00\x00\x00" // of gRPC, and empty
	for _, tt := range []struct {
		name   string
		honest func(p *busyPeer)
		twin   string
		abuse  func(p *busyPeer) // again and again
		limit  Limit
	}{
		{
			name: "a browser cancels thousands of images, and gets as many",
			honest: func(p *busyPeer) {
				for range 5000 {
					p.cancel()
					p.recv(p.get(p.id()))
					p.sh.Now += 20 * time.Millisecond
				}
			},
			twin:  "gets none",
			abuse: func(p *busyPeer) { p.cancel(); p.sh.Now += 20 * time.Millisecond },
			limit: LimitResets,
		},
		{
			name: "a map is moved: a hundred cancels at once, every ten seconds",
			honest: func(p *busyPeer) {
				for range 360 {
					for range 100 {
						p.cancel()
					}
					p.sh.Now += 10 * second
				}
			},
			twin: "every second",
			abuse: func(p *busyPeer) {
				for range 100 {
					if p.err == nil {
						p.cancel()
					}
				}
				p.sh.Now += second
			},
			limit: LimitResets,
		},
		{
			name: "gRPC sends and gets a hundred thousand messages of five octets",
			honest: func(p *busyPeer) {
				s := p.open("content-type: application/grpc")
				for range 100_000 {
					p.recv(data(s.id, message))
					mustDo(p.t, p.c.Write(s, []byte(message), false))
					p.turn()
					p.recv(windowUpdate(s.id, 5), windowUpdate(0, 5))
					p.read()
				}
			},
			twin: "that nobody reads",
			abuse: func(p *busyPeer) {
				p.app.hold = true
				if p.next == 1 {
					p.open("content-type: application/grpc")
				}
				p.recv(data(1, message))
			},
			limit: LimitNoise,
		},
		{
			name: "an upload comes in chunks of up to 16 octets",
			honest: func(p *busyPeer) {
				s := p.open()
				for n := range 20_000 {
					p.recv(data(s.id, "0123456789abcdef"[:1+n%16]))
					if n%1000 == 0 {
						p.read()
					}
				}
			},
			twin: "of none",
			abuse: func(p *busyPeer) {
				if p.next == 1 {
					p.open()
				}
				p.recv(data(1, ""))
			},
			limit: LimitNoise,
		},
		{
			name: "small DATA is granted anew, frame by frame, on both windows",
			honest: func(p *busyPeer) {
				s := p.open()
				for range 20_000 {
					mustDo(p.t, p.c.Write(s, []byte("tick"), false))
					p.turn()
					p.recv(windowUpdate(s.id, 4), windowUpdate(0, 4))
					p.read()
				}
			},
			twin:  "windows are enlarged for nothing",
			abuse: func(p *busyPeer) { p.recv(windowUpdate(0, 4)) },
			limit: LimitNoise,
		},
		{
			name: "a download is granted every 4 KiB, on both windows, also behind its end",
			honest: func(p *busyPeer) {
				body := make([]byte, 60<<10)
				for range 500 {
					s := p.open()
					id := s.id
					mustDo(p.t, p.c.WriteRegion(s, body, nil, true))
					p.read()
					for range len(body) / (4 << 10) {
						p.recv(windowUpdate(id, 4<<10), windowUpdate(0, 4<<10))
					}
				}
			},
			twin: "octet by octet, so that it has to be sent like that",
			abuse: func(p *busyPeer) {
				if p.next == 1 {
					mustDo(p.t, p.c.WriteRegion(p.open(), make([]byte, 1<<20), nil, true))
					p.read()
				}
				p.recv(windowUpdate(1, 1), windowUpdate(0, 1))
				p.turn()
				p.sh.Now += time.Millisecond
			},
			limit: LimitNoise,
		},
		{
			name: "PING comes every second for five hours",
			honest: func(p *busyPeer) {
				for range 5 * 3600 {
					p.recv(ping("12345678"))
					p.read()
					p.sh.Now += second
				}
			},
			twin:  "and the answers are not read",
			abuse: func(p *busyPeer) { p.recv(ping("12345678")); p.sh.Now += second },
			limit: LimitAnswers,
		},
		{
			name: "SETTINGS come every second for five hours",
			honest: func(p *busyPeer) {
				for i := range 5 * 3600 {
					p.recv(settings(setting(frames.SettingInitialWindowSize, uint32(65535+i))))
					p.read()
					p.sh.Now += second
				}
			},
			twin:  "and the answers are not read",
			abuse: func(p *busyPeer) { p.recv(settings()); p.sh.Now += second },
			limit: LimitAnswers,
		},
		{
			name: "a browser loads pages of a hundred images, and sorts them again as they scroll by",
			honest: func(p *busyPeer) {
				for range 20 {
					var images []*Stream
					for range 100 {
						p.recv(priorityUpdate(p.next, "u=5")) // before its HEADERS
						images = append(images, p.open("priority: u=5"))
					}
					for u := range 4 {
						for _, s := range images {
							p.recv(priorityUpdate(s.id, fmt.Sprintf("u=%d", 4-u)))
						}
					}
					for _, s := range images {
						s.state.on(recvEnd)
						mustDo(p.t, p.c.Write(s, []byte("image"), true))
					}
					p.read()
				}
			},
			twin: "one image is moved back and forth",
			abuse: func(p *busyPeer) {
				if p.next == 1 {
					p.open()
				}
				p.recv(priorityUpdate(1, "u=1"))
				if p.err == nil {
					p.recv(priorityUpdate(1, "u=2"))
				}
			},
			limit: LimitNoise,
		},
		{
			name: "requests have 60 KiB of header fields, in a hundred CONTINUATION frames",
			honest: func(p *busyPeer) {
				for range 100 {
					block := p.block(requestFields("GET", []string{"cookie: " + strings.Repeat("x", 60_000)})...)
					cuts := make([]int, 100)
					for i := range cuts {
						cuts[i] = (i + 1) * len(block) / 101
					}
					p.recv(headerFrames(p.id(), true, block, cuts...))
				}
			},
			twin: "that say nothing and do not end",
			abuse: func(p *busyPeer) {
				if p.next == 1 {
					p.recv(frames.AppendHeaders(nil, frames.Headers{StreamID: p.id()}))
				}
				p.recv(frames.AppendContinuation(nil, frames.Continuation{StreamID: 1}))
			},
			limit: LimitContinuations,
		},
	} {
		newPeer := func(t *testing.T) *busyPeer {
			tc := newTestConn(t, Config{})
			tc.whole = true
			tc.answer("x")
			return &busyPeer{tc, 1}
		}
		t.Run(tt.name, func(t *testing.T) {
			p := newPeer(t)
			tt.honest(p)
			if p.err != nil {
				t.Fatalf("cut: %v", p.err)
			}
			p.drain()
			for l, n := range p.sh.Crossed {
				if n != 0 {
					t.Errorf("%s crossed %d times", Limit(l), n)
				}
			}
		})
		t.Run(tt.twin, func(t *testing.T) {
			p := newPeer(t)
			for range 20_000 {
				if p.err != nil {
					break
				}
				tt.abuse(p)
			}
			p.wantConnError("the twin is cut", frames.ErrCodeEnhanceYourCalm)
			p.wantCrossed(tt.limit, 1)
		})
	}
}
