package files

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"slices"
	"strings"
	"testing"
)

func TestParseRanges(t *testing.T) {
	for _, tt := range []struct {
		field string
		want  []span
	}{
		{"bytes=0-0,1000-1009", []span{{0, 1}, {1000, 10}}},
		// In the order in which they were asked for.
		{"bytes=1000-1009,0-0", []span{{1000, 10}, {0, 1}}},
		{"bytes=-1,0-0", []span{{9999, 1}, {0, 1}}},
		// What overlaps, touches or is near becomes one.
		{"bytes=0-100,50-150", []span{{0, 151}}},
		{"bytes=50-150,0-100", []span{{0, 151}}},
		{"bytes=0-99,100-199", []span{{0, 200}}},
		{"bytes=0-99,227-299", []span{{0, 300}}},
		{"bytes=0-99,229-299", []span{{0, 100}, {229, 71}}},
		{"bytes=0-,0-,0-,-10000", []span{{0, 10000}}},
		{"bytes=5000-5001,0-0,4000-4999", []span{{4000, 1002}, {0, 1}}},
		// The last one joins those before it.
		{"bytes=0-0,1000-1000,2000-2000,0-2000", []span{{0, 2001}}},
		{"bytes=9000-9000,0-0,1000-1000,0-1000", []span{{9000, 1}, {0, 1001}}},
		// What cannot be satisfied does not count.
		{"bytes=20000-,0-0,99999-", []span{{0, 1}}},
	} {
		got, verdict := parseRanges(tt.field, 10000)
		if verdict != rangeOK || !slices.Equal(got, tt.want) {
			t.Errorf("%q: %v, %d, want %v", tt.field, got, verdict, tt.want)
		}
	}
	many := "bytes=" + strings.Repeat("0-0,", maxRanges)
	if got, verdict := parseRanges(many, 10000); verdict != rangeOK || len(got) != 1 {
		t.Errorf("as many as there may be: %v, %d", got, verdict)
	}
	if _, verdict := parseRanges(many+"1-1", 10000); verdict != rangeIgnored {
		t.Errorf("one more: verdict %d", verdict)
	}
}

func FuzzParseRanges(f *testing.F) {
	for _, s := range []string{"bytes=0-0", "bytes=-5,7-", "bytes=1-2, 3-4 ,,", "bytes=9-1", "bytes=99999999999999999999-", "x=1-2"} {
		f.Add(s, int64(10))
		f.Add(s, int64(10000))
	}
	f.Fuzz(func(t *testing.T, field string, size int64) {
		if size <= 0 {
			return
		}
		spans, verdict := parseRanges(field, size)
		if (verdict == rangeOK) != (len(spans) > 0) {
			t.Fatalf("verdict %d with %v", verdict, spans)
		}
		slices.SortFunc(spans, func(a, b span) int { return int(min(max(a.start-b.start, -1), 1)) })
		for i, s := range spans {
			if s.start < 0 || s.length <= 0 || s.end() > size || s.end() < s.start {
				t.Fatalf("%v is not within %d octets", s, size)
			}
			if i > 0 && s.start <= spans[i-1].end()+partOverhead {
				t.Fatalf("%v and %v should be one", spans[i-1], s)
			}
		}
	})
}

// TestMultipart has files of each way in which they are sent.
func TestMultipart(t *testing.T) {
	for name, opts := range map[string]Options{
		"cached":     {CacheValid: long, eager: true},
		"not cached": {Cache: -1},
		"cold":       {Cache: -1, noCache: true},
		"tight":      {Cache: -1, MaxBuffered: 1},
	} {
		t.Run(name, func(t *testing.T) { testMultipart(t, opts) })
	}
}

func testMultipart(t *testing.T, opts Options) {
	s := newSite(t, opts)
	for _, n := range []int{2000, smallFile, smallFile + 1, 3 << 20} {
		body := noise(n)
		s.write("a.bin", body)
		for _, spans := range [][]span{
			{{0, 1}, {1000, 10}},
			{{int64(n) - 5, 5}, {0, 100}, {500, 700}},
			{{0, int64(n) / 3}, {int64(n)/3 + 500, int64(n) / 3}},
		} {
			for range 2 {
				s.wantParts(fmt.Sprintf("/a.bin?%d", n), body, spans)
			}
		}
		if opts.eager {
			s.files.cache.clear()
		}
	}
}

// wantParts asks for spans of a file.
func (s *site) wantParts(path string, body []byte, spans []span) {
	s.t.Helper()
	var specs []string
	for _, sp := range spans {
		specs = append(specs, fmt.Sprintf("%d-%d", sp.start, sp.end()-1))
	}
	r := s.get(path, "Range", "bytes="+strings.Join(specs, ", "))
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.StatusCode != 206 || err != nil || kind != "multipart/byteranges" || r.Header.Get("Content-Range") != "" {
		s.t.Fatalf("%s %v: %d, content type %q, Content-Range %q", path, specs, r.StatusCode, r.Header.Get("Content-Type"), r.Header.Get("Content-Range"))
	}
	if r.ContentLength != int64(len(r.body)) {
		s.t.Errorf("%s %v: content-length %d, and %d octets came", path, specs, r.ContentLength, len(r.body))
	}
	parts := multipart.NewReader(strings.NewReader(r.body), params["boundary"])
	for _, sp := range spans {
		p, err := parts.NextRawPart()
		if err != nil {
			s.t.Fatalf("%s %v: %v", path, specs, err)
		}
		got, err := io.ReadAll(p)
		if err != nil || !bytes.Equal(got, body[sp.start:sp.end()]) {
			s.t.Errorf("%s %v: the part of %v is not what is there, or %v", path, specs, sp, err)
		}
		if got, want := p.Header.Get("Content-Range"), contentRange(sp, int64(len(body))); got != want {
			s.t.Errorf("%s %v: Content-Range of a part is %q, want %q", path, specs, got, want)
		}
		if got := p.Header.Get("Content-Type"); got != "application/octet-stream" {
			s.t.Errorf("%s %v: content type of a part is %q", path, specs, got)
		}
	}
	if _, err := parts.NextRawPart(); err != io.EOF {
		s.t.Errorf("%s %v: behind the last part: %v", path, specs, err)
	}
}
