package accesslog

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"unicode"

	"github.com/rs/zerolog"

	"github.com/h2loop/h2loop/loop"
	"github.com/h2loop/h2loop/loop/looptest"
)

// openLog opens a log in a file, or at path; text returns what it has logged of its
// own trouble.
func openLog(t *testing.T, format Format, path string) (l *Log, trouble *syncBuffer) {
	t.Helper()
	trouble = &syncBuffer{}
	log := zerolog.New(trouble)
	l, err := Open(Options{Path: path, Format: format, Loops: 2, Logger: &log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l, trouble
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// serve runs a server over TLS that logs to l. The returned function ends it, and then
// the log.
func serve(t *testing.T, l *Log) (*looptest.Server, func()) {
	s := looptest.NewConfig(t, loop.Config{
		Loops: 2, Hooks: l.Hooks(loop.Hooks{}),
		Listeners: []loop.Listener{{Address: "127.0.0.1:0", TLS: &tls.Config{}}},
	}, func(srv *loop.Server) {
		srv.Handle("GET /items/{id...}", func(x *loop.Exchange) { _ = x.SendString(200, "hello") })
		srv.Handle("POST /items/{id...}", func(x *loop.Exchange) {
			_ = x.ReadBody(0, func(x *loop.Exchange, _ []byte) { _ = x.Send(204, nil) })
		})
	})
	return s, func() {
		s.Close()
		l.Close()
	}
}

func request(t *testing.T, c *http.Client, method, url, body string, headers ...string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
}

// plaintext asks in cleartext where TLS is spoken, which is refused before it is a request.
func plaintext(t *testing.T, addr string) {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_, _ = io.WriteString(nc, "GET / HTTP/1.1\r\n\r\n")
	if b, err := io.ReadAll(nc); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 400 ") {
		t.Errorf("%q, %v", b, err)
	}
}

// evil is what a peer may send in a field: quotes, backslashes, a line end in
// Unicode, an escape sequence of C1, and text from right to left.
const evil = "a\"b\\c\t\u2028\u009b31mred\u202e\x80end"

// TestFormats logs requests, among them those of a peer that means ill.
func TestFormats(t *testing.T) {
	for format, wants := range map[Format][]string{
		JSON: {
			`^\{"level":"info","remote":"127\.0\.0\.1:\d+","method":"GET","target":"/items/1\?q=2","protocol":"HTTP/2.0","host":"127\.0\.0\.1:\d+","status":200,"received":0,"sent":5,"duration_ms":\d+\.\d{3},"referer":"http://a/","user_agent":"ua","tls":"1.3","resumed":false,"pattern":"GET /items/\{id\.\.\.\}","time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z","message":"request"\}$`,
			`"method":"POST".*"status":204,"received":9,"sent":0,`,
			`"user_agent":"a\\"b\\\\c\\u0009\\u2028\\u009b31mred\\u202e\\ufffdend"`,
			`"remote":"127\.0\.0\.1:\d+","target":"","protocol":"HTTP/1.1","status":400,"received":0,"sent":[1-9]\d,.*"error":`,
			`"protocol":"HTTP/1.1".*"status":404,.*"user_agent":"Go-http-client/1.1","tls":"1.3","resumed":(true|false),"time"`,
		},
		Common: {
			`^127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET /items/1\?q=2 HTTP/2.0" 200 5$`,
			`"POST /items/1\?q=2 HTTP/2.0" 204 -$`, `"GET /items/%0Ax%22 HTTP/2.0" 200 5$`, `"GET /nowhere HTTP/1.1" 404 \d+$`,
			`\] "-" 400 [1-9]\d$`,
		},
		Combined: {
			`"GET /items/1\?q=2 HTTP/2.0" 200 5 "http://a/" "ua"$`,
			`"POST /items/1\?q=2 HTTP/2.0" 204 - "-" "Go-http-client/2.0"$`,
			`"-" "a\\"b\\\\c\\x09\\xe2\\x80\\xa8\\xc2\\x9b31mred\\xe2\\x80\\xae\\x80end"$`,
			`"GET /nowhere HTTP/1.1" 404 \d+ "-" "Go-http-client/1.1"$`,
			`\] "-" 400 [1-9]\d "-" "-"$`,
		},
	} {
		t.Run(format.String(), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "access.log")
			l, trouble := openLog(t, format, path)
			s, end := serve(t, l)
			request(t, s.Client(), "GET", s.URL()+"/items/1?q=2", "", "referer", "http://a/", "user-agent", "ua")
			request(t, s.Client(), "POST", s.URL()+"/items/1?q=2", "some body")
			request(t, s.Client(), "GET", s.URL()+"/items/%0Ax%22", "", "user-agent", evil)
			request(t, s.Client1(), "GET", s.URL()+"/nowhere", "")
			plaintext(t, strings.TrimPrefix(s.URL(), "https://"))
			end()
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
			if len(lines) != len(wants) || l.Written() != uint64(len(wants)) || l.Dropped() != 0 {
				t.Fatalf("%d lines, %d written, %d dropped: %s", len(lines), l.Written(), l.Dropped(), text)
			}
			for _, want := range wants { // loops mix
				found := false
				for _, line := range lines {
					found = found || regexp.MustCompile(want).MatchString(line)
				}
				if !found {
					t.Errorf("no line like %s in\n%s", want, text)
				}
			}
			for _, line := range lines {
				checkPlain(t, line)
				if format == JSON && !json.Valid([]byte(line)) {
					t.Errorf("no JSON: %s", line)
				}
			}
			if trouble.String() != "" {
				t.Error(trouble)
			}
		})
	}
}

// checkPlain fails the test if a terminal would do anything but show s.
func checkPlain(t *testing.T, s string) {
	t.Helper()
	for _, r := range s {
		if r != unicode.ReplacementChar && !unicode.IsPrint(r) {
			t.Errorf("%U in %q", r, s)
		}
	}
}

// FuzzEscape escapes any text: what comes of it can be shown, stays on its line and
// within its quotes, and is, in JSON, the same text.
func FuzzEscape(f *testing.F) {
	for _, s := range []string{"", "plain", evil, "\r\n", "\x1b[31m", "\x7f", "\U000e0001", "\ufffd", "ü", "日本", "\xff\xfe"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text := `"` + string(appendEscaped(nil, s)) + `"`
		checkPlain(t, text)
		var back string
		if err := json.Unmarshal([]byte(text), &back); err != nil || back != strings.ToValidUTF8(s, "\ufffd") && !strings.Contains(back, "\ufffd") {
			t.Errorf("%q has become %s: %q, %v", s, text, back, err)
		}
		apache := string(appendApacheText(nil, s))
		for i := range len(apache) {
			if c := apache[i]; c < ' ' || c > '~' {
				t.Errorf("%q in %q", c, apache)
			}
		}
		if quotes := regexp.MustCompile(`(^|[^\\])(\\\\)*"`); quotes.MatchString(apache) {
			t.Errorf("%q ends its quotes", apache)
		}
	})
}

// TestRotation moves the file away while requests are served: no line is lost.
func TestRotation(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "access.log")
	l, _ := openLog(t, JSON, path)
	s, end := serve(t, l)
	const requests = 400
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for range requests / 4 {
				request(t, s.Client(), "GET", s.URL()+"/items/1", "")
			}
		})
	}
	for i := range 5 {
		old := filepath.Join(dir, string(rune('a'+i)))
		if err := os.Rename(path, old); err != nil {
			t.Fatal(err)
		}
		if err := l.Reopen(); err != nil {
			t.Fatal(err)
		}
	}
	clients.Wait()
	end()
	if err := l.Reopen(); err == nil {
		t.Error("opened once more after Close")
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	n := 0
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		n += bytes.Count(text, newline)
	}
	if len(files) != 6 || n != requests {
		t.Errorf("%d lines in %d files, want %d in 6", n, len(files), requests)
	}
}

// TestReopenFails keeps the file when there is no other.
func TestReopenFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l, _ := openLog(t, JSON, filepath.Join(dir, "access.log"))
	s, end := serve(t, l)
	moved := dir + ".old"
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	request(t, s.Client(), "GET", s.URL()+"/items/1", "")
	end()
	if text, err := os.ReadFile(filepath.Join(moved, "access.log")); err != nil || bytes.Count(text, newline) != 1 {
		t.Errorf("%q, %v", text, err)
	}
}

// TestFullDisk serves on while there is no room for the log, and says so once.
func TestFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	l, trouble := openLog(t, JSON, "/dev/full")
	s, end := serve(t, l)
	for range 20 {
		request(t, s.Client(), "GET", s.URL()+"/items/1", "")
	}
	end()
	if l.Dropped() != 20 || l.Written() != 0 {
		t.Errorf("%d dropped, %d written", l.Dropped(), l.Written())
	}
	if n := strings.Count(trouble.String(), "no space left on device"); n < 1 || n > 2 {
		t.Errorf("said %d times: %s", n, trouble)
	}
}

// A tornFile takes so many octets.
type tornFile struct {
	bytes.Buffer
	room int
}

func (f *tornFile) Write(p []byte) (int, error) {
	n := min(len(p), f.room)
	f.room -= n
	f.Buffer.Write(p[:n])
	if n < len(p) {
		return n, io.ErrShortWrite
	}
	return n, nil
}

// TestTornLine has room end within a line: those that come later are whole.
func TestTornLine(t *testing.T) {
	f := &tornFile{room: 6}
	log := zerolog.Nop()
	l := &Log{opts: Options{Logger: &log}, out: f}
	l.put([]byte("one\ntwo\nthree\n"))
	l.put([]byte("four\n"))
	f.room = 100
	l.put([]byte("five\n"))
	if f.String() != "one\ntw\nfive\n" || l.Written() != 2 || l.Dropped() != 3 {
		t.Errorf("%q, %d written, %d dropped", f.String(), l.Written(), l.Dropped())
	}
}

// A stuckFile takes nothing until it is let go.
type stuckFile struct {
	entered, free chan struct{}
	once          sync.Once
}

func (f *stuckFile) Write(p []byte) (int, error) {
	f.once.Do(func() { close(f.entered) })
	<-f.free
	return len(p), nil
}

// TestStuck has a file that does not take lines: requests are served, what waits is
// bounded, and the rest is counted.
func TestStuck(t *testing.T) {
	l, trouble := openLog(t, JSON, "-")
	stuck := &stuckFile{entered: make(chan struct{}), free: make(chan struct{})}
	l.out = stuck // the writer's own, who is at rest until there is a line
	s, end := serve(t, l)
	agent := strings.Repeat("a", 2000)
	request(t, s.Client(), "GET", s.URL()+"/items/1", "", "user-agent", agent)
	<-stuck.entered
	sent := 1
	for ; l.Dropped() == 0; sent++ {
		if sent > 3*maxBuffer/2000 {
			t.Fatal("nothing is dropped")
		}
		request(t, s.Client(), "GET", s.URL()+"/items/1", "", "user-agent", agent)
	}
	for i := range l.buffers {
		b := &l.buffers[i]
		b.mu.Lock()
		if cap(b.lines) > 2*maxBuffer {
			t.Errorf("%d octets wait", cap(b.lines))
		}
		b.mu.Unlock()
	}
	close(stuck.free)
	end()
	if l.Written()+l.Dropped() != uint64(sent) {
		t.Errorf("%d requests, %d written, %d dropped", sent, l.Written(), l.Dropped())
	}
	if !strings.Contains(trouble.String(), "were dropped") {
		t.Error("nothing was said")
	}
}

// within runs f on the loop, with a hook that logs a request.
func within(t testing.TB, l *Log, f func(log func())) {
	t.Helper()
	done := make(chan struct{})
	hook := l.Hooks(loop.Hooks{}).RequestDone
	srv, err := loop.New(loop.Config{
		Loops: 1, SlowCallback: -1,
		Listeners: []loop.Listener{{Address: "127.0.0.1:0"}},
		Hooks: loop.Hooks{RequestDone: func(x *loop.Exchange, d loop.RequestInfo) {
			f(func() { hook(x, d) })
			close(done)
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Handle("GET /items/{id}", func(x *loop.Exchange) { _ = x.SendString(200, "") })
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(context.Background()) }()
	resp, err := http.Get("http://" + srv.Addrs()[0].String() + "/items/1")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	<-done
	http.DefaultClient.CloseIdleConnections()
	if err := srv.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// TestAllocs counts what a line costs.
func TestAllocs(t *testing.T) {
	for _, format := range []Format{JSON, Common, Combined} {
		l, _ := openLog(t, format, os.DevNull)
		var allocs float64
		within(t, l, func(log func()) {
			for i := range l.buffers { // are as large as they will be
				b := &l.buffers[i]
				b.mu.Lock()
				b.lines, b.spare = append(make([]byte, 0, maxBuffer), b.lines...), make([]byte, 0, maxBuffer)
				b.mu.Unlock()
			}
			allocs = testing.AllocsPerRun(1000, log)
		})
		if allocs != 0 {
			t.Errorf("%v: %v allocations", format, allocs)
		}
	}
}

// BenchmarkLine measures what a line costs its loop.
func BenchmarkLine(b *testing.B) {
	for _, format := range []Format{JSON, Common, Combined} {
		b.Run(format.String(), func(b *testing.B) {
			log := zerolog.Nop()
			l, err := Open(Options{Path: os.DevNull, Format: format, Loops: 1, Logger: &log})
			if err != nil {
				b.Fatal(err)
			}
			within(b, l, func(log func()) {
				b.ReportAllocs()
				for b.Loop() {
					log()
				}
			})
			b.ReportMetric(float64(l.Dropped()), "dropped")
			l.Close()
		})
	}
}
