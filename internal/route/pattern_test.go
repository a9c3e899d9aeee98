package route

import (
	"net/http"
	"strings"
	"testing"
)

func TestParsePattern(t *testing.T) {
	lit := func(text string) segment { return segment{literal, text} }
	for _, tt := range []struct {
		in, method, host string
		segs             []segment
	}{
		{"/", "", "", []segment{{kind: rest}}},
		{"/{$}", "", "", []segment{lit("/")}},
		{"/a", "", "", []segment{lit("a")}},
		{"/a/", "", "", []segment{lit("a"), {kind: rest}}},
		{"/a/{$}", "", "", []segment{lit("a"), lit("/")}},
		{"/{a}", "", "", []segment{{wild, "a"}}},
		{"/{a...}", "", "", []segment{{rest, "a"}}},
		{"/{a}/b/{_9}/{größe...}", "", "", []segment{{wild, "a"}, lit("b"), {wild, "_9"}, {rest, "größe"}}},
		{"GET /a", "GET", "", []segment{lit("a")}},
		{"GET \t /a", "GET", "", []segment{lit("a")}},
		{" /a", "", "", []segment{lit("a")}},
		{"M-SEARCH h/a", "M-SEARCH", "h", []segment{lit("a")}},
		{"a.com:80/{x}", "", "a.com:80", []segment{{wild, "x"}}},
		{"/a%2Fb/%41/100%25", "", "", []segment{lit("a/b"), lit("A"), lit("100%")}},
		{"/%zz", "", "", []segment{lit("%zz")}},
		{"/a}/b c", "", "", nil},
		{"GET /a}/b c", "GET", "", []segment{lit("a}"), lit("b c")}},
		{"/a//b", "", "", []segment{lit("a"), lit(""), lit("b")}},
		{"/a/../b", "", "", []segment{lit("a"), lit(".."), lit("b")}},
		{"CONNECT /a/./b", "CONNECT", "", []segment{lit("a"), lit("."), lit("b")}},
	} {
		p, err := parsePattern(tt.in)
		if tt.segs == nil {
			if err == nil {
				t.Errorf("%q: accepted", tt.in)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", tt.in, err)
			continue
		}
		same := len(p.segs) == len(tt.segs)
		for i := 0; same && i < len(p.segs); i++ {
			same = p.segs[i] == tt.segs[i]
		}
		if !same || p.method != tt.method || p.host != tt.host {
			t.Errorf("%q: got %q %q %v, want %q %q %v", tt.in, p.method, p.host, p.segs, tt.method, tt.host, tt.segs)
		}
	}
}

func TestBadPatterns(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", `route: pattern "": it is empty`},
		{"a", `route: pattern "a": it has no path: a path starts with /`},
		{"GET a.com", `route: pattern "GET a.com": it has no path: a path starts with /`},
		{"GET ", `route: pattern "GET ": it has no path: a path starts with /`},
		{"G(T /", `route: pattern "G(T /": "G(T" is not a method`},
		{"GÉT /", `route: pattern "GÉT /": "GÉT" is not a method`},
		{"{x}/a", `route: pattern "{x}/a": host "{x}" has a {: a path starts with /`},
		{"GET /a//b", `route: pattern "GET /a//b": GET never brings the path "/a//b": it is redirected to "/a/b"`},
		{"GET /a/../b", `route: pattern "GET /a/../b": GET never brings the path "/a/../b": it is redirected to "/b"`},
		{"GET /a/x{b}", `route: pattern "GET /a/x{b}": segment "x{b}" at offset 7: a wildcard fills its segment: there is text before {`},
		{"/{b}x", `route: pattern "/{b}x": segment "{b}x" at offset 1: a wildcard fills its segment: it does not end with }`},
		{"/{", `route: pattern "/{": segment "{" at offset 1: a wildcard fills its segment: it does not end with }`},
		{"/{$}/", `route: pattern "/{$}/": segment "{$}" at offset 1: {$} is not at the end`},
		{"/{a...}/", `route: pattern "/{a...}/": segment "{a...}" at offset 1: a ... wildcard is not at the end`},
		{"/{}", `route: pattern "/{}": segment "{}" at offset 1: wildcard name "" is not an identifier`},
		{"/{...}", `route: pattern "/{...}": segment "{...}" at offset 1: wildcard name "" is not an identifier`},
		{"/{1}", `route: pattern "/{1}": segment "{1}" at offset 1: wildcard name "1" is not an identifier`},
		{"/{a-b}", `route: pattern "/{a-b}": segment "{a-b}" at offset 1: wildcard name "a-b" is not an identifier`},
		{"/{a}b}", `route: pattern "/{a}b}": segment "{a}b}" at offset 1: wildcard name "a}b" is not an identifier`},
		{"/{a}/{a...}", `route: pattern "/{a}/{a...}": segment "{a...}" at offset 5: wildcard name "a" is used twice`},
	} {
		var table Table[int]
		if err := table.Add(tt.in, 0); err == nil || err.Error() != tt.want {
			t.Errorf("%q:\ngot  %v\nwant %s", tt.in, err, tt.want)
		}
		if len(table.Patterns()) != 0 {
			t.Errorf("%q: kept", tt.in)
		}
	}
}

// TestIsToken compares with what net/http takes for a method.
func TestIsToken(t *testing.T) {
	for c := range 256 {
		s := "A" + string([]byte{byte(c)})
		_, err := http.NewRequest(s, "/", nil)
		if got, want := isToken(s), err == nil; got != want {
			t.Errorf("isToken(%q) = %v, want %v", s, got, want)
		}
	}
	if isToken("") || !isToken(strings.Repeat("x", 100)) {
		t.Error("length")
	}
}
