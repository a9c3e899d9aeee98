package route

import (
	"strings"
	"testing"
)

// FuzzServeMux compares a table, of one pattern a line, with a ServeMux.
func FuzzServeMux(f *testing.F) {
	f.Add("GET /items/{id}\n/items/{$}\nPOST /items/{id}/{x...}", "GET", "example.com", "/items/a%2Fb", "")
	f.Add("/a/\nexample.com/a/b\nHEAD /{x}/c", "HEAD", "example.com:80", "/a", "q=1")
	f.Add("/%2F/{x}\n/{y}/{$}", "CONNECT", "[::1]:80", "/./%2f", "é")
	f.Fuzz(func(t *testing.T, patterns, method, host, path, query string) {
		r := request{method, host, path, query}
		if !r.comparable() {
			t.Skip()
		}
		var d pair
		for p := range strings.SplitSeq(patterns, "\n") {
			d.add(t, p)
		}
		if d.mux != nil {
			d.ask(t, r)
		}
	})
}
