package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/h2loop/h2loop/loop/looptest"
)

// TestTalk has people come, talk and leave, whichever way they have come.
func TestTalk(t *testing.T) {
	r := newRoom()
	ts := serve(t, r)
	ada := dialHTTP1(t, ts, "ada")
	ada.want(line{Text: "ada has come, over HTTP/1.1"})
	bob := dialHTTP2(t, ts, "bob")
	for _, p := range []*person{ada, bob} {
		p.want(line{Text: "bob has come, over HTTP/2.0"})
	}
	for range 10 {
		ada.speak("hello, bob")
		bob.want(line{"ada", "hello, bob"})
		bob.speak("<i>hello</i> Åda")
		ada.want(line{"ada", "hello, bob"}, line{"bob", "<i>hello</i> Åda"})
		bob.want(line{"bob", "<i>hello</i> Åda"})
	}
	bob.leave()
	ada.want(line{Text: "bob has left"})
	r.waitFor(t, 1)
}

// TestFrames sends frames of every kind, also in pieces.
func TestFrames(t *testing.T) {
	forEachVersion(t, func(t *testing.T, dial dialer) {
		ada := dial(t, serve(t, newRoom()), "ada")
		ada.hear()
		for _, octet := range ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte("in pieces")))) {
			if _, err := ada.Write([]byte{octet}); err != nil {
				t.Fatal(err)
			}
		}
		ada.want(line{"ada", "in pieces"})

		ada.write(ws.NewFrame(ws.OpText, false, []byte("in ")))
		ada.write(ws.NewPingFrame([]byte("are you there?")))
		ada.write(ws.NewFrame(ws.OpContinuation, false, nil))
		ada.write(ws.NewFrame(ws.OpContinuation, true, []byte("fragments")))
		if f := ada.frame(); f.Header.OpCode != ws.OpPong || string(f.Payload) != "are you there?" {
			t.Errorf("%v %q in place of a pong", f.Header, f.Payload)
		}
		ada.want(line{"ada", "in fragments"})

		long := strings.Repeat("x", maxMessage)
		ada.speak(long)
		ada.want(line{"ada", long})

		ada.write(ws.NewCloseFrame(ws.NewCloseFrameBody(4321, "bye")))
		ada.wantClosed(4321)
	})
}

// TestClosed sees why the server closes.
func TestClosed(t *testing.T) {
	forEachVersion(t, func(t *testing.T, dial dialer) {
		r := newRoom()
		ts := serve(t, r)
		half := ws.NewFrame(ws.OpText, false, make([]byte, maxMessage/2+1))
		for name, tt := range map[string]struct {
			frames []ws.Frame
			code   ws.StatusCode
		}{
			"too long":             {[]ws.Frame{ws.NewTextFrame(make([]byte, maxMessage+1))}, ws.StatusMessageTooBig},
			"too long in two":      {[]ws.Frame{half, ws.NewFrame(ws.OpContinuation, true, half.Payload)}, ws.StatusMessageTooBig},
			"binary":               {[]ws.Frame{ws.NewBinaryFrame([]byte("x"))}, ws.StatusUnsupportedData},
			"not UTF-8":            {[]ws.Frame{ws.NewTextFrame([]byte{0xff})}, ws.StatusInvalidFramePayloadData},
			"continues nothing":    {[]ws.Frame{ws.NewFrame(ws.OpContinuation, true, nil)}, ws.StatusProtocolError},
			"reserved":             {[]ws.Frame{ws.NewFrame(0x3, true, nil)}, ws.StatusProtocolError},
			"closes with 1005":     {[]ws.Frame{ws.NewCloseFrame(ws.NewCloseFrameBody(1005, ""))}, ws.StatusProtocolError},
			"closes without words": {[]ws.Frame{ws.NewCloseFrame(nil)}, 0},
		} {
			t.Run(name, func(t *testing.T) {
				ada := dial(t, ts, "ada")
				for _, f := range tt.frames {
					ada.write(f)
				}
				ada.wantClosed(tt.code)
				r.waitFor(t, 0)
			})
		}
		t.Run("not masked", func(t *testing.T) {
			ada := dial(t, ts, "ada")
			ws.MustWriteFrame(ada, ws.NewTextFrame([]byte("hello")))
			ada.wantClosed(ws.StatusProtocolError)
		})
		t.Run("drain", func(t *testing.T) {
			ada := dial(t, ts, "ada")
			ada.hear()
			r.close()
			ada.wantClosed(ws.StatusGoingAway)
			dial(t, ts, "late").wantClosed(ws.StatusGoingAway)
			r.waitFor(t, 0)
		})
	})
}

// TestKeepAlive keeps those who answer, and drops those who do not.
func TestKeepAlive(t *testing.T) {
	forEachVersion(t, func(t *testing.T, dial dialer) {
		r := newRoom()
		ts := serve(t, r)
		ada, silent := dial(t, ts, "ada"), dial(t, ts, "silent")
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		// Long enough for ada on a machine that stands still now and then.
		go func() { r.keepAlive(ctx, 3*time.Second); close(ended) }()
		for ada.hear().Text != "silent has left" {
		}
		for {
			if _, err := silent.read(); err != nil {
				break
			}
		}
		stop()
		<-ended
		r.waitFor(t, 1)
	})
}

// TestSlow drops who does not read, and nobody else.
func TestSlow(t *testing.T) {
	forEachVersion(t, func(t *testing.T, dial dialer) {
		r := newRoom()
		ts := serve(t, r)
		ada := dial(t, ts, "ada")
		ada.hear()
		dial(t, ts, "slow")
		ada.want(line{Text: "slow has come, over " + map[bool]string{true: "HTTP/1.1", false: "HTTP/2.0"}[strings.HasSuffix(t.Name(), "1")]})
		said, text := 0, strings.Repeat("x", maxMessage)
		for ; r.count() == 2; said++ {
			ada.speak(text)
			if l := ada.hear(); l.From == "" {
				break
			}
		}
		t.Logf("dropped %d KiB later", said*len(text)>>10)
		r.waitFor(t, 1)
	})
}

// TestRefusals asks for what there is no WebSocket for.
func TestRefusals(t *testing.T) {
	ts := looptest.New(t, newRoom().register)
	url := ts.URL() + "/chat?name=ada"
	upgrade := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="}
	for _, tt := range []struct {
		url    string
		header []string
		status int
		want   string
	}{
		{url, nil, 400, "Bad Request: this is for clients that switch to websocket"},
		{ts.URL() + "/chat?name=", upgrade, 400, "everybody has a name"},
		{url, append(upgrade[:4:4], "Sec-WebSocket-Version", "8"), 426, errVersion.Error()},
		{url, append(upgrade[:6:6], "Sec-WebSocket-Key", "AAAA"), 400, errKey.Error()},
		{url, append(upgrade[:8:8], "Origin", "http://elsewhere.example"), 403, errOrigin.Error()},
	} {
		if status, body := get(t, tt.url, tt.header...); status != tt.status || body != tt.want {
			t.Errorf("%s %v: %d %q, want %d %q", tt.url, tt.header, status, body, tt.status, tt.want)
		}
	}
}
