package redirect

import (
	"errors"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	var table Table
	for _, r := range []struct {
		from, to string
		status   int
	}{
		{"/old/{rest...}", "/new/{rest...}", 0},
		{"/old/here", "https://example.org/there?x=1", 302},
		{"/user/{id}/{$}", "/u?id={id}", 0},
		{"/all/{rest...}", "/{rest}", 307},
		{"/swap/{a}/{rest...}", "/{rest}/{a}", 0},
		{"/away/{rest...}", "https://example.org/{rest...}", 0},
		{"/users/{id}", "/user/{id}/public", 0},
		{"/s/{a}/{p...}", "https://cdn.example/static/{p...}?by={a}", 0},
		{"/q/{p...}", "/find?path={p}&x=1", 0},
		{"/part/{id}", "/page#{id}?x", 0},
		{"/none", "/page?", 0},
	} {
		if err := table.Add(r.from, r.to, r.status); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		method, path, query string
		location            string
		status              int
	}{
		{"GET", "/old/a/b%20c", "q=1", "/new/a/b%20c?q=1", 301},
		{"POST", "/old/a", "", "/new/a", 308},
		{"GET", "/old/", "", "/new/", 301},
		{"GET", "/old/here", "q=1", "https://example.org/there?x=1", 302},
		{"HEAD", "/user/a%3Fb/", "q=1", "/u?id=a%3Fb", 301},
		{"GET", "/all/%2Fexample.org", "", "/%2Fexample.org", 307}, // no //example.org
		{"GET", "/all/%5Cexample.org", "", "/%5Cexample.org", 307},
		{"GET", "/all/a%0d%0ab", "", "/a%0D%0Ab", 307},
		{"GET", "/away/@other.example", "", "https://example.org/@other.example", 301},
		{"GET", "/swap/example.org/", "q", "/example.org?q", 301}, // no //example.org
		{"GET", "/users/a b\xff%2e", "", "/user/a%20b%FF./public", 301},
		{"GET", "/users/..%2f..%2fadmin", "", "/user/..%2F..%2Fadmin/public", 301},
		{"GET", "/users/a%2fb", "", "/user/a%2Fb/public", 301},
		{"GET", "/users/%2e%2e", "", "", 0},
		{"GET", "/users/%2e", "", "", 0},
		{"GET", "/s/x/a%2fb/c", "", "https://cdn.example/static/a%2Fb/c?by=x", 301},
		{"GET", "/s/x/...", "", "https://cdn.example/static/...?by=x", 301},
		{"GET", "/s/x/a%5c..%5cb", "", "https://cdn.example/static/a%5C..%5Cb?by=x", 301},
		{"GET", "/s/x/..%2f..%2fsecret", "", "", 0},
		{"GET", "/s/x/a%2f..%2F..", "", "", 0},
		{"GET", "/s/x/%2e%2e/x", "", "", 0},
		{"GET", "/s/x/a/%2E", "", "", 0},
		{"GET", "/s/a&b=c+d%20%23%2f/", "", "https://cdn.example/static/?by=a%26b%3Dc%2Bd%20%23%2F", 301},
		{"GET", "/q/a/%2e%2e&y=2", "", "/find?path=a%2F..%26y%3D2&x=1", 301},
		{"GET", "/other", "", "", 0},
		{"GET", "/old", "", "/old/", 307},
		{"POST", "/old", "q=1", "/old/?q=1", 307},
		{"GET", "/old//a", "q", "/old/a?q", 307},
		{"GET", "/x/../old/here", "", "/old/here", 307},
		{"GET", "/x/../other", "", "", 0}, // which is for others to clean
		{"GET", "/old/%zz", "", "", 0},
		{"GET", "/old/a", "q=\xc3\xbc\xff%20", "/new/a?q=%c3%bc%ff%20", 301},
		{"GET", "/old", "q=\xff", "/old/?q=%ff", 307},
		{"CONNECT", "", "", "", 0},
		{"OPTIONS", "*", "", "", 0},
		{"GET", "/part/a%23b", "q=1", "/page?q=1#a%23b?x", 301},
		{"GET", "/part/a", "", "/page#a?x", 301},
		{"GET", "/none", "q=1", "/page?", 301},
	} {
		location, status, ok := table.Find(tt.method, tt.path, tt.query)
		if location != tt.location || status != tt.status || ok != (tt.status != 0) {
			t.Errorf("%s %s?%s: %d %q %v, want %d %q", tt.method, tt.path, tt.query, status, location, ok, tt.status, tt.location)
		}
	}
	var empty Table
	if _, _, ok := empty.Find("GET", "/", ""); ok {
		t.Error("an empty table has a rule")
	}
}

func TestAddErrors(t *testing.T) {
	for _, tt := range []struct {
		from, to string
		isFrom   bool
		want     string
	}{
		{"old", "/new", true, "slash"},
		{"", "/new", true, "slash"},
		{"/{x", "/new", true, ""},
		{"/z?a=1", "/new", true, "has a '?'"},
		{"/z#a", "/new", true, "has a '#'"},
		{"/{x...}/y", "/new", true, ""},
		{"/taken", "/new", true, "conflicts"},
		{"/a/{x}", "/b/{y}", false, "no wildcard {y}"},
		{"/a/{x}", "new", false, "begin with a slash"},
		{"/a/{x}", "//example.org", false, "one slash"},
		{"/a/{x}", `/\example.org`, false, "one slash"},
		{"/a/{x}", "https://{x}/", false, "host"},
		{"/a/{x}", "https://a{x}/", false, "host"},
		{"/a/{x}", "https:///y", false, "host"},
		{"/a/{x}", "javascript:alert(1)", false, "begin with"},
		{"/a/{x}", "/a b", false, "no path"},
		{"/a/{x}", "/a{", false, "brace"},
		{"/x...}", "/{y}", false, "no wildcard {y}"},
		{"/a/{$}", "/{$}", false, "no wildcard"},
	} {
		var table Table
		if err := table.Add("/taken", "/elsewhere", 0); err != nil {
			t.Fatal(err)
		}
		err := table.Add(tt.from, tt.to, 0)
		_, isFrom := errors.AsType[FromError](err)
		if err == nil || isFrom != tt.isFrom || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q to %q: %v, want %q", tt.from, tt.to, err, tt.want)
		}
	}
}

func TestFindAllocs(t *testing.T) {
	var table Table
	if err := table.Add("/old/{rest...}", "/new/{rest...}", 0); err != nil {
		t.Fatal(err)
	}
	n := testing.AllocsPerRun(1000, func() { table.Find("GET", "/other/path", "q=1") })
	if n >= 1 { // the pool may be emptied meanwhile
		t.Errorf("%v allocations for a request that goes nowhere else", n)
	}
}
