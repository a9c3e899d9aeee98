package loop

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"testing"

	"golang.org/x/net/http2/hpack"
	"golang.org/x/sys/unix"

	"github.com/h2loop/h2loop/frames"
)

// stressMallocs returns how many objects this process has allocated while f
// ran, and their octets.
func stressMallocs(f func()) (objects, octets uint64) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs, after.TotalAlloc - before.TotalAlloc
}

// stressAllocsPerRun is testing.AllocsPerRun for what takes two threads: the
// server's loop and the client, who talk through a socket. Like it, it rounds
// down: the ticks of the server's clock, ten a second, allocate.
func stressAllocsPerRun(t *testing.T, runs int, allowed uint64, f func()) {
	t.Helper()
	if stressRace {
		runs /= 10
	}
	for range 100 {
		f() // into steady state
	}
	objects, octets := stressMallocs(func() {
		for range runs {
			f()
		}
	})
	t.Logf("%d allocations of %d octets in %d runs", objects, octets, runs)
	if objects/uint64(runs) > allowed && !stressRace {
		t.Errorf("%d allocations in %d runs, want %d a run", objects, runs, allowed)
	}
}

// TestAllocSmallGet counts the allocations of a small GET whose header block
// refers to the table alone: received, routed, answered and written through
// gnet to a socket.
func TestAllocSmallGet(t *testing.T) {
	hello := []byte("Hello, World!")
	srv := stressServe(t, Config{}, func(srv *Server) {
		srv.Handle("GET /static", Static(200, "text/plain", hello))
		srv.Handle("GET /string", func(x *Exchange) { _ = x.SendString(200, "Hello, World!") })
		ended := func() {}
		srv.Handle("GET /done", func(x *Exchange) {
			_ = x.OnDone(ended)
			_ = x.SendString(200, "Hello, World!")
		})
		srv.Handle("GET /send/{name}", func(x *Exchange) {
			if x.PathValue("name") == "octets" {
				_ = x.Send(200, hello)
			}
		})
	})
	for _, path := range []string{"/static", "/string", "/done", "/send/octets"} {
		t.Run(path[1:], func(t *testing.T) {
			p := stressDial(t, srv, 1<<30)
			first, id := p.request(path)
			p.write(first)
			p.endOf(id)
			req, id := p.request(path) // every field is in the table now
			if len(req) > frames.HeaderLen+6 {
				t.Fatalf("the header block has %d octets: not fully indexed", len(req)-frames.HeaderLen)
			}
			p.write(req)
			p.endOf(id)
			stressAllocsPerRun(t, 5000, 0, func() {
				id += 2
				binary.BigEndian.PutUint32(req[5:], uint32(id))
				p.write(req)
				p.endOf(id)
			})
		})
	}
}

// TestAllocHTTP1Get counts the allocations of a small GET over HTTP/1.1 on a
// connection that is kept.
func TestAllocHTTP1Get(t *testing.T) {
	srv := stressServe(t, Config{}, func(srv *Server) {
		srv.Handle("GET /static", Static(200, "text/plain", []byte("Hello, World!")))
		srv.Handle("GET /send/{name}", func(x *Exchange) { _ = x.SendString(200, x.PathValue("name")) })
	})
	for _, path := range []string{"/static", "/send/octets"} {
		t.Run(path[1:], func(t *testing.T) {
			fd := stressSocket(t)
			stressConnect(t, fd, srv.Addrs()[0])
			request := []byte("GET " + path + " HTTP/1.1\r\nHost: localhost:8080\r\n\r\n")
			var answer [512]byte
			stressAllocsPerRun(t, 5000, 0, func() {
				if _, err := unix.Write(fd, request); err != nil {
					t.Fatal(err)
				}
				n, err := unix.Read(fd, answer[:])
				for err == unix.EINTR {
					n, err = unix.Read(fd, answer[:])
				}
				if err != nil || !bytes.HasPrefix(answer[:n], []byte("HTTP/1.1 200 ")) {
					t.Fatalf("%q, %v", answer[:n], err)
				}
			})
			_ = unix.Close(fd)
		})
	}
}

// TestAllocHooks counts the allocations of a small GET with a path value and a field
// of the response, behind middleware, of which hooks are told.
func TestAllocHooks(t *testing.T) {
	var done, sent int64 // for the loop only
	srv := stressServe(t, Config{Hooks: Hooks{
		RequestDone: func(_ *Exchange, d RequestInfo) { done, sent = done+1, sent+d.Sent },
	}}, func(srv *Server) {
		srv.Use(func(next Handler) Handler { return func(x *Exchange) { next(x) } })
		srv.Handle("GET /items/{id}", func(x *Exchange) {
			_ = x.SetHeader("x-item", x.PathValue("id"))
			_ = x.SendString(200, "Hello, World!")
		})
	})
	p := stressDial(t, srv, 1<<30)
	first, id := p.request("/items/7")
	p.write(first)
	p.endOf(id)
	req, id := p.request("/items/7")
	p.write(req)
	p.endOf(id)
	stressAllocsPerRun(t, 5000, 0, func() {
		id += 2
		binary.BigEndian.PutUint32(req[5:], uint32(id))
		p.write(req)
		p.endOf(id)
	})
	stressOnLoop(t, srv, 0, func(*eventLoop) {
		if done < 500 || sent != 13*done {
			t.Errorf("told of %d requests and %d octets", done, sent)
		}
	})
}

// TestAllocPathNotIndexed counts the allocations of a small GET from a client
// that never puts :path into the table, as nghttp2 does not: its octets alone.
func TestAllocPathNotIndexed(t *testing.T) {
	srv := stressServe(t, Config{}, func(srv *Server) {
		srv.Handle("GET /static", Static(200, "text/plain", []byte("Hello, World!")))
	})
	p := stressDial(t, srv, 1<<30)
	first, id := p.request("/static", "user-agent", "test")
	p.write(first)
	p.endOf(id)
	p.block.Reset()
	for _, f := range []hpack.HeaderField{
		{Name: ":method", Value: "GET"},
		{Name: ":scheme", Value: "http"},
		{Name: ":authority", Value: "localhost"},
		{Name: ":path", Value: "/static", Sensitive: true},
		{Name: "user-agent", Value: "test"},
	} {
		if err := p.enc.WriteField(f); err != nil {
			t.Fatal(err)
		}
	}
	req := append(first[:frames.HeaderLen:frames.HeaderLen], p.block.Bytes()...)
	req[2] = byte(p.block.Len())
	stressAllocsPerRun(t, 5000, 1, func() {
		id += 2
		binary.BigEndian.PutUint32(req[5:], uint32(id))
		p.write(req)
		p.endOf(id)
	})
}

// TestAllocWindowUpdate counts the allocations of a WINDOW_UPDATE that lets a
// stream send one more DATA frame, and of that frame.
func TestAllocWindowUpdate(t *testing.T) {
	const grant = 4 << 10
	srv := stressServe(t, Config{}, func(srv *Server) {
		srv.Handle("GET /big", Static(200, "text/plain", make([]byte, 64<<20)))
	})
	p := stressDial(t, srv, 0)
	id := p.get("/big")
	p.ping()
	update := frames.AppendWindowUpdate(nil, frames.WindowUpdate{StreamID: id, Increment: grant})
	update = frames.AppendWindowUpdate(update, frames.WindowUpdate{Increment: grant})
	stressAllocsPerRun(t, 5000, 0, func() {
		p.write(update)
		for n := 0; n < grant; {
			if h, _ := p.frame(); h.Type == frames.TypeData {
				n += int(h.Length)
			}
		}
	})
}

// TestAllocPing counts the allocations of a PING and its answer.
func TestAllocPing(t *testing.T) {
	srv := stressServe(t, Config{}, func(*Server) {})
	p := stressDial(t, srv, 1<<20)
	ping := frames.AppendPing(nil, frames.Ping{Data: [8]byte{1}})
	stressAllocsPerRun(t, 5000, 0, func() {
		p.write(ping)
		for {
			if h, _ := p.frame(); h.Type == frames.TypePing {
				return
			}
		}
	})
}

// TestAllocUpload counts the allocations of a DATA frame of a request body, and
// of the credit that goes back for it.
func TestAllocUpload(t *testing.T) {
	srv := stressServe(t, Config{}, func(srv *Server) {
		srv.Handle("POST /up", func(x *Exchange) {
			_ = x.OnBody(func(*Exchange, []byte, bool) {})
		})
	})
	p := stressDial(t, srv, 1<<20)
	req, id := p.headers("POST", "/up", 0)
	p.write(req)
	data := frames.AppendData(nil, frames.Data{StreamID: id, Data: make([]byte, 8<<10)})
	out := frames.AppendPing(data, frames.Ping{Data: [8]byte{1}})
	stressAllocsPerRun(t, 5000, 0, func() {
		p.write(out)
		for {
			if h, _ := p.frame(); h.Type == frames.TypePing {
				return
			}
		}
	})
}

// TestAllocLargeBody counts what the DATA frames of a large body cost. All that
// a batch allocates is the iovec array of x/sys/unix, which that makes by
// appending to one of eight elements: nothing for eight segments and fewer.
func TestAllocLargeBody(t *testing.T) {
	const size = 64 << 20
	const perFrame = 16 << 10
	body := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	srv := stressServe(t, Config{}, func(srv *Server) {
		srv.Handle("GET /big", Static(200, "text/plain", body))
	})
	p := stressDial(t, srv, 1<<30)
	c := stressConnOf(t, srv, p)
	var spy *stressSpy
	stressOnLoop(t, srv, 0, func(*eventLoop) { spy = stressSpyOn(c) })
	p.endOf(p.get("/big")) // into steady state

	stressOnLoop(t, srv, 0, func(*eventLoop) { *spy = stressSpy{Conn: spy.Conn, loop: spy.loop} })
	req, id := p.request("/big")
	objects, octets := stressMallocs(func() {
		p.write(req)
		if n := p.endOf(id); n != size {
			t.Errorf("body of %d octets, want %d", n, size)
		}
	})
	stressOnLoop(t, srv, 0, func(*eventLoop) {
		segments, expected := 0, 0
		for n, calls := range spy.bySegs {
			segments += n * calls
			expected += stressIovecAllocs(n) * calls
		}
		t.Logf("%d DATA frames in %d writes of %d segments and %d octets each; %d allocations of %d octets, of which x/sys/unix makes %d",
			size/perFrame, spy.writes, segments/spy.writes, spy.octets/spy.writes, objects, octets, expected)
		// The clock ticks, and where the socket was full in spite of all, which
		// is more often on a busy machine, gnet has copied what is left of a
		// batch. One allocation a frame would be far more.
		const slack = size / perFrame / 8
		if !stressRace && int(objects) > expected+slack {
			t.Errorf("%d allocations, want the %d of x/sys/unix", objects, expected)
		}
	})
}

// stressIovecAllocs returns how often an array of eight grows until it has n
// elements.
func stressIovecAllocs(n int) (allocs int) {
	iovecs := make([]unix.Iovec, 0, 8)
	for range n {
		before := cap(iovecs)
		iovecs = append(iovecs, unix.Iovec{})
		if cap(iovecs) != before {
			allocs++
		}
	}
	return allocs
}
