// Command client makes connections for the benchmark, which h2load and wrk do
// not make, or not resume. Each does one request in HTTP/2:

//	client -mode full -n 1000 -c 16 https://127.0.0.1:8443/bench/hello
//	client -mode resumed …   # with a ticket of the connection before
//	client -mode idle -n 10000 …
//	client -mode idle -body 16384 …   # a POST with so many octets

// full and resumed close each connection, and then print a line of JSON. idle
// keeps all, prints that line once they are there, and waits for the end of its
// standard input.
package main

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"
)

// A report is what the client prints.
type report struct {
	Requests int     `json:"requests"`
	OK       int     `json:"ok"` // answered with 200, and resumed where that is wanted
	Octets   int64   `json:"octets"`
	Seconds  float64 `json:"seconds"`
	P50      float64 `json:"p50_us"` // from connect(2) to the end of the answer
	P99      float64 `json:"p99_us"`
	TLS      string  `json:"tls,omitzero"`
	Error    string  `json:"error,omitzero"` // the first one
}

func main() {
	mode := flag.String("mode", "full", "full, resumed or idle")
	n := flag.Int("n", 1, "connections")
	width := flag.Int("c", 1, "how many of them at a time")
	body := flag.Int("body", 0, "POST so many octets, a frame at most")
	flag.Parse()
	if err := run(*mode, *n, *width, *body, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}

func run(mode string, n, width, body int, target string) error {
	if mode != "full" && mode != "resumed" && mode != "idle" || n < 1 || width < 1 || body < 0 || body > maxBody {
		return fmt.Errorf("bad arguments: -mode %q -n %d -c %d -body %d", mode, n, width, body)
	}
	u, err := url.Parse(target)
	if err != nil {
		return err
	}
	c := &client{addr: u.Host, request: request(u, body), resume: mode == "resumed", keep: mode == "idle"}
	if u.Scheme == "https" {
		c.tls = &tls.Config{
			InsecureSkipVerify: true, //nolint:gosec // the time of the server is measured, and its certificate was made for that
			NextProtos:         []string{"h2"},
			MinVersion:         tls.VersionTLS13,
			CurvePreferences:   []tls.CurveID{tls.X25519, tls.CurveP256}, // nghttpd has the latter only
		}
	}
	if c.resume {
		c.tls.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		if err := c.once(true); err != nil {
			return fmt.Errorf("the connection whose ticket others take: %w", err)
		}
		c.times, c.octets = nil, 0
	}
	began := time.Now()
	turns := make(chan struct{}, n)
	for range n {
		turns <- struct{}{}
	}
	close(turns)
	var wg sync.WaitGroup
	for range min(n, width) {
		wg.Go(func() {
			for range turns {
				if err := c.once(false); err != nil {
					c.fail(err)
				}
			}
		})
	}
	wg.Wait()
	if err := json.NewEncoder(os.Stdout).Encode(c.report(n, time.Since(began))); err != nil {
		return err
	}
	if c.keep {
		if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
			return err
		}
	}
	return nil
}

// A client connects to one address, again and again.
type client struct {
	addr    string
	request []byte
	tls     *tls.Config // nil for cleartext
	resume  bool
	keep    bool

	mu     sync.Mutex // for what is below
	times  []time.Duration
	octets int64
	suite  string
	err    error
	kept   []net.Conn
}

func (c *client) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
}

// once makes a connection with a request; the first is not resumed.
func (c *client) once(first bool) error {
	began := time.Now()
	raw, err := net.Dial("tcp", c.addr)
	if err != nil {
		return err
	}
	conn, suite := raw, ""
	if c.tls != nil {
		t := tls.Client(raw, c.tls)
		conn = t
		if err := t.Handshake(); err != nil {
			return errors.Join(err, raw.Close())
		}
		state := t.ConnectionState()
		if state.DidResume != (c.resume && !first) {
			return errors.Join(fmt.Errorf("resumed: %t", state.DidResume), conn.Close())
		}
		suite = tls.VersionName(state.Version) + " " + tls.CipherSuiteName(state.CipherSuite)
	}
	n, err := ask(conn, c.request)
	took := time.Since(began)
	if err != nil || !c.keep {
		err = errors.Join(err, conn.Close())
	}
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.times = append(c.times, took)
	c.octets += int64(n)
	c.suite = suite
	if c.keep {
		c.kept = append(c.kept, conn)
	}
	return nil
}

func (c *client) report(n int, took time.Duration) report {
	r := report{Requests: n, OK: len(c.times), Octets: c.octets, Seconds: took.Seconds(), TLS: c.suite}
	if c.err != nil {
		r.Error = c.err.Error()
	}
	if len(c.times) > 0 {
		slices.Sort(c.times)
		at := func(part float64) float64 {
			return float64(c.times[int(part*float64(len(c.times)-1))].Nanoseconds()) / 1e3
		}
		r.P50, r.P99 = at(0.5), at(0.99)
	}
	return r
}

// Of HTTP/2 the client knows as much as one GET takes.
const (
	frameData     = 0x0
	frameHeaders  = 0x1
	frameReset    = 0x3
	frameSettings = 0x4
	frameGoAway   = 0x7
	flagAck       = 0x1
	flagEndStream = 0x1
	flagEndFields = 0x4
)

func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	b := []byte{0, byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	b = binary.BigEndian.AppendUint32(b, stream)
	return append(b, payload...)
}

// maxBody is what every server takes in one frame.
const maxBody = 16 << 10

// request returns all that is sent before the acknowledgement of settings: a GET, or a
// POST of body octets.
func request(u *url.URL, body int) []byte {
	scheme := byte(0x86)
	if u.Scheme == "https" {
		scheme = 0x87
	}
	block := []byte{0x82, scheme}                  // :method GET, :scheme
	block = append(block, 0x04, byte(len(u.Path))) // :path, not indexed
	block = append(block, u.Path...)
	block = append(block, 0x01, byte(len(u.Host))) // :authority, likewise
	block = append(block, u.Host...)
	b := []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	b = append(b, frame(frameSettings, 0, 0, nil)...)
	if body == 0 {
		return append(b, frame(frameHeaders, flagEndStream|flagEndFields, 1, block)...)
	}
	block[0] = 0x83 // POST
	b = append(b, frame(frameHeaders, flagEndFields, 1, block)...)
	return append(b, frame(frameData, flagEndStream, 1, make([]byte, body))...)
}

// ask sends a request, acknowledges the settings, and returns the number of
// octets of the body.
func ask(conn net.Conn, request []byte) (octets int, err error) {
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return 0, err
	}
	if _, err := conn.Write(request); err != nil {
		return 0, err
	}
	var buf [4096]byte
	have, ok, acknowledged, ended := 0, false, false, false
	for !ended || !acknowledged {
		n, err := conn.Read(buf[have:])
		if err != nil {
			return 0, err
		}
		b := buf[:have+n]
		for len(b) >= 9 {
			length := int(b[0])<<16 | int(b[1])<<8 | int(b[2])
			if length+9 > len(buf) {
				return 0, fmt.Errorf("a frame of %d octets", length)
			}
			if len(b) < 9+length {
				break
			}
			kind, flags, payload := b[3], b[4], b[9:9+length]
			b = b[9+length:]
			switch kind {
			case frameSettings:
				if flags&flagAck == 0 {
					acknowledged = true
					if _, err := conn.Write(frame(frameSettings, flagAck, 0, nil)); err != nil {
						return 0, err
					}
				}
			case frameHeaders:
				ok = isOK(payload)
				ended = flags&flagEndStream != 0
			case frameData:
				octets += length
				ended = flags&flagEndStream != 0
			case frameReset, frameGoAway:
				return 0, fmt.Errorf("frame of type %d: % x", kind, payload)
			}
		}
		have = copy(buf[:], b)
	}
	if !ok {
		return 0, errors.New("the status is not 200")
	}
	return octets, nil
}

// isOK reports whether :status 200 comes first in a header block, or behind a
// change of the table's size. Nothing is in the dynamic table yet.
func isOK(block []byte) bool {
	for len(block) > 0 && block[0]&0xe0 == 0x20 {
		size := 1 // in octets: those with the high bit are followed by another
		if block[0] == 0x3f {
			for size < len(block) && block[size] >= 0x80 {
				size++
			}
			size++
		}
		block = block[min(size, len(block)):]
	}
	// By its index, or as a literal under one of :status's, with Huffman or not.
	return len(block) > 0 && block[0] == 0x88 ||
		len(block) > 2 && (bytes.HasPrefix(block[1:], []byte("\x03200")) || bytes.HasPrefix(block[1:], []byte("\x82\x10\x01")))
}
