package route

import (
	_ "embed"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
)

// githubAPI is a table of the size and shape of GitHub's REST API, less the
// pairs that conflict by the rules of ServeMux.
//
//go:embed testdata/github.txt
var githubText string

var githubAPI = strings.Split(strings.TrimSuffix(githubText, "\n"), "\n")

// githubPath returns a path that the path of a pattern of githubAPI matches.
func githubPath(pattern string) string {
	segs := strings.Split(pattern, "/")
	for i, s := range segs {
		if strings.HasSuffix(s, "...}") {
			segs[i] = "docs/guide/index.md"
		} else if strings.HasPrefix(s, "{") {
			segs[i] = "some-" + s[1:len(s)-1]
		}
	}
	return strings.Join(segs, "/")
}

// TestServeMuxGitHub compares a large table with a ServeMux: each path with
// each method, and with a segment more, less or changed.
func TestServeMuxGitHub(t *testing.T) {
	var d pair
	for _, p := range githubAPI {
		d.add(t, p)
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, p := range githubAPI {
		_, pathPattern, _ := strings.Cut(p, " ")
		path := githubPath(pathPattern)
		segs := strings.Split(path, "/")
		segs[rnd.IntN(len(segs))] = "issues"
		for _, path := range []string{path, path + "/", path + "/x", path[:strings.LastIndexByte(path, '/')], strings.Join(segs, "/")} {
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT"} {
				r := request{method, "api.github.com", path, ""}
				if r.path != "" {
					d.ask(t, r)
				}
			}
		}
	}
}

// TestBranchyTable compares nodes with few, as many as are scanned, and more
// children with a ServeMux.
func TestBranchyTable(t *testing.T) {
	for n := range 3 * maxScan {
		var d pair
		d.add(t, "/{x}")
		d.add(t, "/{x}/{rest...}")
		for i := range n {
			d.add(t, fmt.Sprintf("/k%d", i))
			d.add(t, fmt.Sprintf("/k%d/z", i))
		}
		for i := range n + 1 {
			d.ask(t, request{"GET", "", fmt.Sprintf("/k%d", i), ""})
			d.ask(t, request{"GET", "", fmt.Sprintf("/%%6b%d", i), ""})
			d.ask(t, request{"GET", "", fmt.Sprintf("/k%d/z", i), ""})
			d.ask(t, request{"GET", "", fmt.Sprintf("/k%d/y", i), ""})
		}
	}
}

// benchPaths are the requests of the benchmarks and of TestAllocs.
var benchPaths = []struct {
	name, method, path string
	status             int
}{
	{"Literal", "GET", "/notifications", 200},
	{"LiteralDeep", "GET", "/gitignore/templates", 200},
	{"LiteralHead", "HEAD", "/user/starred", 200},
	{"Param1", "GET", "/users/octocat", 200},
	{"Param2", "GET", "/repos/golang/go", 200},
	{"Param3", "GET", "/repos/golang/go/pulls/12345/comments", 200},
	{"Backtrack", "GET", "/repos/golang/go/releases/latest/assets", 200},
	{"Rest", "GET", "/repos/golang/go/contents/src/net/http/server.go", 200},
	{"Escaped", "GET", "/users/octo%20cat", 200},
	{"NotFound", "GET", "/repos/golang/go/nothing/here", 404},
	{"NotAllowed", "PUT", "/users/octocat", 405},
}

func newGitHubTable(tb testing.TB) *Table[int] {
	var t Table[int]
	for i, p := range githubAPI {
		if err := t.Add(p, i); err != nil {
			tb.Fatal(err)
		}
	}
	return &t
}

// TestAllocs holds the package to its promise.
func TestAllocs(t *testing.T) {
	table := newGitHubTable(t)
	withHosts := newGitHubTable(t)
	if err := withHosts.Add("example.com/{a}/{b}", -1); err != nil {
		t.Fatal(err)
	}
	for _, b := range benchPaths {
		if b.name == "Escaped" || b.name == "NotAllowed" {
			continue // rare
		}
		for _, table := range []*Table[int]{table, withHosts} {
			for _, host := range []string{"", "example.com", "example.com:443", "[::1]:443", "other.com:80:80"} {
				var m Match[int]
				table.Match(&m, "GET", "", "/a/b/c/d/e/f/g/h", "") // nothing, for nothing
				if n := testing.AllocsPerRun(100, func() { table.Match(&m, b.method, host, b.path, "q=1") }); n != 0 {
					t.Errorf("%s %s at %q: %v allocations", b.method, b.path, host, n)
				}
			}
		}
	}
}

// TestAllocsOfNewMatch: one allocation makes a Match ready for all of a table.
func TestAllocsOfNewMatch(t *testing.T) {
	table := newGitHubTable(t)
	n := testing.AllocsPerRun(100, func() {
		var m Match[int]
		for _, b := range benchPaths {
			if b.status == 200 && b.name != "Escaped" {
				table.Match(&m, b.method, "", b.path, "")
			}
		}
	})
	if n != 1 {
		t.Errorf("%v allocations, want 1", n)
	}
}

func BenchmarkTable(b *testing.B) {
	table := newGitHubTable(b)
	for _, bb := range benchPaths {
		b.Run(bb.name, func(b *testing.B) {
			var m Match[int]
			b.ReportAllocs()
			for b.Loop() {
				table.Match(&m, bb.method, "api.github.com", bb.path, "")
			}
			if m.status() != bb.status {
				b.Fatalf("status %d, want %d", m.status(), bb.status)
			}
		})
	}
}

// BenchmarkServeMux measures ServeMux.Handler, which looks up as ServeHTTP
// does and calls nothing.
func BenchmarkServeMux(b *testing.B) {
	mux := http.NewServeMux()
	for _, p := range githubAPI {
		mux.HandleFunc(p, func(http.ResponseWriter, *http.Request) {})
	}
	for _, bb := range benchPaths {
		b.Run(bb.name, func(b *testing.B) {
			r, err := http.NewRequest(bb.method, bb.path, nil)
			if err != nil {
				b.Fatal(err)
			}
			r.Host = "api.github.com"
			b.ReportAllocs()
			for b.Loop() {
				mux.Handler(r)
			}
		})
	}
}

// BenchmarkChildren measures the two ways of finding a child, to choose maxScan.
func BenchmarkChildren(b *testing.B) {
	words := strings.Fields("assignees branches comments commits contents deployments events forks hooks issues keys labels languages milestones pulls releases stargazers statuses subscribers tags teams topics traffic transfer")
	for _, n := range []int{2, 4, 8, 12, 16, 24} {
		scan := children{texts: words[:n], nodes: make([]*node, n)}
		index := children{index: make(map[string]*node)}
		for _, w := range words[:n] {
			index.index[w] = new(node)
		}
		for name, c := range map[string]*children{"scan": &scan, "index": &index} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				i := 0
				for b.Loop() {
					c.find(words[i])
					if i++; i == n {
						i = 0
					}
				}
			})
		}
	}
}
