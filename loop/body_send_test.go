package loop_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/loop"
)

// bigLen is the length of a body that no socket buffer holds.
const bigLen = 10 << 20

// scribble overwrites octets that nobody may use any more.
func scribble(b []byte) {
	for len(b) > 0 {
		b = b[copy(b, garbage[:]):]
	}
}

var garbage = [4096]byte([]byte(strings.Repeat("garbage!", 4096/8)))

// A sliceSource yields a slice in pieces of sizes that vary. The piece it lent
// last is overwritten as soon as the loan is over.
type sliceSource struct {
	left     []byte
	lent     []byte
	pulls    int
	lateEnd  bool  // say end with an empty piece of its own
	err      error // in place of the end
	released atomic.Int32
}

func (s *sliceSource) Pull(limit int) ([]byte, bool, error) {
	scribble(s.lent)
	s.lent = nil
	if s.released.Load() > 0 {
		return nil, false, errors.New("pulled after Release")
	}
	if len(s.left) == 0 {
		return nil, true, s.err
	}
	sizes := [...]int{limit, 1, 1000, 1025, 20000, 70000}
	n := min(limit, len(s.left), sizes[s.pulls%len(sizes)])
	s.pulls++
	s.lent = bytes.Clone(s.left[:n])
	s.left = s.left[n:]
	return s.lent, len(s.left) == 0 && !s.lateEnd && s.err == nil, nil
}

func (s *sliceSource) Release() {
	scribble(s.lent)
	s.released.Add(1)
}

// verbs are the ways to send a body. Each returns how often it was released,
// which must become 1.
var verbs = []struct {
	name  string
	large bool // worth ten megabytes beside the others
	send  func(x *loop.Exchange, body []byte, released *atomic.Int32) error
}{
	{"Send", true, func(x *loop.Exchange, body []byte, released *atomic.Int32) error {
		b := bytes.Clone(body)
		err := x.Send(200, b)
		scribble(b) // Send has copied it
		released.Add(1)
		return err
	}},
	{"SendString", false, func(x *loop.Exchange, body []byte, released *atomic.Int32) error {
		released.Add(1)
		return x.SendString(200, string(body))
	}},
	{"SendStatic", true, func(x *loop.Exchange, body []byte, released *atomic.Int32) error {
		released.Add(1)
		return x.SendStatic(200, body)
	}},
	{"SendOwned", true, func(x *loop.Exchange, body []byte, released *atomic.Int32) error {
		b := bytes.Clone(body)
		return x.SendOwned(200, b, func() {
			scribble(b)
			released.Add(1)
		})
	}},
	{"SendSource", true, func(x *loop.Exchange, body []byte, released *atomic.Int32) error {
		return x.SendSource(200, int64(len(body)), countReleases{&sliceSource{left: body}, released})
	}},
	{"SendSourceLateEnd", false, func(x *loop.Exchange, body []byte, released *atomic.Int32) error {
		return x.SendSource(200, int64(len(body)), countReleases{&sliceSource{left: body, lateEnd: true}, released})
	}},
	{"SendSourceUnknownLength", true, func(x *loop.Exchange, body []byte, released *atomic.Int32) error {
		return x.SendSource(200, -1, countReleases{&sliceSource{left: body}, released})
	}},
	{"SendSourceUnknownLengthLateEnd", false, func(x *loop.Exchange, body []byte, released *atomic.Int32) error {
		return x.SendSource(200, -1, countReleases{&sliceSource{left: body, lateEnd: true}, released})
	}},
}

type countReleases struct {
	loop.Source
	n *atomic.Int32
}

func (c countReleases) Release() {
	c.Source.Release()
	c.n.Add(1)
}

// verbServer serves body at /0, /1 … with the verbs in order.
func verbServer(t *testing.T, body []byte, released []atomic.Int32) *testServer {
	return newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("GET /{verb}", func(x *loop.Exchange) {
			i, _ := strconv.Atoi(x.PathValue("verb"))
			_ = verbs[i].send(x, body, &released[i])
		})
	})
}

func setting(id frames.SettingID, v uint32) frames.Setting {
	return frames.Setting{ID: id, Value: v}
}

func initialWindow(v uint32) frames.Setting { return setting(frames.SettingInitialWindowSize, v) }

// TestLargeBodies fetches 10 MiB with every verb through windows of many kinds.
func TestLargeBodies(t *testing.T) {
	t.Parallel()
	body := pattern(bigLen)
	for _, tt := range []struct {
		name  string
		fetch func(ts *testServer, tr transport, path string) (*peer, *answer)
	}{
		{"DefaultWindows", func(ts *testServer, tr transport, path string) (*peer, *answer) {
			p := ts.open(tr)
			return p, p.fetch(path)
		}},
		{"WideWindows", func(ts *testServer, tr transport, path string) (*peer, *answer) {
			p := ts.open(tr, initialWindow(1<<30))
			p.credit = false
			p.grant(0, 1<<30)
			return p, p.fetch(path)
		}},
		{"LargeFrames", func(ts *testServer, tr transport, path string) (*peer, *answer) {
			p := ts.open(tr, initialWindow(1<<30), setting(frames.SettingMaxFrameSize, 1<<20))
			p.grant(0, 1<<30)
			a := p.fetch(path)
			if p.longest <= frames.DefaultMaxFrameSize && tr == cleartext {
				p.t.Errorf("the longest DATA frame has %d octets: SETTINGS_MAX_FRAME_SIZE of 1 MiB is not made use of", p.longest)
			}
			return p, a
		}},
		{"OctetByOctet", fetchOctetByOctet},
		{"WindowBelowZero", fetchBelowZero},
	} {
		t.Run(tt.name, func(t *testing.T) {
			forEachTransport(t, func(t *testing.T, tr transport) {
				released := make([]atomic.Int32, len(verbs))
				ts := verbServer(t, body, released)
				for i, verb := range verbs {
					if !verb.large {
						continue
					}
					t.Run(verb.name, func(t *testing.T) {
						ts.t = t
						p, a := tt.fetch(ts, tr, "/"+strconv.Itoa(i))
						if a.reset || a.status() != "200" {
							t.Errorf("status %q, reset: %v with %v", a.status(), a.reset, a.code)
						}
						wantSame(t, a.body, body)
						wantLength(t, a, verb.name)
						eventually(t, "the release", func() bool { return released[i].Load() == 1 })
						// The connection is as good as before.
						then := p.headers("HEAD", "/nothing/here", true)
						p.flush()
						p.answer(then).want(t, "404", "")
					})
				}
			})
		})
	}
}

func wantLength(t *testing.T, a *answer, verb string) {
	t.Helper()
	want := strconv.Itoa(bigLen)
	if verb == "SendSourceUnknownLength" {
		want = ""
	}
	if got := a.get("content-length"); got != want {
		t.Errorf("content-length is %q, want %q", got, want)
	}
}

// fetchOctetByOctet opens the window of the stream by one octet at a time for
// the first 512: more would be an attack.
func fetchOctetByOctet(ts *testServer, tr transport, path string) (*peer, *answer) {
	p := ts.open(tr, initialWindow(0))
	id := p.get(path)
	a := p.streams[id]
	p.credit = false
	for n := 1; n <= 512; n++ {
		p.grant(id, 1)
		p.until("an octet", func() bool { return len(a.body) == n || a.done() })
	}
	if a.frames != 512 {
		p.t.Errorf("%d DATA frames, want 512", a.frames)
	}
	p.credit = true
	p.grant(id, 1<<20)
	return p, p.answer(id)
}

// fetchBelowZero takes the window away in mid-body, so that it is below zero,
// and opens it again (RFC 9113, Section 6.9.2).
func fetchBelowZero(ts *testServer, tr transport, path string) (*peer, *answer) {
	p := ts.open(tr, initialWindow(1<<20))
	p.credit = false
	p.grant(0, 1<<30)
	id := p.get(path)
	a := p.streams[id]
	p.until("the beginning of the body", func() bool { return len(a.body) >= 64<<10 })
	acked := p.acked
	p.configure(initialWindow(10))
	p.until("the acknowledgement", func() bool { return p.acked > acked })
	p.ping()
	if a.window >= 0 {
		p.t.Fatalf("the window is %d, want it below zero", a.window)
	}
	got := len(a.body)
	p.grant(id, int(-a.window)) // up to zero
	p.ping()
	if len(a.body) != got {
		p.t.Errorf("%d octets came although there was no window", len(a.body)-got)
	}
	p.grant(id, 1)
	p.until("one octet", func() bool { return len(a.body) > got })
	p.ping()
	if len(a.body) != got+1 {
		p.t.Errorf("%d octets came, want 1", len(a.body)-got)
	}
	p.grant(id, 1<<30)
	return p, p.answer(id)
}

// TestSmallBodies fetches bodies of the lengths at which the way out changes.
func TestSmallBodies(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 1023, 1024, 1025, 16383, 16384, 16385, 65535, 65536} {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			body := pattern(n)
			released := make([]atomic.Int32, len(verbs))
			ts := verbServer(t, body, released)
			forEachTransport(t, func(t *testing.T, tr transport) {
				ts.t = t
				p := ts.open(tr)
				for i, verb := range verbs {
					released[i].Store(0)
					a := p.fetch("/" + strconv.Itoa(i))
					a.want(t, "200", string(body))
					eventually(t, "the release", func() bool { return released[i].Load() > 0 })
					p.ping()
					if n := released[i].Load(); n != 1 {
						t.Errorf("%s: %d releases", verb.name, n)
					}
				}
			})
		})
	}
}

// TestBadSources sees sources that fail, or yield what was not announced, end
// in a reset: the client must not take the body for complete.
func TestBadSources(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	body := pattern(100_000)
	for _, tt := range []struct {
		name   string
		length int64
		left   []byte
		late   bool
		err    error
	}{
		{"fails at once", -1, nil, false, boom},
		{"fails at once, length known", 10, nil, false, boom},
		{"fails later", -1, body, false, boom},
		{"fails later, length known", 200_000, body, false, boom},
		{"too short by 1", 100_001, body, false, nil},
		{"too short by 1, late end", 100_001, body, true, nil},
		{"empty", 1, nil, false, nil},
		{"too long by 1", 99_999, body, false, nil},
		{"too long by much", 10, body, false, nil},
		{"not empty", 0, body, false, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var released atomic.Int32
			ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
				srv.Handle("/", func(x *loop.Exchange) {
					src := &sliceSource{left: tt.left, lateEnd: tt.late, err: tt.err}
					_ = x.SendSource(200, tt.length, countReleases{src, &released})
				})
				srv.Handle("/good", loop.Static(200, "text/plain", []byte("good")))
			})
			p := ts.open(cleartext)
			a := p.fetch("/")
			a.wantReset(t, frames.ErrCodeInternal)
			if !bytes.HasPrefix(body, a.body) {
				t.Error("what came is not the beginning of the body")
			}
			p.fetch("/good").want(t, "200", "good")
			if n := released.Load(); n != 1 {
				t.Errorf("%d releases", n)
			}
		})
	}
}

// TestSourceIsAskedWhenThereIsRoom counts what a source yields to a peer that
// does not read.
func TestSourceIsAskedWhenThereIsRoom(t *testing.T) {
	t.Parallel()
	var pulled, released atomic.Int64
	src := sourceFunc{
		pull: func(limit int) ([]byte, bool, error) {
			n := min(limit, 64<<10)
			pulled.Add(int64(n))
			return make([]byte, n), false, nil
		},
		release: func() { released.Add(1) },
	}
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("/", func(x *loop.Exchange) { _ = x.SendSource(200, -1, src) })
	})
	p := ts.open(cleartext)
	p.credit = false
	id := p.get("/")
	a := p.streams[id]
	p.until("what the window allows", func() bool { return len(a.body) == 65535 })
	p.ping()
	if n := pulled.Load(); n != 65535 {
		t.Errorf("%d octets were pulled for a window of 65535", n)
	}
	// The connection's window counts too.
	p.grant(id, 1000)
	p.ping()
	if n := pulled.Load(); n != 65535 {
		t.Errorf("%d octets were pulled beyond the window of the connection", n-65535)
	}
	p.grant(0, 10)
	p.until("ten octets more", func() bool { return len(a.body) == 65545 })
	p.cancel(id)
	p.ping()
	if n := released.Load(); n != 1 {
		t.Errorf("%d releases after RST_STREAM", n)
	}
}

// A sourceFunc is functions as a source.
type sourceFunc struct {
	pull    func(limit int) ([]byte, bool, error)
	release func()
}

func (s sourceFunc) Pull(limit int) ([]byte, bool, error) { return s.pull(limit) }

func (s sourceFunc) Release() {
	if s.release != nil {
		s.release()
	}
}

// TestManyStreams fetches bodies on a hundred streams at once, so that frames
// of different streams mix.
func TestManyStreams(t *testing.T) {
	t.Parallel()
	const streams = 100
	body := pattern(64<<10 + streams)
	ts := newServer(t, loop.Config{}, func(srv *loop.Server) {
		srv.Handle("/{n}", func(x *loop.Exchange) {
			n, _ := strconv.Atoi(x.PathValue("n"))
			_ = verbs[n%len(verbs)].send(x, body[n:], new(atomic.Int32))
		})
	})
	forEachTransport(t, func(t *testing.T, tr transport) {
		ts.t = t
		p := ts.open(tr)
		var ids []frames.StreamID
		for n := range streams {
			ids = append(ids, p.headers("GET", fmt.Sprintf("/%d", n), true))
		}
		p.flush()
		for n, id := range ids {
			a := p.answer(id)
			wantSame(t, a.body, body[n:])
		}
	})
}

// TestStandardClientDownloads lets net/http fetch large bodies, several at once
// on one connection.
func TestStandardClientDownloads(t *testing.T) {
	t.Parallel()
	body := pattern(bigLen)
	released := make([]atomic.Int32, len(verbs))
	ts := verbServer(t, body, released)
	c := ts.client()
	forEachTransport(t, func(t *testing.T, tr transport) {
		var all sync.WaitGroup
		for i, verb := range verbs {
			all.Go(func() {
				resp, err := c.Get(ts.url(tr, "/"+strconv.Itoa(i)))
				if err != nil {
					t.Errorf("%s: %v", verb.name, err)
					return
				}
				defer resp.Body.Close()
				sum := sha256.New()
				n, err := io.Copy(sum, resp.Body)
				if err != nil || [32]byte(sum.Sum(nil)) != sha256.Sum256(body) {
					t.Errorf("%s: %d octets, and not those that were sent: %v", verb.name, n, err)
				}
			})
		}
		all.Wait()
	})
}
