package h2_test

import (
	"bytes"
	"fmt"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/h2"
)

// A greeter answers every request with its path.
type greeter struct{ conn *h2.Conn }

func (g greeter) Request(s *h2.Stream) {
	fmt.Println("request:", s.Request.Method, s.Request.Path)
	_ = g.conn.WriteHeaders(s, 200, []h2.Field{{Name: "content-type", Value: "text/plain"}}, false)
	_ = g.conn.Write(s, []byte("hello from "+s.Request.Path), true)
}

func (g greeter) Body(s *h2.Stream, p []byte, _ bool) { g.conn.Consume(s, len(p)) }

func (g greeter) Closed(s *h2.Stream, err error) { fmt.Println("closed:", s.ID(), err) }

// A connection without any I/O: octets in, octets out.
func Example() {
	var conn h2.Conn
	conn.Init(h2.NewShared(h2.Config{}), greeter{&conn}, 0)

	// What a client sends: its preface, SETTINGS, and a GET in four indexed
	// fields and a literal one.
	received := h2.Preface +
		"\x00\x00\x00\x04\x00\x00\x00\x00\x00" +
		"\x00\x00\x0e\x01\x05\x00\x00\x00\x01" + "\x82\x87\x85" + "\x01\x09a.example"

	conn.SetRoom(64 << 10)
	if err := conn.Receive([]byte(received)); err != nil {
		fmt.Println(err)
	}
	conn.Fill()
	out := bytes.Join(conn.Pending(), nil) // one writev
	conn.Flushed()

	for len(out) > 0 {
		h, _ := frames.ParseHeader(out)
		end := frames.HeaderLen + int(h.Length)
		fmt.Println(frames.Describe(h, out[frames.HeaderLen:end]))
		out = out[end:]
	}
	conn.Close()
	// Output:
	// request: GET /index.html
	// closed: 1 <nil>
	// SETTINGS stream=0 len=24 MAX_CONCURRENT_STREAMS=250 INITIAL_WINDOW_SIZE=262144 MAX_HEADER_LIST_SIZE=65536 NO_RFC7540_PRIORITIES=1
	// WINDOW_UPDATE stream=0 len=4 increment=983041
	// SETTINGS stream=0 len=0 ACK
	// HEADERS stream=1 len=11 END_HEADERS fragment=11
	// DATA stream=1 len=22 END_STREAM
}
