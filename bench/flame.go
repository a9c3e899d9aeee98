package main

import (
	"bufio"
	"bytes"
	"fmt"
	"html"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A flame is the tree of the calls that samples of the CPU were found in. The root is
// no call: it has all samples.
type flame struct {
	name     string
	isKernel bool
	samples  int // in it, and in what it has called
	calls    map[string]*flame
}

// A frame is a function of a stack.
type frame struct {
	name     string
	isKernel bool
}

// add counts one sample whose stack is given from the inside out, as perf does.
func (f *flame) add(stack []frame) {
	f.samples++
	for _, call := range slices.Backward(stack) {
		next := f.calls[call.name]
		if next == nil {
			if f.calls == nil {
				f.calls = make(map[string]*flame)
			}
			next = &flame{name: call.name, isKernel: call.isKernel}
			f.calls[call.name] = next
		}
		next.samples++
		f = next
	}
}

// depth returns how many rows f takes.
func (f *flame) depth(least int) int {
	most := 0
	for _, call := range f.calls {
		if call.samples >= least {
			most = max(most, call.depth(least))
		}
	}
	return most + 1
}

// readStacks reads what `perf script -F comm,ip,sym` prints: a line with the name of the
// thread, one for each function, and an empty one, for each sample.
func readStacks(r io.Reader) (*flame, error) {
	root := &flame{name: "all"}
	var stack []frame
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		line := scanner.Text()
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
			if len(stack) > 0 {
				root.add(stack)
			}
			stack = stack[:0]
		case line[0] == ' ' || line[0] == '\t':
			ip, err := strconv.ParseUint(fields[0], 16, 64)
			if err != nil {
				return nil, fmt.Errorf("perf script: %q: %w", line, err)
			}
			name := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), fields[0]))
			stack = append(stack, frame{shortName(name), ip>>63 != 0})
		}
	}
	if len(stack) > 0 {
		root.add(stack)
	}
	return root, scanner.Err()
}

// shortName leaves out where the names of this module's packages come from.
func shortName(name string) string {
	name = strings.ReplaceAll(name, "github.com/h2loop/h2loop/", "")
	return strings.ReplaceAll(name, "github.com/", "")
}

// Measures of the drawing, in pixels.
const (
	flameWidth = 1600
	flameRow   = 16
	flameTop   = 44
	flameLeast = 0.5 // what is narrower is left out
	flameChar  = 6.2 // the width of a letter, about
)

// svg draws f, callers below what they call. cost is what all samples stand for, in unit.
func (f *flame) svg(title string, cost float64, unit string) []byte {
	least := max(1, int(float64(f.samples)*flameLeast/flameWidth))
	height := flameTop + f.depth(least)*flameRow + 10
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="monospace" font-size="10">`+"\n",
		flameWidth, height, flameWidth, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#fff"/>`+"\n")
	fmt.Fprintf(&b, `<text x="10" y="18" font-size="15" font-family="sans-serif">%s</text>`+"\n", html.EscapeString(title))
	x := 10.0
	for _, k := range flameKinds {
		fmt.Fprintf(&b, `<rect x="%g" y="25" width="10" height="10" fill="%s"/><text x="%g" y="34">%s</text>`+"\n", x, k.colour, x+14, k.name)
		x += 30 + flameChar*float64(len(k.name))
	}
	d := flameDrawing{b: &b, scale: flameWidth / float64(max(1, f.samples)), each: cost / float64(max(1, f.samples)), unit: unit, least: least}
	d.draw(f, 0, height-10-flameRow)
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// A flameKind is whose functions have a colour.
type flameKind struct{ name, colour string }

var flameKinds = []flameKind{
	{"h2loop", "#8fd18f"},
	{"gnet", "#c7a9e0"},
	{"crypto", "#f2d16b"},
	{"Go", "#9cc4e4"},
	{"kernel", "#f0a38c"},
	{"other", "#dddddd"},
}

// kind returns the index in flameKinds of whoever's f is.
func (f *flame) kind() int {
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.HasPrefix(f.name, p) })
	}
	switch {
	case f.isKernel:
		return 4
	case has("loop.", "h2.", "frames.", "tlsbridge.", "internal/h1.", "internal/message.", "internal/route.", "internal/freelist.", "loop/", "cmd/h2loop"):
		return 0
	case has("panjf2000/gnet"):
		return 1
	case has("crypto/", "internal/chacha", "vendor/golang.org/x/crypto"):
		return 2
	case has("runtime", "syscall", "internal/", "net.", "sync", "golang.org/", "time.", "os.", "bytes.", "strings.", "iter.", "reflect", "memeqbody", "aeshashbody", "cmpbody"):
		return 3
	default:
		return 5
	}
}

// A flameDrawing is what svg draws on.
type flameDrawing struct {
	b     *bytes.Buffer
	scale float64 // pixels for a sample
	each  float64 // cost of one
	unit  string
	least int // samples that are drawn
}

func (d *flameDrawing) draw(f *flame, x float64, y int) {
	width := float64(f.samples) * d.scale
	share := 100 * width / flameWidth
	fmt.Fprintf(d.b, `<g><title>%s: %.2f %%, %.3g %s</title><rect x="%.1f" y="%d" width="%.1f" height="%d" rx="1" fill="%s"/>`,
		html.EscapeString(f.name), share, float64(f.samples)*d.each, d.unit, x, y, max(width-0.5, 0.3), flameRow-1, flameKinds[f.kind()].colour)
	if room := int(width / flameChar); room >= 3 {
		name := f.name
		if len(name) > room {
			name = name[:room-1] + "~"
		}
		fmt.Fprintf(d.b, `<text x="%.1f" y="%d">%s</text>`, x+2, y+11, html.EscapeString(name))
	}
	d.b.WriteString("</g>\n")
	for _, name := range slices.Sorted(maps.Keys(f.calls)) {
		call := f.calls[name]
		if call.samples >= d.least {
			d.draw(call, x, y-flameRow)
		}
		x += float64(call.samples) * d.scale
	}
}
