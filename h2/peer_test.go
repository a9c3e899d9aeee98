package h2

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/net/http2/hpack"

	"github.com/h2loop/h2loop/frames"
)

// A peerModel is what a client knows about a connection. It turns what the
// server sends into lines and finds what the server must not send: DATA beyond
// a window, frames above SETTINGS_MAX_FRAME_SIZE, frames out of turn in the
// life of a stream, blocks that do not decode.
type peerModel struct {
	conn     int64 // octets the server may still send
	initial  int64
	maxFrame uint32
	streams  map[frames.StreamID]*peerStream
	maxID    frames.StreamID    // the highest with HEADERS sent
	settings [][]frames.Setting // sent and not acknowledged
	dec      *hpack.Decoder
	failed   bool // GOAWAY with an error was received

	outgoing []byte // sent, not yet a whole frame
	preface  int    // octets of it that are still to be sent

	block      []byte // of the header block being received
	blockID    frames.StreamID
	blockEnd   bool
	blocks     [][]byte         // every block received
	headers    []frames.Header  // every frame received
	incoming   []byte           // received, not yet a whole frame
	granted    map[uint32]int64 // sum of WINDOW_UPDATE received, by stream
	dataOctets int64            // of DATA received, over all streams
}

type peerStream struct {
	window   int64
	answered bool // the final header section came
	ended    bool
	reset    bool // by the server
}

func newPeerModel() *peerModel {
	return &peerModel{
		conn:     65535,
		initial:  65535,
		maxFrame: 16384,
		streams:  map[frames.StreamID]*peerStream{},
		dec:      hpack.NewDecoder(4096, nil),
		preface:  len(Preface),
		granted:  map[uint32]int64{},
	}
}

func (p *peerModel) stream(id frames.StreamID) *peerStream {
	s := p.streams[id]
	if s == nil {
		s = &peerStream{window: p.initial}
		p.streams[id] = s
	}
	return s
}

// sent takes note of octets on their way to the server.
func (p *peerModel) sent(b []byte) {
	n := min(p.preface, len(b))
	p.preface -= n
	p.outgoing = append(p.outgoing, b[n:]...)
	for {
		h, ok := frames.ParseHeader(p.outgoing)
		end := frames.HeaderLen + int(h.Length)
		if !ok || len(p.outgoing) < end {
			return
		}
		p.sentFrame(h, p.outgoing[frames.HeaderLen:end])
		p.outgoing = p.outgoing[end:]
	}
}

func (p *peerModel) sentFrame(h frames.Header, payload []byte) {
	switch h.Type {
	case frames.TypeHeaders:
		p.stream(h.StreamID)
		p.maxID = max(p.maxID, h.StreamID)
	case frames.TypeSettings:
		f, err := frames.ParseSettings(h, payload)
		if err != nil || f.Ack {
			return
		}
		var list []frames.Setting
		for i := range f.Len() {
			list = append(list, f.At(i))
		}
		p.settings = append(p.settings, list)
	case frames.TypeWindowUpdate:
		f, err := frames.ParseWindowUpdate(h, payload)
		if err != nil {
			return
		}
		if f.StreamID == 0 {
			p.conn += int64(f.Increment)
		} else {
			p.stream(f.StreamID).window += int64(f.Increment)
		}
	default: // says nothing of what the server may send
	}
}

// got takes octets from the server and returns the frames they complete.
func (p *peerModel) got(b []byte) (lines []string, err error) {
	p.incoming = append(p.incoming, b...)
	for {
		h, ok := frames.ParseHeader(p.incoming)
		end := frames.HeaderLen + int(h.Length)
		if !ok || len(p.incoming) < end {
			break
		}
		line, err := p.gotFrame(h, p.incoming[frames.HeaderLen:end])
		if err != nil {
			return lines, fmt.Errorf("%s: %w", frames.Describe(h, p.incoming[frames.HeaderLen:end]), err)
		}
		if line != "" {
			lines = append(lines, line)
		}
		p.incoming = p.incoming[end:]
	}
	if len(p.incoming) > 0 {
		return lines, fmt.Errorf("the batch ends inside a frame: %d octets", len(p.incoming))
	}
	if p.block != nil {
		return lines, fmt.Errorf("the batch ends inside a header block")
	}
	return lines, nil
}

func (p *peerModel) gotFrame(h frames.Header, payload []byte) (string, error) {
	p.headers = append(p.headers, h)
	switch {
	case p.failed:
		return "", fmt.Errorf("a frame after GOAWAY with an error")
	case h.Length > p.maxFrame:
		return "", fmt.Errorf("above SETTINGS_MAX_FRAME_SIZE of %d", p.maxFrame)
	case p.block != nil && (h.Type != frames.TypeContinuation || h.StreamID != p.blockID):
		return "", fmt.Errorf("inside a header block")
	}
	switch h.Type {
	case frames.TypeHeaders:
		f, err := frames.ParseHeaders(h, payload)
		if err != nil {
			return "", err
		}
		p.block, p.blockID, p.blockEnd = append([]byte{}, f.Fragment...), h.StreamID, f.EndStream
		return p.gotBlock(f.EndHeaders)
	case frames.TypeContinuation:
		f, err := frames.ParseContinuation(h, payload)
		if err != nil || p.block == nil {
			return "", fmt.Errorf("unexpected (%w)", err)
		}
		p.block = append(p.block, f.Fragment...)
		return p.gotBlock(f.EndHeaders)
	case frames.TypeData:
		return p.gotData(h, payload)
	case frames.TypeRSTStream:
		f, err := frames.ParseRSTStream(h, payload)
		if err != nil {
			return "", err
		}
		if f.StreamID == 0 || f.StreamID > p.maxID {
			return "", fmt.Errorf("on an idle stream")
		}
		p.stream(f.StreamID).reset = true
		return fmt.Sprintf("RST_STREAM %d %s", f.StreamID, f.Code), nil
	case frames.TypeSettings:
		return p.gotSettings(h, payload)
	case frames.TypePing:
		f, err := frames.ParsePing(h, payload)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("PING%s %q", ack(f.Ack), f.Data[:]), nil
	case frames.TypeGoAway:
		f, err := frames.ParseGoAway(h, payload)
		if err != nil {
			return "", err
		}
		p.failed = f.Code != frames.ErrCodeNo
		return strings.TrimSpace(fmt.Sprintf("GOAWAY last=%d %s %s", f.LastStreamID, f.Code, f.Debug)), nil
	case frames.TypeWindowUpdate:
		f, err := frames.ParseWindowUpdate(h, payload)
		if err != nil {
			return "", err
		}
		if s := p.streams[f.StreamID]; f.StreamID != 0 && (s == nil || s.reset) {
			return "", fmt.Errorf("on a stream that is idle or reset")
		}
		p.granted[uint32(f.StreamID)] += int64(f.Increment)
		return fmt.Sprintf("WINDOW_UPDATE %d +%d", f.StreamID, f.Increment), nil
	default:
		return "", fmt.Errorf("no frame a server like this sends")
	}
}

// maySend checks that the server's side of stream id is open.
func (p *peerModel) maySend(id frames.StreamID) (*peerStream, error) {
	switch s := p.streams[id]; {
	case s == nil:
		return nil, fmt.Errorf("on an idle stream")
	case s.reset:
		return nil, fmt.Errorf("after RST_STREAM")
	case s.ended:
		return nil, fmt.Errorf("after END_STREAM")
	default:
		return s, nil
	}
}

func (p *peerModel) gotBlock(end bool) (string, error) {
	if !end {
		return "", nil
	}
	block := p.block
	p.block = nil
	p.blocks = append(p.blocks, block)
	fields, err := p.dec.DecodeFull(block)
	if err != nil {
		return "", err
	}
	s, err := p.maySend(p.blockID)
	if err != nil {
		return "", err
	}
	line := fmt.Sprintf("HEADERS %d", p.blockID)
	status := ""
	for i, f := range fields {
		if i == 0 && f.Name == ":status" {
			status = f.Value
		} else if strings.HasPrefix(f.Name, ":") {
			return "", fmt.Errorf("pseudo-header field %s", f.Name)
		}
		line += " " + f.Name + "=" + f.Value
	}
	switch {
	case s.answered != (status == ""):
		return "", fmt.Errorf("status %q, final status seen before: %v", status, s.answered)
	case s.answered && !p.blockEnd:
		return "", fmt.Errorf("trailers without END_STREAM")
	case len(status) == 3 && status[0] == '1' && p.blockEnd:
		return "", fmt.Errorf("interim response with END_STREAM")
	case len(status) == 3 && status[0] != '1':
		s.answered = true
	}
	if p.blockEnd {
		s.ended = true
		line += " END_STREAM"
	}
	return line, nil
}

func (p *peerModel) gotData(h frames.Header, payload []byte) (string, error) {
	f, err := frames.ParseData(h, payload)
	if err != nil {
		return "", err
	}
	s, err := p.maySend(f.StreamID)
	if err != nil {
		return "", err
	}
	n := int64(h.Length)
	switch {
	case !s.answered:
		return "", fmt.Errorf("before the header section")
	case n > 0 && n > s.window:
		return "", fmt.Errorf("beyond the stream window of %d", s.window)
	case n > p.conn:
		return "", fmt.Errorf("beyond the connection window of %d", p.conn)
	}
	s.window -= n
	p.conn -= n
	p.dataOctets += n
	line := fmt.Sprintf("DATA %d ", f.StreamID)
	if len(f.Data) > 64 {
		line += "len=" + strconv.Itoa(len(f.Data))
	} else {
		line += strconv.Quote(string(f.Data))
	}
	if f.EndStream {
		s.ended = true
		line += " END_STREAM"
	}
	return line, nil
}

// gotSettings applies, on acknowledgement, the settings sent: from here on the
// server has to keep to them.
func (p *peerModel) gotSettings(h frames.Header, payload []byte) (string, error) {
	f, err := frames.ParseSettings(h, payload)
	if err != nil {
		return "", err
	}
	if !f.Ack {
		line := "SETTINGS"
		for i := range f.Len() {
			line += fmt.Sprintf(" %s=%d", f.At(i).ID, f.At(i).Value)
		}
		return line, nil
	}
	if len(p.settings) == 0 {
		return "", fmt.Errorf("acknowledgement of nothing")
	}
	for _, s := range p.settings[0] {
		switch s.ID {
		case frames.SettingInitialWindowSize:
			for _, st := range p.streams {
				st.window += int64(s.Value) - p.initial
			}
			p.initial = int64(s.Value)
		case frames.SettingMaxFrameSize:
			p.maxFrame = s.Value
		case frames.SettingHeaderTableSize:
			p.dec.SetAllowedMaxDynamicTableSize(s.Value)
		default: // says nothing to a server that does not push
		}
	}
	p.settings = p.settings[1:]
	return "SETTINGS ACK", nil
}

func ack(is bool) string {
	if is {
		return " ACK"
	}
	return ""
}
