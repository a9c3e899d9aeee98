package loop_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/h2"
)

// A peer is a client of a test server that decides about every frame, and
// checks that the server keeps within the windows and the frame size.
//
// Reading is one step at a time: a step takes one frame, answers it if it is
// SETTINGS or PING, and notes what it said. A test says with until which state
// it waits for.
type peer struct {
	t  *testing.T
	nc net.Conn

	byByte bool // send every octet by itself
	credit bool // grant at once what DATA has used of the windows
	mute   bool // leave PING and SETTINGS unanswered

	in    *bufio.Reader
	out   []byte // written and not flushed
	block bytes.Buffer
	enc   *hpack.Encoder
	dec   *hpack.Decoder

	nextID  frames.StreamID
	streams map[frames.StreamID]*answer

	window   int64              // of the connection: what the server may still send
	proposed [][]frames.Setting // sent, and not acknowledged
	initial  int64              // SETTINGS_INITIAL_WINDOW_SIZE in force
	maxFrame int                // SETTINGS_MAX_FRAME_SIZE in force
	acked    int                // SETTINGS of ours that were acknowledged

	settings map[frames.SettingID]uint32 // the server's; nil before they came
	granted  int64                       // by WINDOW_UPDATE for the connection
	pings    int                         // answers to ours
	goAways  []goAway
	uploaded int64 // octets of DATA, as sendPieces counts them
	longest  int   // DATA frame
	err      error
}

// An answer is what has come of a response.
type answer struct {
	interim [][]hpack.HeaderField
	fields  []hpack.HeaderField
	body    []byte
	trailer []hpack.HeaderField
	ended   bool
	reset   bool
	code    frames.ErrCode // of RST_STREAM
	frames  int            // of DATA
	window  int64          // what the server may still send
	granted int64          // by its WINDOW_UPDATE
}

type goAway struct {
	lastID frames.StreamID
	code   frames.ErrCode
	debug  string
}

// done reports whether nothing more comes.
func (a *answer) done() bool { return a.ended || a.reset }

func (a *answer) get(name string) string { return fieldOf(a.fields, name) }

func (a *answer) status() string { return a.get(":status") }

func fieldOf(fields []hpack.HeaderField, name string) string {
	var values []string
	for _, f := range fields {
		if f.Name == name {
			values = append(values, f.Value)
		}
	}
	return strings.Join(values, ", ")
}

// dial connects without a word, for as long as the test runs.
func (ts *testServer) dial(tr transport) net.Conn {
	ts.t.Helper()
	return dialAddr(ts.t, "tcp", ts.addr(tr))
}

func dialAddr(t *testing.T, network, addr string) net.Conn {
	t.Helper()
	nc, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return nc
}

// connect connects and does what comes before the HTTP/2 preface.
func (ts *testServer) connect(tr transport) net.Conn {
	ts.t.Helper()
	nc := ts.dial(tr)
	if tr == overTLS {
		nc = tls.Client(nc, clientTLS("h2"))
	}
	return nc
}

// open connects and begins HTTP/2 with those settings. It has seen the
// server's, and the acknowledgement.
func (ts *testServer) open(tr transport, settings ...frames.Setting) *peer {
	ts.t.Helper()
	return openOn(ts.t, ts.connect(tr), settings...)
}

func openOn(t *testing.T, nc net.Conn, settings ...frames.Setting) *peer {
	t.Helper()
	p := newPeer(t, nc)
	p.begin(settings...)
	return p
}

func newPeer(t *testing.T, nc net.Conn) *peer {
	p := &peer{
		t: t, nc: nc, credit: true,
		in:     bufio.NewReaderSize(nc, 64<<10),
		dec:    hpack.NewDecoder(4096, nil),
		nextID: 1, streams: map[frames.StreamID]*answer{},
		window: 65535, initial: 65535, maxFrame: frames.DefaultMaxFrameSize,
	}
	p.enc = hpack.NewEncoder(&p.block)
	return p
}

// begin sends the preface and waits for the server's.
func (p *peer) begin(settings ...frames.Setting) {
	p.t.Helper()
	p.out = append(p.out, h2.Preface...)
	p.configure(settings...)
	p.until("the server's SETTINGS and the acknowledgement", func() bool { return p.settings != nil && p.acked == 1 })
}

// beginAsking sends the preface and a request at once, for which no time is left between
// them, and returns its stream.
func (p *peer) beginAsking(path string) frames.StreamID {
	p.t.Helper()
	p.out = frames.AppendSettings(append(p.out, h2.Preface...))
	p.proposed = append(p.proposed, nil)
	return p.get(path)
}

// flush sends what was written.
func (p *peer) flush() {
	p.t.Helper()
	if err := p.tryFlush(); err != nil {
		p.t.Fatalf("sending: %v", err)
	}
}

func (p *peer) tryFlush() error {
	b := p.out
	p.out = nil
	if !p.byByte {
		_, err := p.nc.Write(b)
		return err
	}
	for i := range b {
		if _, err := p.nc.Write(b[i : i+1]); err != nil {
			return err
		}
	}
	return nil
}

// get sends a GET request and returns its stream.
func (p *peer) get(path string, headers ...string) frames.StreamID {
	p.t.Helper()
	id := p.headers("GET", path, true, headers...)
	p.flush()
	return id
}

// post sends the header section of a POST request and returns its stream.
func (p *peer) post(path string, headers ...string) frames.StreamID {
	p.t.Helper()
	id := p.headers("POST", path, false, headers...)
	p.flush()
	return id
}

// headers writes the header section of a request; end says that there is no
// body. Headers are names and values by turns; a pseudo-header field replaces
// the one written otherwise, and one without a value removes it.
func (p *peer) headers(method, path string, end bool, headers ...string) frames.StreamID {
	p.t.Helper()
	id := p.nextID
	p.nextID += 2
	pseudo := []hpack.HeaderField{
		{Name: ":method", Value: method},
		{Name: ":scheme", Value: "http"},
		{Name: ":authority", Value: "example.com"},
		{Name: ":path", Value: path},
		{Name: ":protocol"}, // if headers have it
	}
	var rest []hpack.HeaderField
	for i := 0; i < len(headers); i += 2 {
		if headers[i][0] != ':' {
			rest = append(rest, hpack.HeaderField{Name: headers[i], Value: headers[i+1]})
			continue
		}
		for j := range pseudo {
			if pseudo[j].Name == headers[i] {
				pseudo[j].Value = headers[i+1]
			}
		}
	}
	var fields []hpack.HeaderField
	for _, f := range append(pseudo, rest...) {
		if f.Name[0] != ':' || f.Value != "" {
			fields = append(fields, f)
		}
	}
	p.writeHeaders(id, fields, end)
	p.streams[id] = &answer{window: p.initial}
	return id
}

func (p *peer) writeHeaders(id frames.StreamID, fields []hpack.HeaderField, end bool) {
	p.block.Reset()
	for _, f := range fields {
		_ = p.enc.WriteField(f) // to a bytes.Buffer
	}
	p.out = frames.AppendHeaders(p.out, frames.Headers{
		StreamID: id, Fragment: p.block.Bytes(), EndStream: end, EndHeaders: true,
	})
}

// data sends a piece of a request body, in as many frames as it takes. The
// test sees to it that the windows allow that.
func (p *peer) data(id frames.StreamID, b []byte, end bool) {
	p.t.Helper()
	for len(b) > frames.DefaultMaxFrameSize {
		p.out = frames.AppendData(p.out, frames.Data{StreamID: id, Data: b[:frames.DefaultMaxFrameSize]})
		b = b[frames.DefaultMaxFrameSize:]
	}
	p.out = frames.AppendData(p.out, frames.Data{StreamID: id, Data: b, EndStream: end})
	p.flush()
}

// trailers ends a request with trailer fields.
func (p *peer) trailers(id frames.StreamID, headers ...string) {
	p.t.Helper()
	var fields []hpack.HeaderField
	for i := 0; i < len(headers); i += 2 {
		fields = append(fields, hpack.HeaderField{Name: headers[i], Value: headers[i+1]})
	}
	p.writeHeaders(id, fields, true)
	p.flush()
}

// cancel sends RST_STREAM. The stream counts as done, but what is on its way
// still comes.
func (p *peer) cancel(id frames.StreamID) {
	p.t.Helper()
	p.out = frames.AppendRSTStream(p.out, frames.RSTStream{StreamID: id, Code: frames.ErrCodeCancel})
	p.flush()
}

// grant enlarges the window of a stream, or with id 0 of the connection.
func (p *peer) grant(id frames.StreamID, n int) {
	p.t.Helper()
	p.writeGrant(id, n)
	p.flush()
}

func (p *peer) writeGrant(id frames.StreamID, n int) {
	p.out = frames.AppendWindowUpdate(p.out, frames.WindowUpdate{StreamID: id, Increment: uint32(n)})
	if id == 0 {
		p.window += int64(n)
	} else {
		p.streams[id].window += int64(n)
	}
}

// configure sends SETTINGS.
func (p *peer) configure(settings ...frames.Setting) {
	p.t.Helper()
	p.out = frames.AppendSettings(p.out, settings...)
	p.proposed = append(p.proposed, settings)
	p.flush()
}

// ping sends PING and waits for the answer: what the server had to say about
// what came before is said, DATA apart.
func (p *peer) ping() {
	p.t.Helper()
	n := p.pings
	p.out = frames.AppendPing(p.out, frames.Ping{Data: [8]byte{1}})
	p.flush()
	p.until("the answer to PING", func() bool { return p.pings > n })
}

// until takes steps until cond holds.
func (p *peer) until(what string, cond func() bool) {
	p.t.Helper()
	for !cond() {
		if !p.step() {
			p.t.Fatalf("waited for %s, but reading ended: %v; %s", what, p.err, p.summary())
		}
	}
}

// untilClosed takes steps until the server has closed the connection.
func (p *peer) untilClosed() {
	p.t.Helper()
	for p.step() {
	}
	if isTimeout(p.err) {
		p.t.Fatalf("the server has not closed the connection: %v; %s", p.err, p.summary())
	}
}

func isTimeout(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout()
}

// answer waits for the whole of the response, or its reset.
func (p *peer) answer(id frames.StreamID) *answer {
	p.t.Helper()
	a := p.streams[id]
	p.until(fmt.Sprintf("the response on stream %d", id), a.done)
	return a
}

// fetch makes a GET request and waits for the response.
func (p *peer) fetch(path string, headers ...string) *answer {
	p.t.Helper()
	return p.answer(p.get(path, headers...))
}

// want fails the test unless the response is whole and is this one.
func (a *answer) want(t *testing.T, status, body string) {
	t.Helper()
	if a.reset && !a.ended {
		t.Errorf("RST_STREAM with %v, want %s", a.code, status)
	}
	if a.status() != status || string(a.body) != body {
		t.Errorf("got %s %.200q, want %s %.200q", a.status(), a.body, status, body)
	}
}

// wantReset fails the test unless the response was cut off with code.
func (a *answer) wantReset(t *testing.T, code frames.ErrCode) {
	t.Helper()
	if !a.reset || a.code != code || a.ended {
		t.Errorf("reset: %v with %v, ended: %v; want RST_STREAM with %v", a.reset, a.code, a.ended, code)
	}
}

func (p *peer) summary() string {
	var b strings.Builder
	for id, a := range p.streams {
		if id+20 > p.nextID {
			fmt.Fprintf(&b, "stream %d: status %q, %d octets, ended: %v, reset: %v; ", id, a.status(), len(a.body), a.ended, a.reset)
		}
	}
	fmt.Fprintf(&b, "GOAWAY: %v", p.goAways)
	return b.String()
}

// step takes one frame. It reports false at the end of the connection.
func (p *peer) step() bool {
	p.t.Helper()
	var head [frames.HeaderLen]byte
	if _, p.err = io.ReadFull(p.in, head[:]); p.err != nil {
		if errors.Is(p.err, io.ErrUnexpectedEOF) {
			p.t.Error("the connection ends in a frame header")
		}
		return false
	}
	h, _ := frames.ParseHeader(head[:])
	if int(h.Length) > p.maxFrame {
		p.t.Fatalf("frame of %d octets, more than SETTINGS_MAX_FRAME_SIZE: %v", h.Length, h)
	}
	payload := make([]byte, h.Length)
	if _, p.err = io.ReadFull(p.in, payload); p.err != nil {
		if errors.Is(p.err, io.ErrUnexpectedEOF) || errors.Is(p.err, io.EOF) {
			p.t.Error("the connection ends in a frame")
		}
		return false
	}
	if err := p.take(h, payload); err != nil {
		p.t.Fatalf("%v in %s", err, frames.Describe(h, payload))
	}
	return true
}

func (p *peer) take(h frames.Header, payload []byte) error {
	a := p.streams[h.StreamID]
	if a == nil && h.StreamID != 0 {
		return errors.New("stream that was not opened")
	}
	if a != nil && a.done() && h.Type != frames.TypeWindowUpdate && h.Type != frames.TypeRSTStream {
		return errors.New("frame after the end of the stream")
	}
	switch h.Type {
	case frames.TypeSettings:
		return p.takeSettings(h, payload)
	case frames.TypePing:
		return p.takePing(h, payload)
	case frames.TypeGoAway:
		f, err := frames.ParseGoAway(h, payload)
		p.goAways = append(p.goAways, goAway{f.LastStreamID, f.Code, string(f.Debug)})
		return err
	case frames.TypeWindowUpdate:
		f, err := frames.ParseWindowUpdate(h, payload)
		if a != nil {
			a.granted += int64(f.Increment)
		} else {
			p.granted += int64(f.Increment)
		}
		return err
	case frames.TypeHeaders:
		return p.takeHeaders(a, h, payload)
	case frames.TypeData:
		return p.takeData(a, h, payload)
	case frames.TypeRSTStream:
		f, err := frames.ParseRSTStream(h, payload)
		a.reset, a.code = true, f.Code
		return err
	default:
		return errors.New("unexpected frame")
	}
}

func (p *peer) takeSettings(h frames.Header, payload []byte) error {
	f, err := frames.ParseSettings(h, payload)
	if err != nil {
		return err
	}
	if f.Ack {
		return p.takeAck()
	}
	if p.settings == nil {
		p.settings = map[frames.SettingID]uint32{}
	}
	for i := range f.Len() {
		p.settings[f.At(i).ID] = f.At(i).Value
	}
	if !p.mute {
		p.out = frames.AppendSettingsAck(p.out)
		_ = p.tryFlush() // the connection may be over already
	}
	return nil
}

// takeAck puts the settings into force that the server has acknowledged: it has
// used none of them before, and keeps to them from here on.
func (p *peer) takeAck() error {
	if len(p.proposed) == 0 {
		return errors.New("acknowledgement of nothing")
	}
	for _, s := range p.proposed[0] {
		switch s.ID {
		case frames.SettingInitialWindowSize:
			for _, a := range p.streams {
				a.window += int64(s.Value) - p.initial
			}
			p.initial = int64(s.Value)
		case frames.SettingMaxFrameSize:
			p.maxFrame = int(s.Value)
		default:
		}
	}
	p.proposed = p.proposed[1:]
	p.acked++
	return nil
}

func (p *peer) takePing(h frames.Header, payload []byte) error {
	f, err := frames.ParsePing(h, payload)
	switch {
	case err != nil:
		return err
	case f.Ack:
		p.pings++
	case !p.mute:
		p.out = frames.AppendPing(p.out, frames.Ping{Ack: true, Data: f.Data})
		_ = p.tryFlush() // the connection may be over already
	}
	return nil
}

func (p *peer) takeHeaders(a *answer, h frames.Header, payload []byte) error {
	f, err := frames.ParseHeaders(h, payload)
	if err != nil {
		return err
	}
	if !f.EndHeaders {
		return errors.New("CONTINUATION is not expected of this server")
	}
	fields, err := p.dec.DecodeFull(f.Fragment)
	if err != nil {
		return err
	}
	switch status := fieldOf(fields, ":status"); {
	case a.fields != nil:
		a.trailer = fields
	case strings.HasPrefix(status, "1"):
		a.interim = append(a.interim, fields)
	default:
		a.fields = fields
	}
	a.ended = f.EndStream
	return nil
}

func (p *peer) takeData(a *answer, h frames.Header, payload []byte) error {
	f, err := frames.ParseData(h, payload)
	if err != nil {
		return err
	}
	if a.fields == nil {
		return errors.New("DATA before HEADERS")
	}
	n := int64(h.Length)
	if a.window -= n; a.window < 0 && n > 0 {
		return fmt.Errorf("%d octets beyond the window of the stream", -a.window)
	}
	if p.window -= n; p.window < 0 && n > 0 {
		return fmt.Errorf("%d octets beyond the window of the connection", -p.window)
	}
	a.body = append(a.body, f.Data...)
	a.ended = f.EndStream
	a.frames++
	p.longest = max(p.longest, int(n))
	if p.credit && n > 0 {
		p.writeGrant(0, int(n))
		if !a.ended {
			p.writeGrant(h.StreamID, int(n))
		}
		_ = p.tryFlush() // the connection may be over already
	}
	return nil
}
