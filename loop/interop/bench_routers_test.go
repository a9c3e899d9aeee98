package interop

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/julienschmidt/httprouter"

	"github.com/h2loop/h2loop/internal/route"
)

// A rival is a router that looks a path up, and calls nothing.
type rival struct {
	name string
	find func(method, path string) (found bool)
}

// BenchmarkRouters looks up the same paths in the same table with loop's router,
// http.ServeMux and httprouter. httprouter knows no precedence between a literal
// and a wildcard: what it refuses is in none of the tables.
func BenchmarkRouters(b *testing.B) {
	rivals := routers(b)
	for _, path := range []string{
		"/notifications",
		"/users/octocat",
		"/repos/golang/go",
		"/repos/golang/go/pulls/12345/comments",
		"/repos/golang/go/contents/src/net/http/server.go",
		"/repos/golang/go/nothing/here",
	} {
		for _, r := range rivals {
			b.Run(r.name+strings.ReplaceAll(path, "/", "."), func(b *testing.B) {
				b.ReportAllocs()
				var found bool
				for b.Loop() {
					found = r.find("GET", path)
				}
				if found == strings.Contains(path, "nothing") {
					b.Fatalf("found: %v", found)
				}
			})
		}
	}
}

// TestRouters sees the routers of the benchmark find the same.
func TestRouters(t *testing.T) {
	rivals := routers(t)
	for _, path := range []string{"/zen", "/users", "/users/u", "/users/u/none", "/repos/o/r/contents/a/b", "/", "/user/keys/k"} {
		for _, method := range []string{"GET", "DELETE"} {
			want := rivals[0].find(method, path)
			for _, r := range rivals[1:] {
				if r.find(method, path) != want {
					t.Errorf("%s %s: %s does not agree with %s, which found: %v", method, path, r.name, rivals[0].name, want)
				}
			}
		}
	}
}

func routers(tb testing.TB) []rival {
	text, err := os.ReadFile("../../internal/route/testdata/github.txt")
	if err != nil {
		tb.Fatal(err)
	}
	radix := httprouter.New()
	var table route.Table[int]
	mux := http.NewServeMux()
	taken := 0
	for pattern := range strings.Lines(string(text)) {
		pattern = strings.TrimSpace(pattern)
		if !addToHTTPRouter(radix, pattern) {
			continue
		}
		taken++
		if err := table.Add(pattern, 0); err != nil {
			tb.Fatal(err)
		}
		mux.HandleFunc(pattern, func(http.ResponseWriter, *http.Request) {})
	}
	if taken < 200 {
		tb.Fatalf("httprouter takes %d patterns", taken)
	}
	var match route.Match[int]
	requests := map[string]*http.Request{} // that ServeMux takes a request is not its look-up's cost
	return []rival{
		{"loop", func(method, path string) bool {
			table.Match(&match, method, "", path, "")
			return match.Found
		}},
		{"ServeMux", func(method, path string) bool {
			r := requests[method+path]
			if r == nil {
				r, _ = http.NewRequest(method, path, nil)
				requests[method+path] = r
			}
			_, pattern := mux.Handler(r)
			return pattern != ""
		}},
		{"httprouter", func(method, path string) bool {
			h, _, _ := radix.Lookup(method, path)
			return h != nil
		}},
	}
}

// addToHTTPRouter adds a pattern of ServeMux, in httprouter's syntax, and reports
// whether that was possible.
func addToHTTPRouter(r *httprouter.Router, pattern string) (ok bool) {
	method, path, _ := strings.Cut(pattern, " ")
	segs := strings.Split(path, "/")
	for i, s := range segs {
		if name, is := strings.CutSuffix(s, "...}"); is {
			segs[i] = "*" + name[1:]
		} else if name, is := strings.CutSuffix(s, "}"); is {
			segs[i] = ":" + name[1:]
		}
	}
	defer func() { ok = recover() == nil }()
	r.Handle(method, strings.Join(segs, "/"), func(http.ResponseWriter, *http.Request, httprouter.Params) {})
	return true
}
