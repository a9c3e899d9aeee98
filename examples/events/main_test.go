package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/h2loop/h2loop/loop"
	"github.com/h2loop/h2loop/loop/looptest"
)

// serve runs a server for h, whose listeners leave before it ends.
func serve(t *testing.T, h *hub) *looptest.Server {
	ts := looptest.NewConfig(t, loop.Config{MaxStreamBuffer: 16 << 10}, h.register)
	t.Cleanup(h.close)
	return ts
}

func forEachVersion(t *testing.T, f func(t *testing.T, client func(*looptest.Server) *http.Client)) {
	t.Run("HTTP2", func(t *testing.T) { f(t, (*looptest.Server).Client) })
	t.Run("HTTP1", func(t *testing.T) { f(t, (*looptest.Server).Client1) })
}

// An ear reads events as an EventSource does.
type ear struct {
	t    *testing.T
	body io.ReadCloser
	r    *bufio.Reader
}

type heard struct {
	id         int64
	kind, data string
}

func listen(t *testing.T, c *http.Client, url, lastEventID string) *ear {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if lastEventID != "" {
		req.Header.Set("Last-Event-ID", lastEventID)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d, %v", resp.StatusCode, resp.Header)
	}
	return &ear{t, resp.Body, bufio.NewReader(resp.Body)}
}

// next returns the next event, or why there is none.
func (e *ear) next() (h heard, err error) {
	var data []string
	for {
		line, err := e.r.ReadString('\n')
		if err != nil {
			return h, err
		}
		switch name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": "); name {
		case "id":
			h.id, _ = strconv.ParseInt(value, 10, 64)
		case "event":
			h.kind = value
		case "data":
			data = append(data, value)
		case "":
			if data != nil {
				h.data = strings.Join(data, "\n")
				return h, nil
			}
		}
	}
}

func (e *ear) want(want heard) {
	e.t.Helper()
	if got, err := e.next(); err != nil || got != want {
		e.t.Errorf("heard %v, %v; want %v", got, err, want)
	}
}

func post(t *testing.T, c *http.Client, url, text string) {
	t.Helper()
	resp, err := c.Post(url, "text/plain", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 202 {
		t.Fatal(resp.Status)
	}
}

func listening(h *hub) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.listeners)
}

// TestBroadcast has many hear the same, in order, and the stream end in order.
func TestBroadcast(t *testing.T) {
	forEachVersion(t, func(t *testing.T, client func(*looptest.Server) *http.Client) {
		h := newHub(kept)
		ts := serve(t, h)
		c := client(ts)
		ears := make([]*ear, 50)
		for i := range ears {
			ears[i] = listen(t, c, ts.URL()+"/events", "")
		}
		const messages = 50
		for i := range int64(messages) {
			post(t, c, ts.URL()+"/events", fmt.Sprintf("message %d\nof %d", i+1, messages))
		}
		for _, e := range ears {
			for i := range int64(messages) {
				e.want(heard{i + 1, "message", fmt.Sprintf("message %d\nof %d", i+1, messages)})
			}
		}
		h.close()
		for _, e := range ears {
			if got, err := e.next(); err != io.EOF { //nolint:errorlint // it is a clean end, or it is not
				t.Errorf("heard %v, %v, behind the end", got, err)
			}
		}
		if n := listening(h); n > 0 {
			t.Errorf("%d are still listening", n)
		}
	})
}

// TestComeBack says what was heard last.
func TestComeBack(t *testing.T) {
	forEachVersion(t, func(t *testing.T, client func(*looptest.Server) *http.Client) {
		h := newHub(10)
		ts := serve(t, h)
		for i := range 5 {
			h.publish("message", strconv.Itoa(i+1))
		}
		events := ts.URL() + "/events"
		e := listen(t, client(ts), events, "3")
		e.want(heard{4, "message", "4"})
		e.want(heard{5, "message", "5"})
		e.body.Close()
		for i := range 10 {
			h.publish("message", strconv.Itoa(i+6))
		}
		listen(t, client(ts), events, "5").want(heard{6, "message", "6"})
		e = listen(t, client(ts), events, "3") // 4 and 5 are gone
		e.want(heard{0, "lost", "2"})
		e.want(heard{6, "message", "6"})
		e = listen(t, client(ts), events, "99") // of a former life
		h.publish("message", "")
		e.want(heard{16, "message", ""})
	})
}

// TestSlow has clients that listen and do not read.
func TestSlow(t *testing.T) {
	forEachVersion(t, func(t *testing.T, client func(*looptest.Server) *http.Client) {
		h := newHub(10)
		ts := serve(t, h)
		dropped := listen(t, client(ts), ts.URL()+"/events", "")
		skipping := listen(t, client(ts), ts.URL()+"/events?slow=skip", "")
		text := strings.Repeat("x", maxMessage)
		for range 100_000 {
			if h.publish("message", text); listening(h) < 2 {
				break
			}
			time.Sleep(10 * time.Microsecond)
		}
		t.Logf("after %d events of 8 KiB", h.last)
		for {
			if _, err := dropped.next(); err == io.EOF { //nolint:errorlint // that would be a clean end
				t.Error("the end of the one who was dropped looks like any other")
			} else if err == nil {
				continue
			}
			break
		}

		// The other one has fallen behind as far, and goes on where there is more.
		for range 200 {
			h.publish("message", text)
		}
		last := h.publish("message", "the last one")
		place, lost := int64(0), int64(0)
		for place < last {
			got, err := skipping.next()
			if err != nil {
				t.Fatalf("behind %d of %d: %v", place, last, err)
			}
			if got.kind == "lost" {
				n, _ := strconv.ParseInt(got.data, 10, 64)
				lost += n
				place += n
				continue
			}
			if place++; got.id != place {
				t.Fatalf("heard %d in place of %d", got.id, place)
			}
		}
		if t.Logf("%d of %d events are lost", lost, last); lost == 0 {
			t.Error("nothing was lost")
		}
		if n := listening(h); n != 1 {
			t.Errorf("%d are listening, want the one who skips", n)
		}
	})
}

func TestTick(t *testing.T) {
	h := newHub(kept)
	ts := serve(t, h)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { h.tick(ctx, time.Millisecond); close(ended) }()
	e := listen(t, ts.Client(), ts.URL()+"/events", "0")
	for i := range int64(10) {
		if got, err := e.next(); err != nil || got.id != i+1 || got.kind != "tick" {
			t.Errorf("heard %v, %v", got, err)
		}
	}
	stop()
	<-ended
}

func TestCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	for _, version := range []string{"--http1.1", "--http2-prior-knowledge"} {
		h := newHub(kept)
		ts := serve(t, h)
		cmd := exec.CommandContext(t.Context(), curl, version, "-sSN", "--max-time", "120", ts.URL()+"/events?slow=skip")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		e := &ear{t, out, bufio.NewReader(out)}
		if line, err := e.r.ReadString('\n'); line != "retry: 1000\n" {
			t.Errorf("%q, %v", line, err)
		}
		post(t, ts.Client(), ts.URL()+"/events", "hello, all")
		e.want(heard{1, "message", "hello, all"})
		h.close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("curl %s: %v", version, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	ts := serve(t, newHub(kept))
	req, _ := http.NewRequestWithContext(t.Context(), "GET", ts.URL()+"/events", nil)
	req.Header.Set("Last-Event-ID", "the last one")
	resp, err := ts.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 400 {
		t.Error(resp.Status)
	}
	resp, err = ts.Client().Head(ts.URL() + "/events")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Error(resp.Status, resp.Header)
	}
}
