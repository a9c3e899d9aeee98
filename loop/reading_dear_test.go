package loop

import (
	"bytes"
	"strconv"
	"testing"
	"time"

	"github.com/h2loop/h2loop/frames"
)

// TestDearStandInLine has three connections whose turns have taken long, of which one
// ends: one reads on in each round, in order, and what was asked for meanwhile is
// answered.
func TestDearStandInLine(t *testing.T) {
	srv := stressServe(t, Config{Loops: 1}, func(srv *Server) {
		srv.Handle("GET /", Static(200, "text/plain", []byte("small")))
	})
	var peers []*stressPeer
	var conns []*conn
	for range 4 {
		p := stressDial(t, srv, 1<<20)
		p.endOf(p.get("/"))
		peers, conns = append(peers, p), append(conns, stressConnOf(t, srv, p))
	}
	stressWait(t, "turns that were dear in earnest are over", func() (none bool) {
		stressOnLoop(t, srv, 0, func(l *eventLoop) { none = len(l.dear) == 0 })
		return none
	})
	stressOnLoop(t, srv, 0, func(l *eventLoop) {
		turn := func(c *conn, took time.Duration) {
			l.share.began = time.Since(l.srv.started) - took
			c.standInLine()
		}
		turn(conns[0], -time.Hour) // however slow this machine is
		if len(l.dear) != 0 {
			t.Error("a short turn is dear")
		}
		for range 2 {
			for _, c := range conns {
				turn(c, dearTurn)
			}
		}
		if len(l.dear) != 4 {
			t.Fatalf("%d stand in line, want 4, each once", len(l.dear))
		}
		l.hearDear()
		if conns[0].isDear || !conns[1].isDear || len(l.dear) != 3 {
			t.Error("the first is not the one that reads on")
		}
		conns[1].wire.close()
		l.hearDear() // passes over what has ended
		if conns[2].isDear || !conns[3].isDear || len(l.dear) != 1 {
			t.Error("the third is not next")
		}
		turn(conns[0], dearTurn) // again, behind the other
	})
	for i, p := range peers {
		if i != 1 {
			p.endOf(p.get("/"))
		}
	}
	stressWait(t, "nobody stands in line", func() (none bool) {
		stressOnLoop(t, srv, 0, func(l *eventLoop) { none = l.dear == nil })
		return none
	})
}

// TestDearUploads has callbacks that take long at every piece: what many send at once
// comes whole.
func TestDearUploads(t *testing.T) {
	const pieces, piece = 6, 8 << 10 // within the windows
	srv := stressServe(t, Config{Loops: 1}, func(srv *Server) {
		srv.Handle("POST /", func(x *Exchange) {
			n := 0
			_ = x.OnBody(func(x *Exchange, p []byte, end bool) {
				for began := time.Now(); time.Since(began) < dearTurn; {
				}
				if n += len(p); end {
					_ = x.SendString(200, strconv.Itoa(n))
				}
			})
		})
	})
	var peers []*stressPeer
	var ids []frames.StreamID
	for range 4 {
		p := stressDial(t, srv, 1<<20)
		b, id := p.headers("POST", "/", frames.FlagEndHeaders)
		for i := range pieces {
			var flags frames.Flags
			if i == pieces-1 {
				flags = frames.FlagEndStream
			}
			b = frames.AppendHeader(b, frames.Header{Length: piece, Type: frames.TypeData, Flags: flags, StreamID: id})
			b = append(b, make([]byte, piece)...)
		}
		p.write(b)
		peers, ids = append(peers, p), append(ids, id)
	}
	for i, p := range peers {
		if n := p.endOf(ids[i]); n != len(strconv.Itoa(pieces*piece)) {
			t.Errorf("an answer of %d octets", n)
		}
	}
}

// burn takes as long as a whole turn.
func burn() {
	for began := time.Now(); time.Since(began) < dearTurn; {
	}
}

// TestTurnEnds has many requests come at once that take long: so many of them are handled
// in a turn, the others in the next ones, in order, and all are answered.
func TestTurnEnds(t *testing.T) {
	const n = 3*sliceFrames + 5
	handled := 0 // on the loop
	srv := stressServe(t, Config{Loops: 1}, func(srv *Server) {
		srv.Handle("GET /", func(x *Exchange) {
			burn()
			handled++
			_ = x.SendString(200, "")
		})
	})
	p := stressDial(t, srv, 1<<20)
	p.endOf(p.get("/"))
	c := stressConnOf(t, srv, p)
	var b []byte
	var ids []frames.StreamID
	for range n {
		h, id := p.headers("GET", "/", frames.FlagEndHeaders|frames.FlagEndStream)
		b, ids = append(b, h...), append(ids, id)
	}
	stressOnLoop(t, srv, 0, func(l *eventLoop) {
		handled = 0
		l.beginTurn(true)
		c.receiveMessages(bytes.Clone(b[:len(b)-100]))
		if handled != sliceFrames || !c.hasRest() || l.nrests != 1 {
			t.Errorf("%d requests handled in a turn, and %d wait", handled, l.nrests)
		}
		c.receiveMessages(b[len(b)-100:]) // comes meanwhile, and stays behind them
		for turn := 2; c.hasRest(); turn++ {
			l.hearDear()
			if handled != min(turn*sliceFrames, n) {
				t.Errorf("after turn %d %d are handled", turn, handled)
			}
		}
		if handled != n || l.nrests != 0 || l.dear != nil || l.rests.Len() != 1 {
			t.Errorf("%d handled, %d held, %d in line", handled, l.nrests, len(l.dear))
		}
	})
	for _, id := range ids {
		p.endOf(id)
	}
	p.endOf(p.get("/")) // it is read from again
}

// TestTurnRests bounds what stands in line: without room everything is handled at once,
// and what a connection leaves that ends is given back.
func TestTurnRests(t *testing.T) {
	const n = 4 * sliceFrames
	handled := 0
	srv := stressServe(t, Config{Loops: 1}, func(srv *Server) {
		srv.Handle("GET /", func(x *Exchange) {
			burn()
			handled++
			_ = x.SendString(200, "")
		})
	})
	requests := func(p *stressPeer) (b []byte) {
		for range n {
			h, _ := p.headers("GET", "/", frames.FlagEndHeaders|frames.FlagEndStream)
			b = append(b, h...)
		}
		return b
	}
	var conns []*conn
	var peers []*stressPeer
	for range 3 {
		p := stressDial(t, srv, 1<<20)
		p.endOf(p.get("/"))
		peers, conns = append(peers, p), append(conns, stressConnOf(t, srv, p))
	}
	stressOnLoop(t, srv, 0, func(l *eventLoop) {
		handled = 0
		l.nrests = mostRests
		l.beginTurn(false)
		conns[0].receiveMessages(requests(peers[0]))
		l.nrests = 0
		if handled != n || conns[0].hasRest() {
			t.Errorf("%d handled where nothing can be kept, want %d", handled, n)
		}

		l.beginTurn(false)
		conns[1].receiveMessages(requests(peers[1]))
		if !conns[1].hasRest() {
			t.Fatal("nothing waits")
		}
		conns[1].wire.close()
		l.hearDear()
		if l.nrests != 0 || l.rests.Len() != 1 {
			t.Errorf("%d held for a connection that has ended", l.nrests)
		}

		handled = 0
		l.beginTurn(false)
		conns[2].receiveMessages(requests(peers[2]))
		conns[2].receiveMessages(make([]byte, 0))
		big := frames.AppendHeader(nil, frames.Header{Length: readSize, Type: 0xfa})
		conns[2].receiveMessages(append(big, make([]byte, readSize)...)) // more than there is room for
		if handled != n || conns[2].hasRest() || l.nrests != 0 {
			t.Errorf("%d handled, %d held", handled, l.nrests)
		}
	})
}
