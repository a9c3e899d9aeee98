package files

import (
	"net/netip"
	"testing"
)

func TestPlaces(t *testing.T) {
	p := places{most: 16, of: map[netip.Prefix]int{}}
	all := func(by netip.Prefix) (n int) {
		for p.take(by) {
			n++
		}
		return n
	}
	at := func(s string) netip.Prefix { return netip.MustParsePrefix(s) }
	a, b, c := at("192.0.2.1/32"), at("192.0.2.2/32"), at("2001:db8::/64")
	for _, tt := range []struct {
		by   netip.Prefix
		want int
	}{{a, 8}, {b, 4}, {a, 0}, {c, 2}, {netip.Prefix{}, 2}, {c, 0}} {
		if n := all(tt.by); n != tt.want {
			t.Errorf("%v has %d places, want %d", tt.by, n, tt.want)
		}
	}
	for range 8 {
		p.give(a)
	}
	if n := all(b); n != 2 {
		t.Errorf("once the first has gone, there are %d more for the second, want 2", n)
	}
	if _, ok := p.of[a]; ok {
		t.Error("who has no place is remembered")
	}
	if n := p.taken.Load(); n != 10 {
		t.Errorf("%d are taken, want 10", n)
	}
}
