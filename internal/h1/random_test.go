package h1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/h2loop/h2loop/internal/message"
)

// A randomApp answers requests at any time and in any way, with what the request
// says its answer is to be: the path is how many octets.
type randomApp struct {
	*testConn
	rnd      *rand.Rand
	todo     []func() // of the stream in progress
	requests []string // what was asked for, with bodies
	owed     int      // releases
	buf      []byte
}

func (a *randomApp) onRequest(s *Stream) {
	a.requests = append(a.requests, s.Request.Method+" "+s.Request.Path+" ")
	a.todo = nil
	if a.rnd.IntN(2) == 0 || s.RequestEnded() && a.rnd.IntN(2) == 0 {
		a.later(func() { a.begin(s) })
	} else if s.RequestEnded() {
		a.begin(s)
	}
}

func (a *randomApp) onBody(s *Stream, p []byte, end bool) {
	a.requests[len(a.requests)-1] += string(p)
	if a.rnd.IntN(3) > 0 {
		a.c.Consume(s, len(p))
	} else if n := len(p); n > 0 {
		a.later(func() { a.c.Consume(s, n) })
	}
	if end {
		a.requests[len(a.requests)-1] += "."
		a.later(func() { a.begin(s) }) // if it has not
	}
}

func (a *randomApp) later(f func()) { a.todo = append(a.todo, f) }

// begin sends the header section, and something or all of the body.
func (a *randomApp) begin(s *Stream) {
	if s != a.stream || s.Answered() {
		return
	}
	if a.rnd.IntN(4) == 0 {
		mustDo(a.t, a.c.WriteHeaders(s, 103, fields("link", "x"), false))
	}
	var n int
	_, err := fmt.Sscanf(s.Request.Path, "/%d", &n)
	mustDo(a.t, err)
	var f []message.Field
	if a.rnd.IntN(2) == 0 {
		f = fields("content-length", fmt.Sprint(n))
	}
	mustDo(a.t, a.c.WriteHeaders(s, 200, f, n == 0 && a.rnd.IntN(2) == 0))
	if s == a.stream && !s.body.end {
		a.write(s, a.buf[:n])
	}
}

// write sends p, in one way or several, now and later.
func (a *randomApp) write(s *Stream, p []byte) {
	n := len(p)
	if a.rnd.IntN(2) == 0 {
		n = a.rnd.IntN(n + 1)
	}
	end := n == len(p) && a.rnd.IntN(2) == 0
	var err error
	switch a.rnd.IntN(3) {
	case 0:
		err = a.c.Write(s, p[:n], end)
	case 1:
		a.owed++
		err = a.c.WriteRegion(s, p[:n], a.region("all"), end)
	default:
		a.owed++
		mustDo(a.t, a.c.WriteSource(s, &randomSource{a: a, s: s, left: p}))
		return
	}
	mustDo(a.t, err)
	if !end {
		a.later(func() {
			if s == a.stream && !s.body.end {
				a.write(s, p[n:])
			}
		})
	}
}

// A randomSource yields pieces of left, and at times nothing.
type randomSource struct {
	a    *randomApp
	s    *Stream
	left []byte
	lent []byte
}

func (src *randomSource) Pull(most int) ([]byte, bool, error) {
	for i := range src.lent {
		src.lent[i] = '!' // nobody may look at it any more
	}
	if src.a.rnd.IntN(3) == 0 {
		src.a.later(func() { src.a.c.Resume(src.s) })
		return nil, false, nil
	}
	n := src.a.rnd.IntN(min(len(src.left), most) + 1)
	src.lent = bytes.Clone(src.left[:n])
	src.left = src.left[n:]
	if n == 0 && len(src.left) > 0 {
		src.a.later(func() { src.a.c.Resume(src.s) })
	}
	return src.lent, len(src.left) == 0, nil
}

func (src *randomSource) Release() { src.a.region("all").Release() }

// TestRandom has a client pipeline requests of all kinds, and an application that
// answers them in all kinds of ways: each must see what the other has said.
func TestRandom(t *testing.T) {
	for seed := range uint64(300) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { random(t, seed) })
	}
}

func random(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	tc := newTestConn(t, Config{BodyWindow: 1 + rnd.IntN(3000), MaxHeld: 1 << 20})
	tc.quiet = true
	a := &randomApp{testConn: tc, rnd: rnd, buf: []byte(strings.Repeat("0123456789", 10_000))}
	tc.request, tc.body = a.onRequest, a.onBody

	var in strings.Builder
	var requests []string
	var lengths []int
	for range 1 + rnd.IntN(20) {
		n := []int{0, rnd.IntN(10), rnd.IntN(3000), rnd.IntN(100_000)}[rnd.IntN(4)]
		method := []string{"GET", "HEAD", "POST", "POST"}[rnd.IntN(4)]
		body := ""
		fmt.Fprintf(&in, "%s /%d HTTP/1.1\r\nHost: a\r\n", method, n)
		switch rnd.IntN(3) {
		case 0:
			in.WriteString("\r\n")
		case 1:
			body = string(a.buf[:rnd.IntN(5000)])
			fmt.Fprintf(&in, "Content-Length: %d\r\n\r\n%s", len(body), body)
		default:
			in.WriteString("Transfer-Encoding: chunked\r\n\r\n")
			for range rnd.IntN(5) {
				p := string(a.buf[:1+rnd.IntN(2000)])
				fmt.Fprintf(&in, "%x\r\n%s\r\n", len(p), p)
				body += p
			}
			in.WriteString("0\r\n\r\n")
			body += "."
		}
		requests = append(requests, strings.TrimSuffix(fmt.Sprintf("%s /%d %s", method, n, body), "."))
		lengths = append(lengths, n)
	}

	left := []byte(in.String())
	for range 20_000 {
		if len(left) > 0 && !tc.c.WantsPause() {
			n := min(len(left), 1+rnd.IntN(4000))
			mustDo(t, tc.c.Receive(bytes.Clone(left[:n])))
			left = left[n:]
		}
		if len(a.todo) > 0 && rnd.IntN(2) == 0 {
			f := a.todo[0]
			a.todo = a.todo[1:]
			f()
		}
		tc.check()
		tc.turn([]int{0, 10, 1000, 100_000}[rnd.IntN(4)])
		if len(left) == 0 && tc.c.OpenStreams() == 0 && !tc.c.WantsRoom() && !tc.c.HasPending() {
			break
		}
	}
	if len(a.requests) != len(requests) || tc.c.Finished() || tc.c.NeedsTick() {
		t.Fatalf("%d of %d requests, finished %v", len(a.requests), len(requests), tc.c.Finished())
	}
	for i, r := range requests {
		got, whole := strings.CutSuffix(a.requests[i], ".")
		if whole && got != r || !strings.HasPrefix(r, got) {
			t.Fatalf("request %d is %.60q…, want %.60q…", i, got, r)
		}
	}
	if tc.released["all"] != a.owed {
		t.Errorf("%d of %d releases", tc.released["all"], a.owed)
	}
	checkResponses(t, tc.out, a.requests, lengths, a.buf)
}

// checkResponses reads what the client got as net/http does.
func checkResponses(t *testing.T, out []byte, requests []string, lengths []int, buf []byte) {
	t.Helper()
	br := bufio.NewReader(bytes.NewReader(out))
	for i, n := range lengths {
		method, _, _ := strings.Cut(requests[i], " ")
		var r *http.Response
		for r == nil || r.StatusCode == 103 {
			var err error
			r, err = http.ReadResponse(br, &http.Request{Method: method})
			mustDo(t, err)
		}
		if method == "HEAD" {
			n = 0
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || !slices.Equal(body, buf[:n]) {
			t.Fatalf("response %d has %d octets, want %d: %v", i, len(body), n, err)
		}
	}
	if _, err := br.ReadByte(); !errors.Is(err, io.EOF) {
		t.Error("there is more than the responses")
	}
}
