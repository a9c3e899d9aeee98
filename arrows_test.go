package h2loop_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/h2loop/h2loop"

// A room is a package, or a tree of packages, and what it may import.
// In every list "p/..." stands for p and all below it.
type room struct {
	path    string   // in the module
	inside  []string // rooms of the module
	outside []string // packages of other modules
	denied  []string // packages of the standard library
}

// noIO is what a room that is driven by bytes and times must not import.
var noIO = []string{"net/...", "crypto/...", "os/...", "syscall/...", "sync/...", "context", "log/..."}

// rooms holds the arrows. A package obeys the first entry that covers it.
var rooms = []room{
	{path: "frames", denied: noIO},
	{path: "internal/message", outside: []string{"golang.org/x/net/http2/hpack"}, denied: noIO},
	{path: "internal/freelist"},
	{path: "internal/origin"},
	{path: "internal/etag"},
	{path: "h2", inside: []string{"frames", "internal/freelist", "internal/message"}, outside: []string{"golang.org/x/net/http2/hpack"}, denied: noIO},
	{path: "internal/h1", inside: []string{"internal/freelist", "internal/message"}, denied: noIO},
	{path: "internal/route"},
	{path: "internal/jobs", outside: []string{"github.com/panjf2000/ants/v2"}},
	{path: "internal/leaktest"}, // any room's tests may import it
	{path: "tlsbridge", inside: []string{"internal/freelist"}},
	{
		// frames too: the error codes in h2's calls are its.
		path:   "loop",
		inside: []string{"h2", "frames", "internal/freelist", "internal/h1", "internal/jobs", "internal/message", "internal/origin", "internal/route", "tlsbridge"},
		outside: []string{
			"github.com/panjf2000/gnet/v2/...",
			"github.com/rs/zerolog", "golang.org/x/sys/unix",
		},
	},
	{
		path:   "loop/files",
		inside: []string{"loop", "loop/looptest", "internal/etag", "internal/freelist", "internal/jobs", "internal/origin"},
		outside: []string{
			"github.com/klauspost/compress/gzip", "github.com/klauspost/compress/zstd",
			"github.com/rs/zerolog", "golang.org/x/sys/unix",
		},
	},
	{path: "loop/metrics", inside: []string{"loop", "loop/looptest"}, outside: []string{"github.com/prometheus/client_golang/prometheus"}},
	{
		path:    "loop/...",
		inside:  []string{"loop/...", "internal/jobs"},
		outside: []string{"github.com/rs/zerolog", "golang.org/x/sys/unix"},
	},
	{
		path:    "cmd/...",
		inside:  []string{"loop/...", "cmd/h2loop/internal/...", "internal/etag", "internal/route"},
		outside: []string{"github.com/pelletier/go-toml/v2/...", "github.com/prometheus/client_golang/...", "github.com/rs/zerolog", "golang.org/x/sys/unix"},
	},
	{path: "examples/...", inside: []string{"loop/...", "frames"}, outside: []string{"github.com/rs/zerolog"}},
	{
		// Clients that talk in frames, and servers that embed loop. Nothing imports it.
		path:    "bench/stress/...",
		inside:  []string{"bench/affinity", "loop/...", "h2", "frames"},
		outside: []string{"golang.org/x/net/http2/hpack", "golang.org/x/sys/unix"},
	},
	{
		// A client that knows nothing of how the server is made.
		path:    "bench/attack/...",
		inside:  []string{"bench/affinity", "bench/freeport", "internal/leaktest"},
		outside: []string{"golang.org/x/net/http2/...", "golang.org/x/sys/unix"},
	},
	{path: "bench/soak/...", inside: []string{"bench/freeport"}}, // as little as an attacker does
	{path: "bench/freeport"},
	{path: "bench/affinity", outside: []string{"golang.org/x/sys/unix"}},
	{path: "bench/...", inside: []string{"bench/..."}},
	{path: "."},
}

// TestArrows reads the imports of every Go file, whatever its build tags.
func TestArrows(t *testing.T) {
	files := 0
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skipDir(name)
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		files++
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if why := objection(filepath.ToSlash(name), imp); why != "" {
				t.Errorf("%s imports %q: %s", name, imp, why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 2 {
		t.Fatalf("found %d Go files: the walk has lost its way", files)
	}
}

// skipDir returns [fs.SkipDir] for directories that the go command ignores,
// nested modules among them.
func skipDir(name string) error {
	base := filepath.Base(name)
	if name == "." {
		return nil
	}
	if strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" {
		return fs.SkipDir
	}
	if mods, _ := filepath.Glob(filepath.Join(name, "go.mod")); len(mods) > 0 {
		return fs.SkipDir
	}
	return nil
}

// TestObjections sees the rules object where they must and only there.
func TestObjections(t *testing.T) {
	tests := []struct {
		file, imp string
		allowed   bool
	}{
		{"frames/data.go", "encoding/binary", true},
		{"frames/data.go", "golang.org/x/net/http2/hpack", false},
		{"frames/data_test.go", module + "/h2", false},
		{"h2/conn.go", module + "/frames", true},
		{"h2/conn.go", "golang.org/x/net/http2/hpack", true},
		{"h2/conn.go", "golang.org/x/net/http2", false},
		{"h2/conn.go", "time", true},
		{"h2/conn.go", "net", false},
		{"h2/conn.go", "net/netip", false},
		{"h2/conn.go", "crypto/tls", false},
		{"h2/conn.go", "sync/atomic", false},
		{"h2/conn.go", "github.com/rs/zerolog", false},
		{"h2/conn.go", module + "/internal/message", true},
		{"h2/conn.go", module + "/internal/h1", false},
		{"internal/h1/conn.go", module + "/internal/message", true},
		{"internal/h1/conn.go", module + "/h2", false},
		{"internal/h1/conn.go", "golang.org/x/net/http2/hpack", false},
		{"internal/message/request.go", "golang.org/x/net/http2/hpack", true},
		{"internal/message/request.go", module + "/frames", false},
		{"h2/conn_test.go", "net", true},
		{"h2/conn_test.go", "golang.org/x/net/http2", true},
		{"h2/conn_test.go", module + "/loop", false},
		{"h2/conn_test.go", module + "/internal/leaktest", true},
		{"h2/conn.go", module + "/internal/leaktest", false},
		{"tlsbridge/conn.go", "crypto/tls", true},
		{"tlsbridge/conn.go", "golang.org/x/sys/unix", false},
		{"internal/route/tree.go", module + "/loop", false},
		{"loop/server.go", "github.com/panjf2000/gnet/v2", true},
		{"loop/server.go", module + "/tlsbridge", true},
		{"loop/server.go", module + "/cmd/h2loop", false},
		{"loop/files/files.go", module + "/frames", false},
		{"loop/files/files_test.go", module + "/frames", true},
		{"loop/server.go", module + "/loop/files", false},
		{"loop/files/files.go", module + "/loop", true},
		{"loop/files/files.go", "github.com/panjf2000/gnet/v2", false},
		{"loop/files/compress.go", "github.com/klauspost/compress/zstd", true},
		{"loop/server.go", "github.com/klauspost/compress/zstd", false},
		{"loop/files/files_test.go", "github.com/panjf2000/gnet/v2", false},
		{"loop/metrics/collector.go", "github.com/prometheus/client_golang/prometheus", true},
		{"loop/metrics/collector.go", "github.com/rs/zerolog", false},
		{"loop/server.go", "github.com/prometheus/client_golang/prometheus", false},
		{"loop/looptest/server.go", "github.com/prometheus/client_golang/prometheus", false},
		{"loop/server.go", module + "/loop/metrics", false},
		{"cmd/h2loop/main.go", module + "/loop/files", true},
		{"cmd/h2loop/main.go", module + "/h2", false},
		{"cmd/h2loop/internal/config/parse.go", "github.com/pelletier/go-toml/v2/unstable", true},
		{"loop/config.go", "github.com/pelletier/go-toml/v2", false},
		{"cmd/h2loop/main.go", "github.com/panjf2000/gnet/v2", false},
		{"bench/main.go", module + "/loop", false},
		{"internal/new/new.go", "fmt", false},
	}
	for _, tt := range tests {
		if why := objection(tt.file, tt.imp); (why == "") != tt.allowed {
			t.Errorf("objection(%q, %q) = %q, want allowed %v", tt.file, tt.imp, why, tt.allowed)
		}
	}
}

// objection says why file must not import imp, or "" if it may.
//
// Tests may use any tool, but gnet, and may reach further down than their
// room, but not up.
func objection(file, imp string) string {
	r, ok := roomOf(path.Dir(file))
	if !ok {
		return "its package is in no room: give it an entry in rooms"
	}
	test := strings.HasSuffix(file, "_test.go")
	local, inModule := strings.CutPrefix(imp, module+"/")
	host, _, _ := strings.Cut(imp, "/")
	switch {
	case inModule:
		if local == path.Dir(file) || covers(r.inside, local) || test && (covers(below(r), local) || local == "internal/leaktest") {
			return ""
		}
		return fmt.Sprintf("no arrow goes there from room %s", r.path)
	case strings.Contains(host, "."):
		isGnet := strings.HasPrefix(imp, "github.com/panjf2000/gnet/")
		if covers(r.outside, imp) || test && !isGnet {
			return ""
		}
		return fmt.Sprintf("room %s may not use it", r.path)
	case covers(r.denied, imp) && !test:
		return fmt.Sprintf("room %s does no I/O and belongs to one loop", r.path)
	}
	return ""
}

// roomOf returns the rules for the package in dir.
func roomOf(dir string) (room, bool) {
	i := slices.IndexFunc(rooms, func(r room) bool { return covers([]string{r.path}, dir) })
	if i < 0 {
		return room{}, false
	}
	return rooms[i], true
}

// below returns every room that r reaches by arrows.
func below(r room) []string {
	var reached []string
	next := slices.Clone(r.inside)
	for len(next) > 0 {
		p := next[0]
		next = next[1:]
		if slices.Contains(reached, p) {
			continue
		}
		reached = append(reached, p)
		for _, other := range rooms {
			if covers([]string{p}, other.path) {
				next = append(next, other.inside...)
			}
		}
	}
	return reached
}

// covers reports whether one of patterns matches p, a package path.
func covers(patterns []string, p string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		tree, isTree := strings.CutSuffix(pattern, "/...")
		return p == tree || isTree && strings.HasPrefix(p, tree+"/")
	})
}
