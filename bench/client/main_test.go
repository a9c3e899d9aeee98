package main

import "testing"

func TestIsOK(t *testing.T) {
	for _, tt := range []struct {
		block string
		want  bool
	}{
		{"\x88", true},                 // indexed
		{"\x20\x88\x5a", true},         // behind a change of the table's size
		{"\x3f\xe1\x1f\x88", true},     // and a large one
		{"\x48\x03200", true},          // literal
		{"\x08\x82\x10\x01\x5a", true}, // with Huffman
		{"\x8d", false},                // 404
		{"\x48\x03204", false},
		{"", false},
		{"\x20", false},
	} {
		if got := isOK([]byte(tt.block)); got != tt.want {
			t.Errorf("isOK(% x) = %t", tt.block, got)
		}
	}
}
