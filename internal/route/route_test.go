package route

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// newTable returns a table whose values are its patterns.
func newTable(t *testing.T, patterns ...string) *Table[string] {
	t.Helper()
	var table Table[string]
	for _, p := range patterns {
		if err := table.Add(p, p); err != nil {
			t.Fatal(err)
		}
	}
	return &table
}

// describe puts the whole of an outcome in a line.
func describe(m *Match[string]) string {
	var b strings.Builder
	switch {
	case m.BadPath:
		b.WriteString("400")
	case m.ServerOptions:
		b.WriteString("server")
	case m.Redirect != "":
		fmt.Fprintf(&b, "%d %s", m.RedirectStatus, m.Redirect)
	case m.Allow != "":
		b.WriteString("405 " + m.Allow)
	case m.Found:
		b.WriteString(m.Value)
	default:
		b.WriteString("404")
	}
	for name, value := range m.PathValues() {
		fmt.Fprintf(&b, " %s=%q", name, value)
	}
	return b.String()
}

func TestMatch(t *testing.T) {
	table := newTable(t,
		"GET /items",
		"GET /items/{id}",
		"GET /items/latest",
		"DELETE /items/{id}",
		"GET /items/{id}/parts/{part}",
		"POST /items/{id}/{action}",
		"/files/{rest...}",
		"GET /files/secret/{$}",
		"/docs/",
		"/docs/{$}",
		"GET /docs/faq",
		"HEAD /ping",
		"GET /ping",
		"CONNECT /tunnel/{name}",
		"/ws/{room}/",
		"/a%2Fb/{x}",
		"GET /sp ace",
		"GET /100%25",
		"GET /x%2Fy",
		"GET /any/{x...}",
		"example.com/",
		"GET example.com/items/{id}",
		"POST example.com/upload",
		"[::1]/bracketed",
		"::1/bare",
		"example.com:8443/tunnel/{name}",
		"POST example.com:8443/{$}",
	)
	for _, tt := range []struct{ request, want string }{
		// The most specific pattern wins, whatever the order.
		{"GET /items", "GET /items"},
		{"GET /items/7", `GET /items/{id} id="7"`},
		{"GET /items/latest", "GET /items/latest"},
		{"DELETE /items/latest", `DELETE /items/{id} id="latest"`},
		{"GET /items/latest/parts/2", `GET /items/{id}/parts/{part} id="latest" part="2"`},
		{"POST /items/7/open", `POST /items/{id}/{action} id="7" action="open"`},

		// GET serves HEAD unless HEAD is served.
		{"HEAD /items/7", `GET /items/{id} id="7"`},
		{"HEAD /ping", "HEAD /ping"},
		{"GET /ping", "GET /ping"},

		// What is known under other methods, and what is not known.
		{"PUT /items/7", "405 DELETE, GET, HEAD"},
		{"PUT /items", "405 GET, HEAD"},
		{"OPTIONS /ping", "405 GET, HEAD"},
		{"get /ping", "405 GET, HEAD"},
		{"PUT /any", "405 GET, HEAD"}, // which would get its slash
		{"GET /nothing", "404"},
		{"GET /items/7/parts", "405 POST"},
		{"GET /items/", "404"},
		{"GET /", "404"},

		// Rests and trailing slashes.
		{"GET /files/a/b/c.txt", `/files/{rest...} rest="a/b/c.txt"`},
		{"GET /files/", `/files/{rest...} rest=""`},
		{"GET /files/secret/", "GET /files/secret/{$}"},
		{"GET /files/secret", "307 /files/secret/"},
		{"POST /files/secret", `/files/{rest...} rest="secret"`},
		{"GET /files/secret/x/", `/files/{rest...} rest="secret/x/"`},
		{"GET /files", "307 /files/"},
		{"POST /files?x=1&y=%20", "307 /files/?x=1&y=%20"},
		{"GET /docs/", "/docs/{$}"},
		{"GET /docs/x", "/docs/"},
		{"GET /docs/faq", "GET /docs/faq"},
		{"POST /docs/faq", "/docs/"},
		{"GET /docs", "307 /docs/"},
		{"GET /ws/red", "307 /ws/red/"},
		{"GET /ws/red/", `/ws/{room}/ room="red"`},

		// Paths that are not clean go to those that are, known or not.
		{"GET //items", "307 /items"},
		{"GET /items/./7", "307 /items/7"},
		{"GET /x/../items/7?q", "307 /items/7?q"},
		{"GET /..", "307 /"},
		{"GET /nothing/", "404"},
		{"GET /nothing//", "307 /nothing/"},
		{"GET /files//", "307 /files/"},
		{"GET /x/../files", "307 /files/"},
		{"GET //evil.example/x", "307 /evil.example/x"},
		{`GET /\evil.example/..`, "307 /"},
		{"GET ?q", "307 /?q"}, // http://host?q

		// Segments are unescaped one by one.
		{"GET /items/a%2Fb", `GET /items/{id} id="a/b"`},
		{"GET /items/%7", "400"},
		{"GET /items/7%25", `GET /items/{id} id="7%"`},
		{"GET /items/%6Catest", "GET /items/latest"},
		{"GET /%69tems", "GET /items"},
		{"GET /a%2Fb/c", `/a%2Fb/{x} x="c"`},
		{"GET /a%2fb/c", `/a%2Fb/{x} x="c"`},
		{"GET /a/b/c", "404"},
		{"GET /sp%20ace", "GET /sp ace"},
		{"GET /sp ace", "GET /sp ace"},
		{"GET /100%25", "GET /100%25"},
		{"GET /100%", "400"},
		{"GET /x%2fy", "GET /x%2Fy"},
		{"GET /x/y", "404"},
		{"GET /items/é", `GET /items/{id} id="é"`},
		{"GET /items/%C3%A9", `GET /items/{id} id="é"`},
		{"GET /files/a%2Fb/c%20d", `/files/{rest...} rest="a/b/c d"`},
		{"GET /items/%2e%2e", `GET /items/{id} id=".."`},
		{"GET /items/{7}", `GET /items/{id} id="{7}"`},
		{"GET /items/a%2Fb{", `405 POST`},      // whose EscapedPath is /items/a/b%7B
		{"GET /items/%2F", "404"},              // a lone slash is no wildcard's
		{"GET /docs/%2F", "/docs/{$}"},         // but it is {$}'s
		{"GET /ws/a%2Fb", "307 /ws/a%2Fb/"},    // the escapes stay
		{"GET //a%20b", "307 /a%20b"},          // and are not escaped
		{"GET //ws/é", "307 /ws/%C3%A9/"},      // a Location is ASCII
		{"GET /files?é", "307 /files/?%c3%a9"}, // all of it

		// What is no path.
		{"GET items", "400"},
		{"GET *", "400"},
		{"OPTIONS *", "server"},
		{"OPTIONS *?q", "400"},
		{"GET /items\x00", "400"},
		{"GET /items\x7f", "400"},
		{"GET /items?a\nb", "400"},

		// Hosts.
		{"GET example.com/x", "example.com/"},
		{"GET example.com:443/x", "example.com/"},
		{"GET example.com/items/7", `GET example.com/items/{id} id="7"`},
		{"GET example.com:/items", "example.com/"},
		{"GET EXAMPLE.com/items", "GET /items"},
		{"GET other.org/items", "GET /items"},
		{"PUT example.com/upload", "example.com/"},
		{"GET [::1]/bracketed", "[::1]/bracketed"},
		{"GET [::1]:80/bracketed", "404"},
		{"GET [::1]:80/bare", "::1/bare"},

		// CONNECT: neither cleaned nor freed of its port.
		{"CONNECT /tunnel/x", `CONNECT /tunnel/{name} name="x"`},
		{"CONNECT /tunnel//", "404"},
		{"CONNECT /tunnel/../items", "404"},
		{"CONNECT example.com:8443/tunnel/x", `example.com:8443/tunnel/{name} name="x"`},
		{"CONNECT example.com:443/tunnel/x", `CONNECT /tunnel/{name} name="x"`},
		{"CONNECT /docs", "307 /docs/"},
		{"CONNECT /docs/../docs", "/docs/"},
		{"CONNECT /ws/..", "307 /"},
		{"CONNECT example.com:443", "404"},
		{"CONNECT example.com:8443", "405 POST"},
	} {
		method, target, _ := strings.Cut(tt.request, " ")
		target, query, _ := strings.Cut(target, "?")
		host, path := "", target
		if i := strings.IndexByte(target, '/'); i > 0 {
			host, path = target[:i], target[i:]
		} else if method == "CONNECT" && i < 0 {
			host, path = target, ""
		}
		var m Match[string]
		table.Match(&m, method, host, path, query)
		if got := describe(&m); got != tt.want {
			t.Errorf("%q:\ngot  %s\nwant %s", tt.request, got, tt.want)
		}
	}
}

// TestBacktrack: what looked best at one segment may fail at the next.
func TestBacktrack(t *testing.T) {
	table := newTable(t, "/a/b/z", "/a/{x}/c", "/a/{x}/{y}/d", "/a/{rest...}", "/{all...}")
	for _, tt := range []struct{ path, want string }{
		{"/a/b/z", "/a/b/z"},
		{"/a/b/c", `/a/{x}/c x="b"`},
		{"/a/b/z/d", `/a/{x}/{y}/d x="b" y="z"`},
		{"/a/b/c/e", `/a/{rest...} rest="b/c/e"`},
		{"/a/b/z/", `/a/{rest...} rest="b/z/"`},
		{"/b/b/z", `/{all...} all="b/b/z"`},
	} {
		var m Match[string]
		table.Match(&m, "GET", "", tt.path, "")
		if got := describe(&m); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.path, got, tt.want)
		}
	}
}

// TestEmptySegments pins what differs from ServeMux: only CONNECT can bring an
// empty segment, and it is a segment like others.
func TestEmptySegments(t *testing.T) {
	table := newTable(t, "/a//b", "/a/{x}/b", "/c/{x}/c/{y}/d", "/r/{rest...}")
	for _, tt := range []struct{ method, path, want string }{
		{"CONNECT", "/a//b", "/a//b"},
		{"GET", "/a//b", "307 /a/b"},
		{"GET", "/a/x/b", `/a/{x}/b x="x"`},
		{"CONNECT", "/c//c/", "404"},
		{"CONNECT", "/c//c//d", `/c/{x}/c/{y}/d x="" y=""`},
		{"CONNECT", "/r//x", `/r/{rest...} rest="/x"`},
	} {
		var m Match[string]
		table.Match(&m, tt.method, "", tt.path, "")
		if got := describe(&m); got != tt.want {
			t.Errorf("%s %s: got %s, want %s", tt.method, tt.path, got, tt.want)
		}
	}
}

// TestConnectPattern: the Pattern of a redirect is for logs and metrics, and
// so never what the peer made up.
func TestConnectPattern(t *testing.T) {
	table := newTable(t, "/{x}/")
	var m Match[string]
	for _, method := range []string{"CONNECT", "GET"} {
		table.Match(&m, method, "", "/made-up", "")
		if m.Redirect != "/made-up/" || m.Pattern != "/{x}/" || m.Found || m.Value != "" {
			t.Errorf("%s: %+v", method, m)
		}
	}
}

// TestMatchReuse looks up one after the other with one Match: nothing of an
// outcome may show in the next.
func TestMatchReuse(t *testing.T) {
	table := newTable(t, "GET /{a}/{b}/{c}", "GET /one/{a}", "GET /dir/{$}", "/")
	var m Match[string]
	for _, tt := range []struct{ method, path, want string }{
		{"GET", "/x/y/z", `GET /{a}/{b}/{c} a="x" b="y" c="z"`},
		{"GET", "/one/1", `GET /one/{a} a="1"`},
		{"GET", "/dir", "307 /dir/"},
		{"GET", "/dir/", "GET /dir/{$}"},
		{"GET", "/%", "400"},
		{"OPTIONS", "*", "server"},
		{"GET", "/one", "/"},
	} {
		table.Match(&m, tt.method, "", tt.path, "")
		if got := describe(&m); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.path, got, tt.want)
		}
		if got := m.PathValue("c"); (got != "") != (tt.path == "/x/y/z") {
			t.Errorf("%s: PathValue(c) = %q", tt.path, got)
		}
	}
}

func TestReset(t *testing.T) {
	table := newTable(t, "/{a}/{b}")
	var m Match[string]
	table.Match(&m, "GET", "", "/x/y", "")
	values := m.search.values
	m.Reset()
	if m.Found || m.Pattern != "" || m.Value != "" || m.PathValue("a") != "" {
		t.Errorf("after Reset: %+v", m)
	}
	if values[0] != "" || values[1] != "" {
		t.Errorf("Reset keeps %q alive", values)
	}
	if n := testing.AllocsPerRun(10, func() { table.Match(&m, "GET", "", "/x/y", ""); m.Reset() }); n != 0 {
		t.Errorf("%v allocations after Reset", n)
	}
}

func TestPatterns(t *testing.T) {
	table := newTable(t, "GET /b", "/a/{x}", "example.com/")
	if err := table.Add("/a/{y}", ""); err == nil {
		t.Fatal("no conflict")
	}
	if got, want := fmt.Sprint(table.Patterns()), "[GET /b /a/{x} example.com/]"; got != want {
		t.Errorf("Patterns() = %s, want %s", got, want)
	}
}

// TestManyGoroutines is for the race detector.
func TestManyGoroutines(t *testing.T) {
	table := newTable(t, "GET /items/{id}", "example.com/{rest...}", "/dir/", "POST /x")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			var m Match[string]
			for range 200 {
				for _, path := range []string{"/items/7", "/items/%37", "/dir", "/x", "//x", "/nothing"} {
					for _, host := range []string{"", "example.com:1"} {
						table.Match(&m, "GET", host, path, "")
					}
				}
			}
		})
	}
	wg.Wait()
}

func Example() {
	var table Table[string]
	for _, pattern := range []string{"GET /items/{id}", "/files/{rest...}"} {
		if err := table.Add(pattern, "the handler of "+pattern); err != nil {
			panic(err)
		}
	}
	fmt.Println(table.Add("GET /{kind}/new", "never"))

	var m Match[string]
	for _, path := range []string{"/items/42", "/files/a/b.txt", "/files"} {
		table.Match(&m, "GET", "example.com", path, "")
		fmt.Printf("%s: %q id=%q rest=%q redirect=%q\n", path, m.Value, m.PathValue("id"), m.PathValue("rest"), m.Redirect)
	}
	table.Match(&m, "PUT", "example.com", "/items/42", "")
	fmt.Println("Allow:", m.Allow)
	// Output:
	// route: pattern "GET /{kind}/new" conflicts with "GET /items/{id}": both match paths like "/items/new", and neither is more specific: only "GET /{kind}/new" matches "/kind/new", only "GET /items/{id}" matches "/items/id"
	// /items/42: "the handler of GET /items/{id}" id="42" rest="" redirect=""
	// /files/a/b.txt: "the handler of /files/{rest...}" id="" rest="a/b.txt" redirect=""
	// /files: "" id="" rest="" redirect="/files/"
	// Allow: GET, HEAD
}
