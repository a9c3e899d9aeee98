package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/h2loop/h2loop/loop"
	"github.com/h2loop/h2loop/loop/looptest"
)

// TestChromium has a browser open the page over TLS, enter the room and talk: over
// HTTP/2, because the page has come over that, and the server has said that it may.
func TestChromium(t *testing.T) {
	r := newRoom()
	ts := looptest.NewConfig(t, loop.Config{Listeners: []loop.Listener{
		{Address: "127.0.0.1:0", TLS: &tls.Config{}},
		{Address: "127.0.0.1:0", TLS: &tls.Config{NextProtos: []string{"http/1.1"}}},
	}}, r.register)
	t.Cleanup(r.close)
	for i, version := range []string{"HTTP/2.0", "HTTP/1.1"} {
		b := startChromium(t)
		b.call("Page.navigate", map[string]any{"url": "https://" + ts.Server().Addrs()[i].String() + "/"})
		b.wait(`document.title == "chat" && document.readyState == "complete"`)
		b.eval(`document.getElementById("name").value = "browser"; enter.requestSubmit()`)
		b.wait(`lines.textContent.includes("browser has come, over ` + version + `")`)
		if r.count() != 1 {
			t.Errorf("%d people are there", r.count())
		}
		b.eval(`text.value = "hello from Chromium <b>"; speak.requestSubmit()`)
		b.wait(`lines.textContent.includes("browser: hello from Chromium <b>")`)
		r.say(line{"ada", "hello, browser"})
		b.wait(`lines.lastChild.textContent == "ada: hello, browser"`)
		alive := make(chan bool, 1)
		r.each((*socket).ping)
		for answered := false; !answered; answered = <-alive {
			time.Sleep(time.Millisecond)
			r.each(func(s *socket) { alive <- s.alive })
		}
		r.each(func(s *socket) { s.close(4000, "that was it") })
		b.wait(`document.getElementById("status").textContent == "Closed: 4000 that was it"`)
		r.waitFor(t, 0)
		b.quit()
	}
}

// A browser is a page of a Chromium that is told what to do by the DevTools protocol,
// which is over WebSockets too.
type browser struct {
	t    *testing.T
	conn net.Conn
	last int
	quit func()
}

func startChromium(t *testing.T) *browser {
	t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		t.Skip("Chromium is not installed")
	}
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--ignore-certificate-errors", "--remote-debugging-port=0", "--user-data-dir="+dir, "about:blank")
	var log bytes.Buffer
	cmd.Stderr = &log
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // its children end with it
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t}
	b.quit = func() {
		if b.conn != nil {
			b.conn.Close()
		}
		cancel()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("Chromium: %s", log.Bytes())
		}
	}
	t.Cleanup(func() { b.quit() })
	if err := b.connect(dir); err != nil {
		t.Fatalf("Chromium: %v\n%s", err, log.Bytes())
	}
	return b
}

// connect waits until there is a page to talk to.
func (b *browser) connect(dir string) (err error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var port []byte
		if port, err = os.ReadFile(filepath.Join(dir, "DevToolsActivePort")); err != nil {
			continue
		}
		first, _, _ := strings.Cut(string(port), "\n")
		var resp *http.Response
		if resp, err = client.Get("http://127.0.0.1:" + first + "/json/list"); err != nil {
			continue
		}
		var targets []struct {
			Type string `json:"type"`
			URL  string `json:"webSocketDebuggerUrl"`
		}
		err = json.NewDecoder(resp.Body).Decode(&targets)
		resp.Body.Close()
		for _, target := range targets {
			if target.Type == "page" {
				b.conn, _, _, err = ws.Dial(b.t.Context(), target.URL)
				return err
			}
		}
	}
	return fmt.Errorf("no page to talk to: %w", err)
}

// call calls a method and returns its result.
func (b *browser) call(method string, params map[string]any) json.RawMessage {
	b.t.Helper()
	_ = b.conn.SetDeadline(time.Now().Add(60 * time.Second))
	b.last++
	request, err := json.Marshal(map[string]any{"id": b.last, "method": method, "params": params})
	if err != nil {
		b.t.Fatal(err)
	}
	if err := wsutil.WriteClientText(b.conn, request); err != nil {
		b.t.Fatal(err)
	}
	for {
		answer, err := wsutil.ReadServerText(b.conn)
		if err != nil {
			b.t.Fatal(err)
		}
		var a struct {
			ID            int
			Result, Error json.RawMessage
		}
		if err := json.Unmarshal(answer, &a); err != nil {
			b.t.Fatal(err)
		}
		if a.Error != nil {
			b.t.Fatalf("%s: %s", method, a.Error)
		}
		if a.ID == b.last {
			return a.Result
		}
	}
}

// eval runs a script in the page and returns its value.
func (b *browser) eval(script string) any {
	b.t.Helper()
	var got struct {
		Result           struct{ Value any }
		ExceptionDetails json.RawMessage
	}
	if err := json.Unmarshal(b.call("Runtime.evaluate", map[string]any{"expression": script, "returnByValue": true}), &got); err != nil {
		b.t.Fatal(err)
	}
	if got.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", script, got.ExceptionDetails)
	}
	return got.Result.Value
}

// wait waits until a condition holds in the page.
func (b *browser) wait(condition string) {
	b.t.Helper()
	for end := time.Now().Add(30 * time.Second); b.eval(condition) != true; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("not true: %s; the page is\n%v", condition, b.eval("document.documentElement.outerHTML"))
		}
	}
}
