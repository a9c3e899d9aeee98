package main

import (
	"bufio"
	"context"
	endian "encoding/binary" // binary is the program
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/h2loop/h2loop/loop"
)

func TestTiles(t *testing.T) {
	p := start(t, both...)
	c := newClient(nil)
	for _, base := range p.urls {
		connections := map[string]bool{}
		for n := range tiles {
			resp, body := get(t, c, fmt.Sprintf("%sdemo/tile/%d", base, n))
			if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "image/svg+xml" || resp.Header.Get("Cache-Control") != "no-store" {
				t.Fatalf("tile %d: %d, %v", n, resp.StatusCode, resp.Header)
			}
			var image struct {
				XMLName xml.Name `xml:"http://www.w3.org/2000/svg svg"`
				ViewBox string   `xml:"viewBox,attr"`
			}
			if err := xml.Unmarshal([]byte(body), &image); err != nil {
				t.Fatalf("tile %d: %v", n, err)
			}
			if want := fmt.Sprint(n%tileColumns, n/tileColumns, 1, 1); image.ViewBox != want {
				t.Errorf("tile %d shows %s, want %s", n, image.ViewBox, want)
			}
			connections[resp.Header.Get("X-Connection")] = true
		}
		if len(connections) != 1 {
			t.Errorf("one client, and connections %v", connections)
		}
	}
}

// TestTileDelay wants that an answer is never early; late it may be.
func TestTileDelay(t *testing.T) {
	p := start(t, append(both, "--loops", "1")...)
	c := newClient(nil)
	begun := time.Now()
	if resp, _ := get(t, c, p.urls[0]+"demo/tile/0?delay=30"); resp.StatusCode != 200 {
		t.Errorf("status %d", resp.StatusCode)
	}
	if d := time.Since(begun); d < 30*time.Millisecond {
		t.Errorf("answered after %v, too early", d)
	}
	// The only loop answers others while tiles wait, and tiles that nobody waits
	// for any more do no harm.
	c.Timeout = 10 * time.Millisecond
	for range 20 {
		if resp, err := c.Get(p.urls[0] + "demo/tile/0?delay=1000"); err == nil {
			resp.Body.Close()
		}
	}
	c.Timeout = 0
	if resp, body := get(t, c, p.urls[0]+"hello"); resp.StatusCode != 200 {
		t.Errorf("hello: %d, %q", resp.StatusCode, body)
	}
}

func TestDemoBounds(t *testing.T) {
	p := start(t, both...)
	c := newClient(nil)
	for _, tt := range []struct {
		path   string
		status int
		want   string // in the text
	}{
		{"tile/-1", 404, "from 0 to 239"},
		{"tile/240", 404, "from 0 to 239"},
		{"tile/a", 404, "from 0 to 239"},
		{"tile/99999999999999999999", 404, "from 0 to 239"},
		{"tile/0?delay=1001", 400, "delay must be a whole number from 0 to 1000 (ms)"},
		{"tile/0?delay=-1", 400, "from 0 to 1000"},
		{"tile/0?delay=", 400, "from 0 to 1000"},
		{"tile/0?delay=1s", 400, "from 0 to 1000"},
		{"tile/0?delay=99999999999999999999", 400, "from 0 to 1000"},
		{"tile/0?delay=%zz", 400, "from 0 to 1000"},
		{"bulk/a?mib=0", 400, "mib must be a whole number from 1 to 16 (MiB)"},
		{"bulk/a?mib=17", 400, "from 1 to 16"},
		{"bulk/a?mib=1.5", 400, "from 1 to 16"},
		{"bulk/" + strings.Repeat("a", 33), 404, "32 octets"},
	} {
		for _, base := range p.urls {
			resp, body := get(t, c, base+"demo/"+tt.path)
			if resp.StatusCode != tt.status || !strings.Contains(body, tt.want) {
				t.Errorf("%s: %d, %q, want %d, %q", tt.path, resp.StatusCode, body, tt.status, tt.want)
			}
		}
	}
	p = start(t, append(both, t.TempDir())...)
	for _, path := range []string{"demo/tile/0", "demo/bulk/a"} {
		if resp, _ := get(t, c, p.urls[0]+path); resp.StatusCode != 404 {
			t.Errorf("with a directory, %s is %d", path, resp.StatusCode)
		}
	}
}

func TestBulk(t *testing.T) {
	p := start(t, both...)
	c := newClient(nil)
	for _, base := range p.urls {
		for _, tt := range []struct {
			query string
			size  int
			head  []string
			seen  string
		}{
			{"?mib=1", 1 << 20, nil, "none"},
			{"?mib=3", 3 << 20, []string{"Priority", "u=5, i"}, "u=5, i"},
			{"", 8 << 20, []string{"Priority", strings.Repeat("x", 200)}, strings.Repeat("x", 100)},
		} {
			resp, body := get(t, c, base+"demo/bulk/a"+tt.query, tt.head...)
			if resp.StatusCode != 200 || len(body) != tt.size || resp.ContentLength != int64(tt.size) {
				t.Errorf("%q: %d, %d octets, announced as %d, want %d", tt.query, resp.StatusCode, len(body), resp.ContentLength, tt.size)
			}
			if seen := resp.Header.Get("X-Priority-Seen"); seen != tt.seen {
				t.Errorf("sent priority %q: seen %q, want %q", tt.head, seen, tt.seen)
			}
		}
		if resp, err := c.Head(base + "demo/bulk/a"); err != nil || resp.StatusCode != 200 || resp.ContentLength != 8<<20 {
			t.Errorf("HEAD: %v, %v", resp, err)
		}
	}
}

// TestBulkEnds wants that answers leave nothing behind, however they end.
func TestBulkEnds(t *testing.T) {
	srv, err := loop.New(loop.Config{Listeners: []loop.Listener{{Address: "127.0.0.1:0"}}})
	if err != nil {
		t.Fatal(err)
	}
	b := newBulk()
	srv.Handle("GET /bulk/{name}", b.send)
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(t.Context()) }()
	url := "http://" + srv.Addrs()[0].String() + "/bulk/a"
	c := newClient(nil)
	get(t, c, url+"?mib=1")
	if resp, err := c.Head(url); err != nil {
		t.Error(err)
	} else {
		resp.Body.Close()
	}
	for range 10 { // given up
		resp, err := c.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	cut, cancel := context.WithCancel(t.Context())
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	cancel()
	_ = srv.Shutdown(cut) // in the middle of it
	if err := <-ended; err != nil {
		t.Error(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.links) != 0 {
		t.Errorf("%d links are left", len(b.links))
	}
}

// TestBulkUnixSocket has no addresses by which to know a connection.
func TestBulkUnixSocket(t *testing.T) {
	path := t.TempDir() + "/socket"
	start(t, "--listen", "", "--listen-cleartext", "unix:"+path)
	got, _ := bulkOrder(t, "unix", path, 1, 3)
	if len(got) != 2 {
		t.Errorf("answers: %v", got)
	}
}

// TestBulkOrder asks for four long answers in one write, the least urgent first,
// with windows that are no obstacle: they are complete in the order of urgency,
// and when the most urgent one is, the others have hardly begun.
func TestBulkOrder(t *testing.T) {
	p := start(t, both...)
	order, first := bulkOrder(t, "tcp", strings.Trim(strings.TrimPrefix(p.urls[1], "http:"), "/"), 7, 5, 3, 1)
	if want := []int{1, 3, 5, 7}; !slices.Equal(order, want) {
		t.Errorf("urgencies are complete in the order %d, want %d", order, want)
	}
	t.Logf("octets by urgency, when the first was complete: %v", first)
}

// bulkOrder asks for a long answer of each urgency, and returns the urgencies in
// the order in which the answers were complete, and how many octets each had when
// the first was.
func bulkOrder(t *testing.T, network, addr string, urgencies ...int) (order []int, first map[int]int) {
	t.Helper()
	c, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(long))

	out := []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	frame := func(kind, flags byte, stream int, payload []byte) {
		out = append(out, 0, byte(len(payload)>>8), byte(len(payload)), kind, flags)
		out = endian.BigEndian.AppendUint32(out, uint32(stream))
		out = append(out, payload...)
	}
	window := endian.BigEndian.AppendUint32(nil, 1<<29)
	frame(4, 0, 0, append([]byte{0, 4}, window...)) // SETTINGS_INITIAL_WINDOW_SIZE
	frame(8, 0, 0, window)                          // WINDOW_UPDATE
	for i, u := range urgencies {
		var block []byte
		for _, f := range []string{
			":method", "GET", ":scheme", "http", ":authority", "localhost", ":path", "/demo/bulk/" + strconv.Itoa(u) + "?mib=2",
			"priority", fmt.Sprintf("u=%d, i", u),
		} {
			if strings.HasPrefix(f, ":") || f == "priority" {
				block = append(block, 0) // a literal, not to be indexed
			}
			block = append(append(block, byte(len(f))), f...)
		}
		frame(1, 5, 1+2*i, block) // HEADERS, END_HEADERS and END_STREAM
	}
	if _, err := c.Write(out); err != nil {
		t.Fatal(err)
	}

	r, got := bufio.NewReader(c), map[int]int{}
	for len(order) < len(urgencies) {
		var h [9]byte
		_, err := io.ReadFull(r, h[:])
		n := int(h[0])<<16 | int(h[1])<<8 | int(h[2])
		if err == nil {
			_, err = r.Discard(n)
		}
		if err != nil {
			t.Fatalf("%v; urgencies complete: %v; octets: %v", err, order, got)
		}
		if h[3] != 0 { // not DATA
			continue
		}
		u := urgencies[endian.BigEndian.Uint32(h[5:])/2]
		got[u] += n
		if h[4]&1 != 0 { // END_STREAM
			if order = append(order, u); first == nil {
				first = maps.Clone(got)
			}
		}
	}
	return order, first
}
