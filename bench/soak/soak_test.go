package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/h2loop/h2loop/internal/leaktest"
)

func TestMain(m *testing.M) { os.Exit(leaktest.Run(m)) }

// TestSoak makes a run of moments: no answer is wrong, and no connection, stream or octet
// is left behind. What grows with time, a moment says nothing of.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes some seconds")
	}
	if raceDetector {
		t.Skip("it is about another process, which is built without the race detector")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	s := settings{length: 2 * time.Second, warm: 500 * time.Millisecond, quiet: 100 * time.Millisecond, rate: 0.5, tell: func(string) {}}
	r, err := soak(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range r.names() {
		if f := r.Actors[name]; f.Failed > 0 {
			t.Errorf("%s: %d of %d: %s", name, f.Failed, f.Done, f.Failures[0])
		}
	}
	for _, c := range r.Checks {
		// Memory and pools are as large as a moment has made them.
		if !c.Good && c.What != "RSS" && c.What != "heap in use" && c.What != "goroutines" && c.What != "descriptors" {
			t.Errorf("%s: %g, then %g; at most %g is good", c.What, c.Before, c.After, c.Bound)
		}
	}
	for _, name := range []string{"small", "probe"} {
		if r.Actors[name] == nil {
			t.Errorf("nothing was done as %q", name)
		}
	}
	if t.Failed() {
		t.Log(r.Open, r.Log)
	}
	checkFiles(t, r)
}

// checkFiles sees the files of a report be well formed.
func checkFiles(t *testing.T, r *report) {
	t.Helper()
	base, err := r.write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for end, check := range map[string]func([]byte) error{
		".json": func(p []byte) error {
			var v struct{ Samples []sample }
			if err := json.Unmarshal(p, &v); err != nil {
				return err
			}
			if len(v.Samples) != len(r.Samples) {
				return errors.New("not all samples")
			}
			return nil
		},
		".svg": func(p []byte) error {
			for d := xml.NewDecoder(bytes.NewReader(p)); ; {
				if _, err := d.Token(); errors.Is(err, io.EOF) {
					return nil
				} else if err != nil {
					return err
				}
			}
		},
		".md": func(p []byte) error {
			if !bytes.Contains(p, []byte("| connections | 0 | 0 |")) {
				return errors.New("no table")
			}
			return nil
		},
	} {
		p, err := os.ReadFile(base + end)
		if err == nil {
			err = check(p)
		}
		if err != nil {
			t.Errorf("%s: %v", end, err)
		}
	}
}

// aReport is of a run of four minutes with a sample a second, whose values are of.
func aReport(of func(at int) sample) *report {
	r := &report{Length: 4 * time.Minute, Marks: []mark{{0, "warm-up"}, {10, "load"}}, Actors: map[string]*figures{}}
	for at := range 250 {
		s := of(at)
		s.At = float64(at)
		r.Samples = append(r.Samples, s)
	}
	return r
}

// TestTrends sees what grows, and only that.
func TestTrends(t *testing.T) {
	wrong := func(r *report) (what []string) {
		for _, c := range r.trends() {
			if !c.Good {
				what = append(what, c.What[strings.Index(c.What, ": ")+2:])
			}
		}
		return what
	}
	steady := aReport(func(at int) sample {
		s := sample{RSS: 50 << 20, Heap: int64(20+at%10) << 20, Files: 100 + at%7, Goroutines: 40 + at%5}
		if at < 60 {
			s.RSS, s.Goroutines = 0, 0 // it may grow to begin with
		}
		if at%50 == 0 {
			s.Files = 5000 // and be more for a moment
		}
		return s
	})
	if what := wrong(steady); len(what) > 0 {
		t.Errorf("%v does not grow", what)
	}
	growing := aReport(func(at int) sample {
		return sample{RSS: int64(at) << 20, Heap: int64(at) << 18, Files: at, Goroutines: at / 4}
	})
	if what := wrong(growing); !slices.Equal(what, []string{"RSS", "heap in use", "descriptors", "goroutines"}) {
		t.Errorf("what grows is only %v", what)
	}
	growing.Length = trendFrom - 1
	if got := growing.trends(); got != nil {
		t.Errorf("a run of moments has trends: %v", got)
	}
}

// TestLeftBehind sees each kind of leak.
func TestLeftBehind(t *testing.T) {
	before := state{RSS: 40 << 20, Heap: 10 << 20, Files: 30, Goroutines: 20, Unread: 1 << 10}
	for _, leak := range []struct {
		what  string // "" for none
		after func(s *state)
	}{
		{"", func(*state) {}},
		{"", func(s *state) {
			s.RSS += moreRSS
			s.Heap += moreHeap
			s.Files += moreFiles
			s.Goroutines += moreGoroutines
		}},
		{"connections", func(s *state) { s.Connections = 1 }},
		{"streams", func(s *state) { s.Streams = 1 }},
		{"handshakes", func(s *state) { s.HandshakesUnderWay = 1 }},
		{"output held", func(s *state) { s.Held = 1 }},
		{"goroutines", func(s *state) { s.Goroutines += moreGoroutines + 1 }},
		{"descriptors", func(s *state) { s.Files += moreFiles + 1 }},
		{"heap in use", func(s *state) { s.Heap += moreHeap + 1 }},
		{"RSS", func(s *state) { s.RSS += moreRSS + 1 }},
	} {
		after := before
		leak.after(&after)
		var what []string
		for _, c := range leftBehind(before, after) {
			if !c.Good {
				what = append(what, c.What)
			}
		}
		if got := strings.Join(what, ", "); got != leak.what {
			t.Errorf("found %q, not %q", got, leak.what)
		}
	}
}

// TestSame finds where a body is another.
func TestSame(t *testing.T) {
	for _, tt := range []struct{ got, want, fault string }{
		{"", "", ""},
		{"abc", "abc", ""},
		{"ab", "abc", "a body of 2 octets, not 3"},
		{"abcd", "abc", "a body of more than 3 octets"},
		{"abd", "abc", "other contents between octets 0 and 3 of 3"},
	} {
		err, fault := same(strings.NewReader(tt.got), []byte(tt.want), nil), ""
		if err != nil {
			fault = err.Error()
		}
		if fault != tt.fault {
			t.Errorf("%q where %q is right: %q, not %q", tt.got, tt.want, fault, tt.fault)
		}
	}
}

// TestServerLog keeps what is worse than a warning, in whatever pieces it comes.
func TestServerLog(t *testing.T) {
	l := &serverLog{}
	text := "{\"level\":\"info\"}\n{\"level\":\"warn\"}\n{\"level\":\"error\",\"message\":\"x\"}\npanic: y\n"
	for i := range len(text) {
		_, _ = l.Write([]byte{text[i]})
	}
	lines, n := l.told()
	if n != 2 || !slices.Equal(lines, []string{`{"level":"error","message":"x"}`, "panic: y"}) || l.String() != text {
		t.Errorf("%d lines are told: %q", n, lines)
	}
}

// TestParseMetrics adds up what has labels.
func TestParseMetrics(t *testing.T) {
	const text = `# HELP x
process_resident_memory_bytes 4.2e+07
go_memstats_heap_inuse_bytes 1
go_goroutines 2
process_open_fds 3
h2loop_connections 4
h2loop_requests_in_progress 0
h2loop_requests_total{pattern="GET /a b",class="2xx"} 5
h2loop_requests_total{pattern="",class="4xx"} 6
`
	v, err := parseMetrics([]byte(text))
	if err != nil || v["h2loop_requests_total"] != 11 || v["process_resident_memory_bytes"] != 42e6 {
		t.Errorf("%v, %v", v, err)
	}
	for _, bad := range []string{"x", "x y\n", strings.Replace(text, "go_goroutines", "goroutines", 1)} {
		if _, err := parseMetrics([]byte(bad)); err == nil {
			t.Errorf("%q is no metrics", bad)
		}
	}
}
