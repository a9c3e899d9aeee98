package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestPipeLog fills a pipe, and then has somebody read it: what comes then is whole, and
// behind how much was dropped.
func TestPipeLog(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	l := newPipeLog(w, true)
	line := strings.Repeat("x", 999) + "\n"
	for range 1000 {
		if n, err := fmt.Fprint(l, line); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
	}
	lost := l.lost
	if lost == 0 || lost == 1000 {
		t.Fatalf("%d of 1000 lines were dropped", lost)
	}
	lines := bufio.NewScanner(r)
	for range 1000 - lost {
		if !lines.Scan() || lines.Text()+"\n" != line {
			t.Fatalf("%q, %v", lines.Text(), lines.Err())
		}
	}
	long := strings.Repeat("y", 3*pipeBuf) // which is taken in pieces
	fmt.Fprintln(l, long)
	_ = w.Close()
	var rest []string
	for lines.Scan() {
		rest = append(rest, lines.Text())
	}
	if want := fmt.Sprintf(`"lines":%d,`, lost); len(rest) != 2 || !strings.Contains(rest[0], want) || rest[1] != long {
		t.Errorf("%.200q", rest)
	}
}
