package route

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestCompare(t *testing.T) {
	for _, tt := range []struct {
		p, q string
		want relation
	}{
		{"/a", "/a", equal},
		{"/a", "/%61", equal},
		{"/{x}", "/{y}", equal},
		{"/a/", "/a/{x...}", equal},
		{"/a/{$}", "/a/%2F", equal},
		{"/a", "/b", disjoint},
		{"/a", "/a/", disjoint},
		{"/a/{$}", "/a/{x}", disjoint},
		{"/a/b", "/a", disjoint},
		{"/{x}/b", "/a/c", disjoint},
		{"/b/{x}", "/c/a", disjoint},
		{"/a/b/c", "/a/{x}", disjoint},
		{"/{x}", "/a", leftMore},
		{"/", "/a", leftMore},
		{"/", "/a/b/", leftMore},
		{"/a/", "/a/{$}", leftMore},
		{"/a/", "/a/{x}/{y}", leftMore},
		{"/a/{x...}", "/a/{x}", leftMore},
		{"/{x}/b", "/a/{y}", overlap},
		{"/{x}/", "/a/{y}", leftMore},
		{"/{x}/b/", "/a/{y}", disjoint},
		{"/{x}/b", "/a/", overlap},
		{"/{x}/{$}", "/a/", overlap},
		{"/a/b/{x}", "/a/{y}/c", overlap},
		{"GET /a", "/a", rightMore},
		{"GET /a", "HEAD /a", leftMore},
		{"GET /a", "POST /a", disjoint},
		{"GET /{x}", "POST /a", disjoint},
		{"GET /{x}", "/a", overlap},
		{"GET /a", "HEAD /{x}", overlap},
		{"GET /a", "/{x}", rightMore},
	} {
		p, err1 := parsePattern(tt.p)
		q, err2 := parsePattern(tt.q)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		inverse := tt.want
		if tt.want == leftMore || tt.want == rightMore {
			inverse = overlap &^ tt.want
		}
		for _, c := range []struct {
			p, q *pattern
			want relation
		}{{p, q, tt.want}, {q, p, inverse}} {
			if got := compareMethods(c.p.method, c.q.method).and(comparePaths(c.p.segs, c.q.segs)); got != c.want {
				t.Errorf("%q and %q: %b, want %b", c.p.text, c.q.text, got, c.want)
			}
		}
	}
}

func TestConflictMessages(t *testing.T) {
	for _, tt := range []struct{ first, second, want string }{
		{"/a", "/a", `both match the same requests`},
		{"GET /{x}/", "GET /{y}/{rest...}", `both match the same requests`},
		{
			"/{x}/b", "/a/{y}",
			`both match paths like "/a/b", and neither is more specific: ` +
				`only "/a/{y}" matches "/a/y", only "/{x}/b" matches "/x/b"`,
		},
		{
			"GET /{b}/b", "GET h/a/{y}", "", // another host
		},
		{
			"h/{a}/b%2F", "h/a/{y}",
			`both match paths like "/a/b%2F", and neither is more specific: ` +
				`only "h/a/{y}" matches "/a/y", only "h/{a}/b%2F" matches "/ax/b%2F"`,
		},
		{
			"/{x}/{$}", "/a/",
			`both match paths like "/a/", and neither is more specific: ` +
				`only "/a/" matches "/a/x", only "/{x}/{$}" matches "/x/"`,
		},
		{"/a", "GET /", `"GET /" matches fewer methods, but more paths`},
		{"GET /", "/a", `"/a" matches more methods, but fewer paths`},
		{"GET /a", "HEAD /{x}", `"HEAD /{x}" matches fewer methods, but more paths`},
		{"GET /", "HEAD /a", ""},
		{"h/", "/a", ""},
	} {
		table := newTable(t, tt.first)
		want := ""
		if tt.want != "" {
			want = fmt.Sprintf("route: pattern %q conflicts with %q: %s", tt.second, tt.first, tt.want)
		}
		got := ""
		if err := table.Add(tt.second, ""); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// TestConflictNamesTheFirst: of many conflicts the error names that with the
// pattern registered first, in whatever order the tree has them.
func TestConflictNamesTheFirst(t *testing.T) {
	table := newTable(t, "/z/{x}/1", "/y/{x}/1", "GET /a/{x}/1", "/x/{x}/1")
	err := table.Add("/{w}/b/1", "")
	if err == nil || !strings.Contains(err.Error(), `conflicts with "/z/{x}/1"`) {
		t.Errorf("got %v", err)
	}
}

// TestConflictTruth checks on patterns at random that the tree finds every
// conflict that comparing each with each finds, and that the examples in the
// message are true.
func TestConflictTruth(t *testing.T) {
	g := generator{rand.New(rand.NewPCG(5, 6))}
	matches := func(p *pattern, path string) bool {
		var table Table[int]
		if err := table.Add("CONNECT "+p.text[strings.IndexByte(p.text, '/'):], 1); err != nil {
			t.Fatal(err)
		}
		var m Match[int]
		table.Match(&m, methodConnect, "", path, "")
		return m.Found
	}
	overlaps := 0
	for range 10000 {
		var table Table[string]
		for range 8 {
			text := g.pattern()
			p, err := parsePattern(text)
			if err != nil {
				continue
			}
			var want *pattern
			for _, q := range table.router.patterns {
				if p.conflicts(q) {
					want = q
					break
				}
			}
			if got := table.router.conflict(p); got != want {
				t.Fatalf("%q among %q: conflicts with %v, want %v", text, table.Patterns(), got, want)
			}
			if want == nil {
				if err := table.Add(text, text); err != nil {
					t.Fatal(err)
				}
				continue
			}
			if comparePaths(p.segs, want.segs) != overlap {
				continue
			}
			overlaps++
			common, left, right := commonPath(p.segs, want.segs), pathOnlyOf(p.segs, want.segs), pathOnlyOf(want.segs, p.segs)
			if !matches(p, common) || !matches(want, common) ||
				!matches(p, left) || matches(want, left) || matches(p, right) || !matches(want, right) {
				t.Fatalf("%q and %q: %s", p.text, want.text, conflictReason(p, want))
			}
		}
	}
	if overlaps < 100 {
		t.Errorf("only %d overlaps", overlaps)
	}
}

func BenchmarkAdd(b *testing.B) {
	for _, n := range []int{200, 2000, 20000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				var table Table[int]
				for i := range n {
					if err := table.Add(fmt.Sprintf("GET /api/{version}/kind%d/{id}/part%d", i/10, i%10), i); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
