package loop_test

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/h2loop/h2loop/frames"
	"github.com/h2loop/h2loop/loop"
)

func panicking(*loop.Exchange) { panic("on purpose") }

// panicsOf has, for callbacks of the API, what makes them panic when /panic is asked
// for, and what then becomes of the stream: "reset", with INTERNAL_ERROR unless a code
// is named, or the status of an answer.
var panicsOf = map[string]struct {
	register func(srv *loop.Server, later func())
	want     string
}{
	"Server.Handle": {func(srv *loop.Server, _ func()) { srv.Handle("/panic", panicking) }, "reset"},
	"Server.HandleBlocking": {func(srv *loop.Server, _ func()) {
		srv.HandleBlocking("/panic", func(context.Context, *loop.Exchange) error { panic("on purpose") })
	}, "reset"},
	"Server.HandleHTTP": {func(srv *loop.Server, _ func()) {
		srv.HandleHTTP("/panic", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("on purpose") }))
	}, "reset"},
	"Server.NotFound": {func(srv *loop.Server, _ func()) { srv.NotFound(panicking) }, "reset"},
	"Server.OnError": {func(srv *loop.Server, _ func()) {
		srv.Handle("/panic", func(*loop.Exchange) {}) // without an answer
		srv.OnError(func(*loop.Exchange, error) { panic("on purpose") })
	}, "reset"},
	"Server.Use": {func(srv *loop.Server, _ func()) {
		srv.Use(func(next loop.Handler) loop.Handler {
			return func(x *loop.Exchange) {
				if x.Path() == "/panic" {
					panic("on purpose")
				}
				next(x)
			}
		})
		srv.Handle("/panic", say("hello"))
	}, "reset"},
	"Group.Use": {func(srv *loop.Server, _ func()) {
		g := srv.Group("/panic")
		g.Use(func(loop.Handler) loop.Handler { return panicking })
		g.Handle("/", say("hello"))
	}, "reset"},
	"Group.Handle": {func(srv *loop.Server, _ func()) { srv.Group("/panic").Handle("/", panicking) }, "reset"},
	"Group.HandleBlocking": {func(srv *loop.Server, _ func()) {
		srv.Group("/panic").HandleBlocking("/", func(context.Context, *loop.Exchange) error { panic("on purpose") })
	}, "reset"},
	"Group.HandleHTTP": {func(srv *loop.Server, _ func()) {
		srv.Group("/panic").HandleHTTP("/", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("on purpose") }))
	}, "reset"},
	"Server.HandleUpgrade": {func(srv *loop.Server, _ func()) { srv.HandleUpgrade("/panic", "shout", panicking) }, "reset"},
	"Group.HandleUpgrade":  {func(srv *loop.Server, _ func()) { srv.Group("/panic").HandleUpgrade("/", "shout", panicking) }, "reset"},
	"Async.Continue": {func(srv *loop.Server, _ func()) {
		srv.Handle("/panic", func(x *loop.Exchange) { _ = x.Suspend().Continue(panicking) })
	}, "reset"},
	"Exchange.OnAbort": {func(srv *loop.Server, later func()) {
		srv.Handle("/panic", func(x *loop.Exchange) {
			_ = x.OnAbort(func(error) { panic("on purpose") })
			_ = x.OnDone(later)
			_ = x.Reset(frames.ErrCodeCancel)
		})
	}, "reset CANCEL"},
	"Exchange.OnDone": {func(srv *loop.Server, later func()) {
		srv.Handle("/panic", func(x *loop.Exchange) {
			_ = x.OnDone(func() { panic("on purpose") })
			_ = x.OnDone(later)
			_ = x.SendString(200, "all the same")
		})
	}, "200"},
}

// panicsElsewhere names the tests that have the other callbacks panic, or says why
// there is none.
var panicsElsewhere = map[string]string{
	"Async.Do": "TestPanics", "Exchange.AfterBody": "TestPanics", "Exchange.OnBody": "TestPanics", "Exchange.ReadBody": "TestPanics",
	"Exchange.SendSource": "TestPanics", "Source.Pull": "TestPanics", "Source.Release": "TestPanicInRelease",
	"Exchange.SendOwned": "TestPanicInRelease",
	"Hooks.ConnOpen":     "TestHooksPanic", "Hooks.ConnClose": "TestHooksPanic", "Hooks.RequestDone": "TestHooksPanic",
	"Stream.OnWritable": "TestStreamPanics",

	"Server.Trace": "it is called by who calls Trace", "TraceQuery.Begun": "it is called by who calls Trace",
}

// TestPanicsOfEachCallback has each of them panic. Its stream ends as is documented, a
// neighbour is served, and what is to come after comes.
func TestPanicsOfEachCallback(t *testing.T) {
	t.Parallel()
	for name, tt := range panicsOf {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var after atomic.Int32
			wantAfter := int32(0)
			ts := newServer(t, loop.Config{Loops: 1}, func(srv *loop.Server) {
				srv.Handle("/good", say("good"))
				tt.register(srv, func() { after.Add(1) })
			})
			ts.expectLog("on purpose")
			if name == "Server.OnError" {
				ts.expectLog("callback returned without answering")
			}
			p := ts.open(cleartext)
			for range 3 {
				path := "/panic"
				if strings.HasPrefix(name, "Group.") {
					path = "/panic/"
				}
				method, end, fields := "GET", true, []string(nil)
				if strings.HasSuffix(name, "Upgrade") {
					method, end, fields = "CONNECT", false, []string{":protocol", "shout"}
				}
				id := p.headers(method, path, end, fields...)
				p.flush()
				switch a := p.answer(id); tt.want {
				case "reset":
					a.wantReset(t, frames.ErrCodeInternal)
				case "reset CANCEL":
					a.wantReset(t, frames.ErrCodeCancel)
				default:
					if a.status() != tt.want {
						t.Errorf("status %q, want %s", a.status(), tt.want)
					}
				}
				p.fetch("/good").want(t, "200", "good")
				if strings.HasPrefix(name, "Exchange.") {
					wantAfter++
				}
			}
			eventually(t, "what comes after", func() bool { return after.Load() == wantAfter })
			if n := len(ts.log.find("error", "on purpose")); n != 3 {
				t.Errorf("logged %d times", n)
			}
			eventually(t, "they are counted", func() bool { return ts.srv.Stats().Panics == 3 })
			eventually(t, "no request is open", func() bool { return ts.srv.Stats().OpenRequests == 0 })
		})
	}
}

// TestEachCallbackPanics reads the API for functions that the server is given, so
// that none is forgotten above.
func TestEachCallbackPanics(t *testing.T) {
	t.Parallel()
	tests, callbacks := map[string]bool{}, map[string]bool{}
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range f.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if strings.HasSuffix(name, "_test.go") {
					tests[d.Name.Name] = true
				} else if d.Name.IsExported() && takesCallback(d.Type) {
					callbacks[receiver(d)+d.Name.Name] = true
				}
			case *ast.GenDecl:
				if !strings.HasSuffix(name, "_test.go") {
					callbackFields(d, callbacks)
				}
			}
		}
	}
	if len(callbacks) < 20 {
		t.Fatalf("only %d callbacks were found: %v", len(callbacks), callbacks)
	}
	for name := range callbacks {
		elsewhere, ok := panicsElsewhere[name]
		if _, here := panicsOf[name]; !here && !ok {
			t.Errorf("%s takes a callback, and none of it panics in a test", name)
		}
		if strings.HasPrefix(elsewhere, "Test") && !tests[elsewhere] {
			t.Errorf("%s: there is no %s", name, elsewhere)
		}
	}
	for name := range panicsElsewhere {
		if !callbacks[name] {
			t.Errorf("%s takes no callback", name)
		}
	}
}

// receiver returns the name of the type that d is a method of, with a dot.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	return typ.(*ast.Ident).Name + "."
}

// isCallback reports whether typ is, or has, a function of the application.
func isCallback(typ ast.Expr) bool {
	switch typ := typ.(type) {
	case *ast.FuncType:
		return true
	case *ast.Ellipsis:
		return isCallback(typ.Elt)
	case *ast.Ident:
		switch typ.Name {
		case "Handler", "BlockingHandler", "Middleware", "BodyFunc", "Source":
			return true
		}
	case *ast.SelectorExpr:
		return typ.Sel.Name == "Handler"
	}
	return false
}

// takesCallback reports whether a function does, but to call it at once, as iterators do.
func takesCallback(f *ast.FuncType) bool {
	for _, p := range f.Params.List {
		if isCallback(p.Type) && (len(p.Names) == 0 || p.Names[0].Name != "yield") {
			return true
		}
	}
	return false
}

// callbackFields notes the fields of exported structs that are callbacks, and the
// methods of the interfaces that an application has.
func callbackFields(d *ast.GenDecl, callbacks map[string]bool) {
	for _, spec := range d.Specs {
		s, ok := spec.(*ast.TypeSpec)
		if !ok || !s.Name.IsExported() {
			continue
		}
		var fields []*ast.Field
		switch typ := s.Type.(type) {
		case *ast.StructType:
			fields = typ.Fields.List
		case *ast.InterfaceType:
			fields = typ.Methods.List
		}
		for _, f := range fields {
			for _, n := range f.Names {
				if n.IsExported() && isCallback(f.Type) {
					callbacks[s.Name.Name+"."+n.Name] = true
				}
			}
		}
	}
}
