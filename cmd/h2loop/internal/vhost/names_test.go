package vhost

import "testing"

func TestCanonical(t *testing.T) {
	for authority, want := range map[string]string{
		"example.org": "example.org", "Example.ORG": "example.org", "example.org.": "example.org", "example.org:443": "example.org",
		"EXAMPLE.org.:443": "example.org", "[::1]": "::1", "[::1]:443": "::1", "::1": "::1", "127.0.0.1:80": "127.0.0.1",
		"": "", ":": "", ".": "", "[": "[", "[]": "", "a:": "a", "a:b:c": "a:b:c",
	} {
		if got := canonical(authority); got != want {
			t.Errorf("%q: %q, want %q", authority, got, want)
		}
	}
}

func TestFind(t *testing.T) {
	named := func(name string) *site { return &site{identity: name} }
	s := &set{
		exact: map[string]*site{"a.test": named("exact"), "x.b.test": named("exact x")},
		below: map[string]*site{"b.test": named("b"), "c.b.test": named("c"), "test": named("test")},
	}
	for _, other := range []*site{nil, named("other")} {
		s.other = other
		for name, want := range map[string]string{
			"a.test": "exact", "x.b.test": "exact x", "y.b.test": "b", "y.z.b.test": "b", "y.c.b.test": "c", "c.b.test": "b",
			"b.test": "test", "test": "", "": "", "other.org": "", "xtest": "", ".test": "test", "...": "",
		} {
			got := ""
			if found := s.find(name); found != other {
				got = found.identity
			}
			if got != want {
				t.Errorf("%q: %q, want %q", name, got, want)
			}
		}
	}
	if n := testing.AllocsPerRun(100, func() { s.find(canonical("y.c.b.test:8443")) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
