package h2

import (
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

// TestImports keeps the state machine free of sockets, TLS, locks and the event
// loop.
func TestImports(t *testing.T) {
	pkg, err := build.ImportDir(".", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, imp := range pkg.Imports {
		for _, bad := range []string{
			"net", "os", "sync", "context", "log", "crypto/tls", "runtime",
			"github.com/panjf2000/gnet", "github.com/rs/zerolog",
		} {
			if imp == bad || strings.HasPrefix(imp, bad+"/") {
				t.Errorf("package h2 imports %s", imp)
			}
		}
		const module = "github.com/h2loop/h2loop/"
		if strings.HasPrefix(imp, module) && imp != module+"frames" && imp != module+"internal/freelist" && imp != module+"internal/message" {
			t.Errorf("package h2 imports %s", imp)
		}
	}
}

// TestNoClock keeps it free of clocks: of package time it knows durations only.
// And it starts no goroutine and makes no channel.
func TestNoClock(t *testing.T) {
	pkg, err := build.ImportDir(".", 0)
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	for _, name := range pkg.GoFiles {
		f, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt, *ast.ChanType, *ast.SelectStmt:
				t.Errorf("%s: goroutines and channels are the loop's", fset.Position(n.Pos()))
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && n.Sel.Name != "Duration" && n.Sel.Name != "Second" {
					t.Errorf("%s: time.%s", fset.Position(n.Pos()), n.Sel.Name)
				}
			}
			return true
		})
	}
}
