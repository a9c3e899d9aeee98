package admin

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/h2loop/h2loop/loop"
)

// orders are what connections may be sorted by, on a page.
var orders = map[string]func(a, b *loop.ConnState) int{
	"":       func(a, b *loop.ConnState) int { return cmp.Compare(b.ID, a.ID) }, // the newest first
	"age":    func(a, b *loop.ConnState) int { return cmp.Compare(b.Age, a.Age) },
	"idle":   func(a, b *loop.ConnState) int { return cmp.Compare(b.Idle, a.Idle) },
	"remote": func(a, b *loop.ConnState) int { return a.Remote.Compare(b.Remote) },
	"in":     func(a, b *loop.ConnState) int { return cmp.Compare(b.Received, a.Received) },
	"out":    func(a, b *loop.ConnState) int { return cmp.Compare(b.Sent, a.Sent) },
	"queued": func(a, b *loop.ConnState) int {
		return cmp.Compare(b.Queued+b.Held+b.Unsent, a.Queued+a.Held+a.Unsent)
	},
	"streams": func(a, b *loop.ConnState) int { return cmp.Compare(len(b.Streams), len(a.Streams)) },
	"rtt":     func(a, b *loop.ConnState) int { return cmp.Compare(rtt(b), rtt(a)) },
}

const orderNames = "age, idle, remote, in, out, queued, streams, rtt"

func rtt(c *loop.ConnState) time.Duration {
	if c.TCP == nil {
		return 0
	}
	return c.TCP.RTT
}

func sortBy(conns []loop.ConnState, order string) {
	slices.SortStableFunc(conns, func(a, b loop.ConnState) int { return orders[order](&a, &b) })
}

// The types below are the JSON of /debug/connections: names stay, whatever those of loop
// become.
type docPage struct {
	Time        time.Time `json:"time"`
	Stuck       []int     `json:"stuck_loops,omitempty"`
	Next        uint64    `json:"next_below,omitempty"` // for the next page: below=
	Connections []docConn `json:"connections"`
}

type docConn struct {
	ID       uint64      `json:"id"`
	Loop     int         `json:"loop"`
	Remote   string      `json:"remote"`
	Local    string      `json:"local"`
	Protocol string      `json:"protocol,omitempty"`
	State    string      `json:"state"`
	Blocked  string      `json:"blocked_by,omitempty"`
	Age      float64     `json:"age_seconds"`
	Idle     float64     `json:"idle_seconds"`
	Received int64       `json:"received_octets"`
	Sent     int64       `json:"sent_octets"`
	Requests int         `json:"requests"`
	Queued   int         `json:"queued_octets"`
	Held     int         `json:"held_octets"`
	Unsent   int         `json:"kernel_unsent_octets"`
	Unacked  int         `json:"kernel_unacked_octets"`
	TLS      *docTLS     `json:"tls,omitempty"`
	TCP      *docTCP     `json:"tcp,omitempty"`
	HTTP2    *docHTTP2   `json:"http2,omitempty"`
	Streams  []docStream `json:"streams"`
}

type docTLS struct {
	Version string `json:"version"`
	Cipher  string `json:"cipher"`
	ALPN    string `json:"alpn,omitempty"`
	SNI     string `json:"sni,omitempty"`
	Resumed bool   `json:"resumed"`
}

type docTCP struct {
	RTT         float64 `json:"rtt_ms"`
	RTTVar      float64 `json:"rtt_variance_ms"`
	CWND        int     `json:"cwnd_segments"`
	MSS         int     `json:"mss"`
	Retransmits int     `json:"retransmits"`
	PeerWindow  int     `json:"peer_window"`
}

type docHTTP2 struct {
	SendWindow  int         `json:"send_window"`
	RecvWindow  int         `json:"receive_window"`
	Unread      int         `json:"unread_body_octets"`
	PeerSetting docSettings `json:"peer_settings"`
}

type docSettings struct {
	InitialWindow uint32 `json:"initial_window_size"`
	MaxFrameSize  uint32 `json:"max_frame_size"`
	HeaderTable   uint32 `json:"header_table_size"`
	NoPriorities  bool   `json:"no_rfc7540_priorities"`
}

type docStream struct {
	ID          uint32  `json:"id"`
	Method      string  `json:"method"`
	Host        string  `json:"host"`
	Path        string  `json:"path"`
	Pattern     string  `json:"pattern"`
	State       string  `json:"state"`
	WaitsFor    string  `json:"waits_for"`
	Age         float64 `json:"age_seconds"`
	SendWindow  int     `json:"send_window"`
	RecvWindow  int     `json:"receive_window"`
	Queued      int     `json:"queued_octets"`
	Received    int64   `json:"received_octets"`
	Sent        int64   `json:"sent_octets"`
	Answered    bool    `json:"answered"`
	Urgency     int     `json:"urgency"`
	Incremental bool    `json:"incremental"`
}

func document(p *page) docPage {
	d := docPage{Time: p.Now, Stuck: p.Stuck, Next: p.Next, Connections: []docConn{}}
	for i := range p.Conns {
		d.Connections = append(d.Connections, documentConn(&p.Conns[i]))
	}
	return d
}

func documentConn(c *loop.ConnState) docConn {
	d := docConn{
		ID: c.ID, Loop: c.Loop, Remote: addrText(c.Remote), Local: addrText(c.Local), Protocol: c.Protocol,
		State: c.State, Blocked: c.Blocked, Age: c.Age.Seconds(), Idle: c.Idle.Seconds(),
		Received: c.Received, Sent: c.Sent, Requests: c.Requests,
		Queued: c.Queued, Held: c.Held, Unsent: c.Unsent, Unacked: c.Unacked,
		Streams: []docStream{}, // also if there is none
	}
	if t := c.TLS; t != nil {
		d.TLS = &docTLS{t.Version, t.Cipher, t.ALPN, t.ServerName, t.Resumed}
	}
	if t := c.TCP; t != nil {
		d.TCP = &docTCP{ms(t.RTT), ms(t.RTTVar), t.CWND, t.MSS, t.Retransmits, t.PeerWindow}
	}
	if h := c.HTTP2; h != nil {
		d.HTTP2 = &docHTTP2{
			h.SendWindow, h.RecvWindow, h.Unread,
			docSettings{h.PeerInitialWindow, h.PeerMaxFrameSize, h.PeerHeaderTable, h.PeerNoPriorities},
		}
	}
	for _, s := range c.Streams {
		d.Streams = append(d.Streams, docStream{
			ID: s.ID, Method: s.Method, Host: s.Host, Path: strings.ToValidUTF8(s.Path, "\ufffd"), Pattern: s.Pattern,
			State: s.State, WaitsFor: string(s.WaitsFor), Age: s.Age.Seconds(),
			SendWindow: s.SendWindow, RecvWindow: s.RecvWindow, Queued: s.Queued,
			Received: s.Received, Sent: s.Sent, Answered: s.Answered, Urgency: s.Urgency, Incremental: s.Incremental,
		})
	}
	return d
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
