package main

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // RFC 6455 has it so
	"encoding/base64"
	"errors"
	"io"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/loop"
)

// A socket is the server's end of a WebSocket (RFC 6455). It belongs to the loop of
// its exchange, but for do. Frames are read as they come, by what is on the loop
// anyway: a socket on which nothing happens costs no goroutine and no buffer.
type socket struct {
	onMessage func(text string)
	onEnd     func() // called once

	async   loop.Async
	stream  *loop.Stream
	state   ws.State
	most    int    // octets of a message
	in      []byte // what has come of the next frame
	message []byte // what has come of it in frames before
	alive   bool   // something has come since the last ping
	ended   bool
}

var (
	errVersion = errors.New("this is for version 13 of the WebSocket protocol")
	errOrigin  = errors.New("the page is from elsewhere")
	errKey     = errors.New("Sec-WebSocket-Key is not of 16 octets")
)

// acceptSocket switches to the WebSocket protocol, or answers why not.
func acceptSocket(x *loop.Exchange, most int) (*socket, error) {
	if x.Header("sec-websocket-version") != "13" {
		_ = x.SetHeader("sec-websocket-version", "13")
		_ = x.SendError(426, errVersion.Error())
		return nil, errVersion
	}
	// A browser says whose page it is that asks, and asks with the user's cookies.
	if origin := x.Header("origin"); origin != "" {
		if u, err := url.Parse(origin); err != nil || !strings.EqualFold(u.Host, x.Host()) {
			_ = x.SendError(403, errOrigin.Error())
			return nil, errOrigin
		}
	}
	if x.Proto() != "HTTP/2.0" { // which has no need of it: RFC 8441, Section 5
		key := x.Header("sec-websocket-key")
		if nonce, err := base64.StdEncoding.DecodeString(key); err != nil || len(nonce) != 16 {
			_ = x.SendError(400, errKey.Error())
			return nil, errKey
		}
		sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // as above
		_ = x.SetHeader("sec-websocket-accept", base64.StdEncoding.EncodeToString(sum[:]))
	}
	s := &socket{onEnd: func() {}, async: x.Async(), state: ws.StateServerSide, most: most, alive: true}
	if err := x.OnAbort(func(error) { s.end() }); err != nil {
		return nil, err
	}
	stream, err := x.Switch()
	if err != nil {
		return nil, err
	}
	s.stream = stream
	return s, nil
}

// begin reads what the client sends, which it may have ended already.
func (s *socket) begin(x *loop.Exchange) { _ = x.OnBody(s.receive) }

// do calls f on the loop of s, unless s has ended by then. It may be called from
// anywhere.
func (s *socket) do(f func()) {
	_ = s.async.Do(func(x *loop.Exchange) {
		if x != nil && !s.ended {
			f()
		}
	})
}

// receive takes what the client has sent.
func (s *socket) receive(_ *loop.Exchange, p []byte, end bool) {
	s.alive = true
	s.in = append(s.in, p...)
	rest := s.in
	for !s.ended {
		n := s.receiveFrame(rest)
		if n == 0 {
			break
		}
		rest = rest[n:]
	}
	if s.in = append(s.in[:0], rest...); len(rest) == 0 || s.ended {
		s.in = nil
	}
	if end && !s.ended { // without a closing handshake
		s.end()
		_ = s.stream.Close()
	}
}

// receiveFrame takes the frame that b begins with, and returns its length, or 0 if it
// is not there as a whole.
func (s *socket) receiveFrame(b []byte) int {
	h, err := ws.ReadHeader(bytes.NewReader(b))
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return 0
	case err == nil:
		err = ws.CheckHeader(h, s.state)
	}
	switch {
	case err != nil:
		s.close(ws.StatusProtocolError, err.Error())
		return 0
	case h.Length > int64(s.most-len(s.message)) && h.OpCode.IsData():
		s.close(ws.StatusMessageTooBig, "the message is too long")
		return 0
	}
	at := ws.HeaderSize(h)
	end := at + int(h.Length)
	if len(b) < end {
		return 0
	}
	payload := b[at:end]
	ws.Cipher(payload, h.Mask, 0)
	s.onFrame(h, payload)
	return end
}

func (s *socket) onFrame(h ws.Header, payload []byte) {
	switch h.OpCode {
	case ws.OpPing:
		s.send(ws.MustCompileFrame(ws.NewPongFrame(payload)))
	case ws.OpPong:
	case ws.OpClose:
		s.onClose(payload)
	case ws.OpBinary:
		s.close(ws.StatusUnsupportedData, "this is for text")
	case ws.OpText, ws.OpContinuation:
		s.message = append(s.message, payload...)
		if !h.Fin {
			s.state = s.state.Set(ws.StateFragmented)
			return
		}
		text := string(s.message)
		s.message, s.state = nil, s.state.Clear(ws.StateFragmented)
		if !utf8.ValidString(text) {
			s.close(ws.StatusInvalidFramePayloadData, "text is UTF-8")
			return
		}
		s.onMessage(text)
	}
}

// onClose ends s as the client wishes, with the same code.
func (s *socket) onClose(payload []byte) {
	if len(payload) == 0 {
		s.finish(nil)
		return
	}
	code, reason := ws.ParseCloseFrameData(payload)
	if err := ws.CheckCloseFrameData(code, reason); err != nil {
		s.close(ws.StatusProtocolError, err.Error())
		return
	}
	s.finish(ws.NewCloseFrameBody(code, ""))
}

// close ends s, with a code that tells the client why.
func (s *socket) close(code ws.StatusCode, reason string) {
	s.finish(ws.NewCloseFrameBody(code, reason))
}

// finish sends the frame that is the last, and ends the stream behind it.
func (s *socket) finish(closing []byte) {
	s.send(ws.MustCompileFrame(ws.NewCloseFrame(closing)))
	if !s.ended {
		s.end()
		_ = s.stream.Close()
	}
}

// send sends a frame. A client that does not take what it is sent is dropped once it
// has [loop.Config.MaxStreamBuffer] before it.
func (s *socket) send(frame []byte) {
	if s.ended {
		return
	}
	if n, err := s.stream.TryWrite(frame); n < len(frame) || err != nil {
		s.drop()
	}
}

// ping asks whether the client is there, and drops it if the last question was not
// answered.
func (s *socket) ping() {
	if !s.alive {
		s.drop()
		return
	}
	s.alive = false
	s.send(ws.CompiledPing)
}

// drop ends s at once.
func (s *socket) drop() {
	s.end()
	_ = s.async.Do(func(x *loop.Exchange) {
		if x != nil {
			_ = x.Reset(frames.ErrCodeCancel)
		}
	})
}

func (s *socket) end() {
	if !s.ended {
		s.ended = true
		s.onEnd()
	}
}
