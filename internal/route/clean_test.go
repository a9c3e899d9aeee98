package route

import (
	"net"
	"net/url"
	"strings"
	"testing"
)

func TestCleanPath(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", "/"},
		{"/", "/"},
		{"a", "/a"},
		{"/a/b/", "/a/b/"},
		{"//", "/"},
		{"/a//b", "/a/b"},
		{"/a/./b/.", "/a/b"},
		{"/a/b/..", "/a"},
		{"/a/b/../", "/a/"},
		{"/../../a", "/a"},
		{"/./", "/"},
		{"/.../", "/.../"},
		{"/%2e%2e/a%2F%2Fb", "/%2e%2e/a%2F%2Fb"},
	} {
		if got := cleanPath(tt.in); got != tt.want {
			t.Errorf("cleanPath(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

// eachString calls f with every string of up to n octets of alphabet.
func eachString(alphabet string, n int, f func(string)) {
	level := []string{""}
	for range n + 1 {
		var next []string
		for _, s := range level {
			f(s)
			for i := range len(alphabet) {
				next = append(next, s+alphabet[i:i+1])
			}
		}
		level = next
	}
}

// TestScan: what cleanPath would change is seen, and the usual path is not
// looked at twice.
func TestScan(t *testing.T) {
	eachString("/.a%", 7, func(s string) {
		s = "/" + s
		if cleanPath(s) != s && scan(s)&maybeDirty == 0 {
			t.Errorf("scan(%q) finds it clean, but it cleans to %q", s, cleanPath(s))
		}
	})
	for _, s := range []string{"/", "/a/b.txt", "/a/b/", "/a..b/c"} {
		if scan(s)&maybeDirty != 0 {
			t.Errorf("scan(%q) finds it dirty", s)
		}
	}
}

// TestEscapedPath compares with package url, for each octet and each mixture.
func TestEscapedPath(t *testing.T) {
	check := func(p string) {
		got, traits, ok := escapedPath(p)
		u, err := url.ParseRequestURI(p)
		if ok != (err == nil) {
			t.Errorf("escapedPath(%q) reports %v, but parsing it gives %v", p, ok, err)
			return
		}
		if !ok {
			return
		}
		if want := u.EscapedPath(); got != want {
			t.Errorf("escapedPath(%q) = %q, want %q", p, got, want)
		}
		if traits != scan(got) || traits&hasOdd != 0 {
			t.Errorf("escapedPath(%q) has the traits %b", p, traits)
		}
	}
	for c := range 256 {
		if c != '?' {
			check("/" + string([]byte{byte(c)}))
			check("/%2F" + string([]byte{byte(c)}) + "b")
		}
	}
	eachString("/%4g{", 6, func(s string) { check("/" + s) })
}

func TestValidQuery(t *testing.T) {
	for c := range 256 {
		q := "a" + string([]byte{byte(c)})
		_, err := url.ParseRequestURI("/?" + q)
		if got, want := validQuery(q), err == nil; got != want {
			t.Errorf("validQuery(%q) = %v, want %v", q, got, want)
		}
	}
}

// TestWithoutPort compares with package net.
func TestWithoutPort(t *testing.T) {
	check := func(host string) {
		want := host
		if strings.Contains(host, ":") {
			if h, _, err := net.SplitHostPort(host); err == nil {
				want = h
			}
		}
		if got := withoutPort(host); got != want {
			t.Errorf("withoutPort(%q) = %q, want %q", host, got, want)
		}
	}
	check("example.com:443")
	eachString("a:[]", 8, check)
}
