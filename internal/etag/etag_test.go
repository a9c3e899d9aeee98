package etag

import "testing"

func TestMatchesAny(t *testing.T) {
	for _, tt := range []struct {
		list, tag    string
		strong, weak bool
	}{
		{`"a"`, `"a"`, true, true},
		{`W/"a"`, `"a"`, false, true},
		{`"a"`, `W/"a"`, false, true},
		{`W/"a"`, `W/"a"`, false, true},
		{`"b", "a"`, `"a"`, true, true},
		{" ,\t\"b,\" ,W/\"a\",", `"a"`, false, true},
		{`*`, `"a"`, true, true},
		{`"b"`, `"a"`, false, false},
		{`"b", x, "a"`, `"a"`, false, false},
		{`"a`, `"a"`, false, false},
		{`a`, `"a"`, false, false},
		{`W/`, `"a"`, false, false},
		{`w/"a"`, `"a"`, false, false},
		{``, `"a"`, false, false},
	} {
		if strong, weak := MatchesAny(tt.list, tt.tag, Strongly), MatchesAny(tt.list, tt.tag, Weakly); strong != tt.strong || weak != tt.weak {
			t.Errorf("%s in %s: strongly %v, weakly %v, want %v, %v", tt.tag, tt.list, strong, weak, tt.strong, tt.weak)
		}
	}
}
