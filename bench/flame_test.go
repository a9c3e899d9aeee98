package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

const stacks = `h2loop 
	ffffffff81a00010 tcp_sendmsg
	ffffffff81000010 entry_SYSCALL_64_after_hwframe
	          4a1b2c github.com/h2loop/h2loop/loop.(*wire).send
	          4a1b00 github.com/panjf2000/gnet/v2.(*eventloop).read

h2loop 
	          4a1b3c github.com/h2loop/h2loop/h2.(*Conn).Receive
	          4a1b00 github.com/panjf2000/gnet/v2.(*eventloop).read

:-1 
	               0 [unknown]
`

func TestReadStacks(t *testing.T) {
	root, err := readStacks(strings.NewReader(stacks))
	if err != nil {
		t.Fatal(err)
	}
	read := root.calls["panjf2000/gnet/v2.(*eventloop).read"]
	if root.samples != 3 || len(root.calls) != 2 || read == nil || read.samples != 2 || len(read.calls) != 2 {
		t.Fatalf("%+v", root)
	}
	send := read.calls["loop.(*wire).send"]
	if send == nil || send.samples != 1 || send.isKernel || send.kind() != 0 {
		t.Fatalf("%+v", send)
	}
	entry := send.calls["entry_SYSCALL_64_after_hwframe"]
	if entry == nil || !entry.isKernel || entry.calls["tcp_sendmsg"].samples != 1 || entry.depth(1) != 2 || root.depth(1) != 5 || root.depth(2) != 2 {
		t.Fatalf("%+v", entry)
	}
	if _, err := readStacks(strings.NewReader("h2loop\n\tnowhere function\n")); err == nil {
		t.Error("an address that is none is no error")
	}
	if f, err := readStacks(strings.NewReader("")); err != nil || f.samples != 0 {
		t.Errorf("nothing: %+v, %v", f, err)
	}
}

// TestFlame draws what was read, and an empty one.
func TestFlame(t *testing.T) {
	root, err := readStacks(strings.NewReader(stacks))
	if err != nil {
		t.Fatal(err)
	}
	svg := string(root.svg("a < b", 6, "us/req"))
	for _, want := range []string{
		"a &lt; b", "<title>h2.(*Conn).Receive: 33.33 %, 2 us/req</title>", "<title>panjf2000/gnet/v2.(*eventloop).read: 66.67 %, 4 us/req</title>",
		`width="1066.2"`, // two thirds of 1600, and half a pixel less
	} {
		if !strings.Contains(svg, want) {
			t.Errorf("the drawing has no %q:\n%s", want, svg)
		}
	}
	for _, s := range []string{svg, string((&flame{}).svg("nothing", 0, "us"))} {
		for d := xml.NewDecoder(strings.NewReader(s)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%v\n%s", err, s)
			}
		}
	}
}
