package loop

import (
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
	stressOnLoop(t, srv, 0, func(l *eventLoop) {
		conns[0].standInLine(time.Now())
		if len(l.dear) != 0 {
			t.Error("a short turn is dear")
		}
		for range 2 {
			for _, c := range conns {
				c.standInLine(time.Now().Add(-dearTurn))
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
		conns[0].standInLine(time.Now().Add(-dearTurn)) // again, behind the other
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
