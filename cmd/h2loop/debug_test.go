package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/h2loop/h2loop/frames"
)

// stall asks for path, and keeps the window of the stream shut once it is used up. It
// returns how to open it again.
func stall(t *testing.T, addr, path string) (grant func()) {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	out := []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	out = frames.AppendSettings(out, frames.Setting{ID: frames.SettingInitialWindowSize, Value: 1000})
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range []hpack.HeaderField{
		{Name: ":method", Value: "GET"},
		{Name: ":scheme", Value: "http"},
		{Name: ":authority", Value: "example.com"},
		{Name: ":path", Value: path},
		{Name: "cookie", Value: "secret=1"},
	} {
		_ = enc.WriteField(f) // to a bytes.Buffer
	}
	out = frames.AppendHeaders(out, frames.Headers{StreamID: 1, Fragment: block.Bytes(), EndHeaders: true, EndStream: true})
	if _, err := nc.Write(out); err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := nc.Write(frames.AppendWindowUpdate(nil, frames.WindowUpdate{StreamID: 1, Increment: 1})); err != nil {
			t.Error(err)
		}
	}
}

// keepGranting calls grant now and then, until stop. What it brings about happens again
// and again, so that who begins to look late sees it too.
func keepGranting(grant func()) (stop func()) {
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			grant()
			select {
			case <-over:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	return sync.OnceFunc(func() { close(over); <-ended })
}

// TestDebugConnections explains a stream that stalls: as a page, in JSON, and by a trace.
func TestDebugConnections(t *testing.T) {
	p, admin := startAdmin(t, "--bench")
	addr := strings.TrimSuffix(strings.TrimPrefix(p.urls[0], "http://"), "/")
	grant := stall(t, addr, "/bench/10m?<script>alert(1)</script>")
	var doc struct {
		Connections []struct {
			ID     uint64
			Remote string
			State  string
			HTTP2  struct {
				SendWindow int `json:"send_window"`
			}
			Streams []struct {
				ID         int
				Path       string
				WaitsFor   string `json:"waits_for"`
				SendWindow int    `json:"send_window"`
				Queued     int    `json:"queued_octets"`
			}
		}
	}
	for end := time.Now().Add(long); ; time.Sleep(time.Millisecond) {
		status, body := ask(t, "GET", admin+"debug/connections?remote=127.0.0.0/8", "Accept", "application/json")
		if status != 200 {
			t.Fatalf("%d %s", status, body)
		}
		if err := json.Unmarshal([]byte(body), &doc); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		if len(doc.Connections) == 1 && len(doc.Connections[0].Streams) == 1 && doc.Connections[0].Streams[0].WaitsFor == "stream window" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("no stream that waits: %s", body)
		}
	}
	c := doc.Connections[0]
	if s := c.Streams[0]; s.ID != 1 || s.SendWindow != 0 || s.Queued != 10<<20-1000 || c.State != "open" || c.HTTP2.SendWindow != 65535-1000 {
		t.Errorf("%+v", c)
	}
	status, page := ask(t, "GET", fmt.Sprintf("%sdebug/connections?id=%d&refresh=2", admin, c.ID))
	if status != 200 || !strings.Contains(page, "stream window") || !strings.Contains(page, "&lt;script&gt;alert(1)") ||
		strings.Contains(page, "<script") || !strings.Contains(page, `http-equiv="refresh" content="2"`) {
		t.Errorf("%d %s", status, page)
	}
	for query, want := range map[string]string{
		"?remote=evil": "must be an IP address", "?id=x": "must be the number", "?sort=x": "must be one of", "?limit=-1": "must be a number",
	} {
		if status, body := ask(t, "GET", admin+"debug/connections"+query); status != 400 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
	if _, body := ask(t, "GET", admin+"debug/connections?remote=::1&format=json"); !strings.Contains(body, `"connections": []`) {
		t.Errorf("a filter: %s", body)
	}

	if status, _ := ask(t, "GET", admin+"debug/trace?id=1"); status != 405 {
		t.Errorf("a trace by GET: %d", status)
	}
	if status, body := ask(t, "POST", admin+"debug/trace"); status != 400 || !strings.Contains(body, "which connections?") {
		t.Errorf("a trace of everything: %d %s", status, body)
	}
	resp, err := http.PostForm(admin+"debug/trace", url.Values{"remote": {"127.0.0.1"}, "for": {"1m"}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if status, _ := ask(t, "POST", admin+"debug/trace?id=1"); status != 409 {
		t.Errorf("a second trace: %d", status)
	}
	stop := keepGranting(grant) // for the trace begins on the loop some time
	defer stop()
	lines := bufio.NewScanner(resp.Body)
	wanted := []string{"recv WINDOW_UPDATE stream=1 len=4 increment=1", "send DATA stream=1 len=1"}
	for len(wanted) > 0 {
		if !lines.Scan() {
			t.Fatalf("the trace ended: %v", lines.Err())
		}
		if strings.Contains(lines.Text(), wanted[0]) {
			wanted = wanted[1:]
		}
	}
	stop()
	_ = resp.Body.Close()
	stall(t, addr, "/bench/10m") // the end of the trace is seen by another that begins
	for end := time.Now().Add(long); ; time.Sleep(10 * time.Millisecond) {
		status, body := ask(t, "POST", admin+"debug/trace?id=1&for=1ms")
		if status == 200 && strings.Contains(body, "# ended:") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the trace goes on: %d %s", status, body)
		}
	}
}
