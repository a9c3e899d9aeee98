package loop

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/h2loop/h2loop/frames"
)

// stressTakeNumber opens a connection whose one end has the descriptor number
// fd, which must be free, and returns it and the other end.
func stressTakeNumber(t testing.TB, fd int) (taken, peer int) {
	t.Helper()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	taken, peer = ends[0], ends[1]
	if peer == fd {
		taken, peer = peer, taken
	}
	if taken == fd {
		return taken, peer
	}
	// The lowest free number from fd on.
	moved, err := unix.FcntlInt(uintptr(taken), unix.F_DUPFD_CLOEXEC, fd)
	_ = unix.Close(taken)
	if err != nil {
		t.Fatal(err)
	}
	if moved != fd {
		t.Fatalf("descriptor %d is not free, got %d", fd, moved)
	}
	return moved, peer
}

// stressWaitReset waits until the kernel has seen the peer of fd reset it.
func stressWaitReset(t testing.TB, fd int) {
	for range 100 {
		pfd := []unix.PollFd{{Fd: int32(fd)}}
		if _, err := unix.Poll(pfd, 100); err == nil && pfd[0].Revents&unix.POLLHUP != 0 {
			return
		}
	}
	t.Error("the reset has not arrived")
}

// TestStressResetBetweenWrites has a client reset its connection A between two
// writes of one turn. The second write fails, and closes A inside gnet; at once
// another connection B takes the number of A's descriptor. B must receive
// nothing of what the rest of the turn has to say to A.
func TestStressResetBetweenWrites(t *testing.T) {
	t.Run("cleartext", func(t *testing.T) { stressResetBetweenWrites(t, false, false) })
	t.Run("TLS", func(t *testing.T) { stressResetBetweenWrites(t, true, false) })
	t.Run("TLS, sent directly", func(t *testing.T) { stressResetBetweenWrites(t, true, true) })
}

func stressResetBetweenWrites(t *testing.T, encrypted, directly bool) {
	var (
		later    Async     // on A, answered between the writes
		laterX   *Exchange // the same
		beside   *Exchange // on another connection of the loop, served later in the turn
		a        *conn
		spy      *stressSpy
		reset    func() // by the client of A
		number   int
		taken    = -1
		other    = -1
		releases []string
		ended    = make(chan struct{})

		wantWrites = 2
	)
	body := bytes.Repeat([]byte("A's "), 1<<10)
	listeners := []Listener{{Address: "127.0.0.1:0"}, {Address: "127.0.0.1:0", TLS: stressTLS(t)}}
	srv := stressServe(t, Config{Listeners: listeners}, func(srv *Server) {
		srv.Handle("GET /beside", func(x *Exchange) { beside = x; x.Async() })
		srv.Handle("GET /later", func(x *Exchange) { laterX, later = x, x.Async() })
		srv.Handle("GET /first", func(x *Exchange) {
			_ = x.SendOwned(200, body, func() { // after the first write of the turn
				releases = append(releases, "first")
				reset()
				stressWaitReset(t, number)
				_ = laterX.SendOwned(200, body, func() { releases = append(releases, "later") })
				_ = beside.SendOwned(200, body, func() { // the last of the turn
					releases = append(releases, "beside")
					defer close(ended)
					stressSpeakTo(t, a, laterX)
				})
			})
		})
	})
	c := stressDial(t, srv, 1<<20)
	c.get("/beside")
	c.ping()
	peer := stressNewPeer(t, -1) // to encode
	first, _ := peer.request("/later")
	second, _ := peer.request("/first")
	requests := append(first, second...)
	var ask func()
	if encrypted {
		tc := stressDialTLS(t, srv.Addrs()[1].String())
		a = stressConnFrom(t, srv, uint16(tc.LocalAddr().(*net.TCPAddr).Port))
		reset = func() {
			_ = tc.NetConn().(*net.TCPConn).SetLinger(0)
			_ = tc.NetConn().Close()
		}
		ask = func() {
			if _, err := tc.Write(requests); err != nil {
				t.Error(err)
			}
		}
	} else {
		plain := stressDial(t, srv, 1<<20)
		a = stressConnOf(t, srv, plain)
		reset = plain.reset
		ask = func() { plain.write(requests) }
	}
	stressOnLoop(t, srv, 0, func(*eventLoop) {
		number = a.wire.fd
		spy = stressSpyOn(a)
		if directly { // gnet gets the second write, which has failed already
			a.wire.isSpied, wantWrites = false, 1
		}
		spy.after = func(int) {
			if spy.writes == wantWrites {
				taken, other = stressTakeNumber(t, number)
			}
		}
	})
	ask()
	select {
	case <-ended:
	case <-time.After(stressPatience):
		t.Fatal("the turn has not ended")
	}
	stressOnLoop(t, srv, 0, func(*eventLoop) {
		stressSpeakTo(t, a, laterX)
		if spy.writes != wantWrites {
			t.Errorf("%d writes to A, want %d: one before the reset, unless it was direct, and the one that fails", spy.writes, wantWrites)
		}
		if got, want := fmt.Sprint(releases), "[first later beside]"; got != want {
			t.Errorf("released %s, want %s", got, want)
		}
	})
	if !later.Done() {
		t.Error("the exchange of A is not over")
	}
	if taken != number {
		t.Fatalf("B has descriptor %d, want %d", taken, number)
	}
	if !stressIsQuiet(other) {
		var got [64]byte
		n, err := unix.Read(other, got[:])
		t.Errorf("B received %q (%v), want nothing", got[:max(n, 0)], err)
	}
	if _, err := unix.Write(other, []byte("x")); err != nil {
		t.Errorf("B is closed: %v", err)
	}
	_ = unix.Close(taken)
	_ = unix.Close(other)
	c.ping() // and the others are served
}

// stressTLS returns a configuration with a certificate of its own.
func stressTLS(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: key}}}
}

// stressDialTLS opens a connection over TLS and waits until its SETTINGS are
// acknowledged.
func stressDialTLS(t *testing.T, addr string) *tls.Conn {
	t.Helper()
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(stressPatience))
	if _, err := c.Write(stressPreface(1 << 20)); err != nil {
		t.Fatal(err)
	}
	for {
		var b [1 << 10]byte
		if _, err := io.ReadFull(c, b[:frames.HeaderLen]); err != nil {
			t.Fatal(err)
		}
		h, _ := frames.ParseHeader(b[:])
		if _, err := io.ReadFull(c, b[:h.Length]); err != nil {
			t.Fatal(err)
		}
		if h.Type == frames.TypeSettings && h.Flags.Has(frames.FlagAck) {
			return c
		}
	}
}

// stressSpeakTo does everything that may be done by mistake with a connection
// that has closed.
func stressSpeakTo(t *testing.T, a *conn, x *Exchange) {
	_ = x.SendString(200, "A's")
	_ = x.Reset(frames.ErrCodeInternal)
	a.loop.touch(a)
	a.loop.pushReady(a)
	a.isBlocked = true
	a.pump()
	a.flush()
	a.flushMessages()
	a.linger()
	a.receive()
	a.onTimer()
	a.drain()
	w := &a.wire
	w.write([][]byte{[]byte("A's")})
	w.write([][]byte{[]byte("A's "), []byte("words")})
	w.flush()
	w.setSendLowWater(1 << 20)
	w.shutdownWrite()
	w.next()
	w.room(0)
	w.close()
	if w.isOpen() || w.buffered() != 0 {
		t.Error("a closed connection says that it is open, or holds octets")
	}
}

// TestStressDescriptorReused has a connection that is blocked, watched and
// ready die, and another one of the same server take its number: what the loop
// still knows of the first must not reach the second.
func TestStressDescriptorReused(t *testing.T) {
	big := make([]byte, 16<<20)
	srv := stressServe(t, Config{}, func(srv *Server) {
		srv.Handle("GET /big", Static(200, "text/plain", big))
	})
	peer := stressDial(t, srv, 1<<30)
	a := stressConnOf(t, srv, peer)
	number := a.wire.fd
	peer.get("/big")
	stressWait(t, "the socket is full", func() (blocked bool) {
		stressOnLoop(t, srv, 0, func(*eventLoop) { blocked = a.isBlocked })
		return blocked
	})
	peer.reset()
	stressWait(t, "the connection is gone", func() bool { return srv.openConns() == 0 })

	// A connection takes two numbers on its way in, of which it keeps the
	// second. The plugs see to it that this is the one of A, sooner or later.
	var b *conn
	var second *stressPeer
	for range 16 {
		second = stressDial(t, srv, 1<<20)
		if b = stressConnOf(t, srv, second); b.wire.fd == number {
			break
		}
		plug, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = plug.Close() })
		if int(plug.Fd()) == number {
			_ = plug.Close()
		}
	}
	if b.wire.fd != number {
		t.Skipf("no connection got descriptor %d", number)
	}
	stressOnLoop(t, srv, 0, func(l *eventLoop) {
		l.postWritable(a)
		l.pushReady(a)
		l.touch(a)
		stressSpeakTo(t, a, new(Exchange))
	})
	second.ping()
	if !stressIsQuiet(second.fd) || second.at != second.end {
		t.Error("B received more than it asked for")
	}
}

// TestStressOnlyWireTouchesConn reads the sources of the package: a gnet.Conn is
// used by the methods of wire alone, but for Context in the callbacks that gnet
// calls and EventLoop when the doorbell is hung.
func TestStressOnlyWireTouchesConn(t *testing.T) {
	pkg := stressCheckTypes(t)
	uses := 0
	for sel, what := range pkg.info.Selections {
		recv := what.Recv()
		if p, ok := recv.(*types.Pointer); ok {
			recv = p.Elem()
		}
		if recv.String() != "github.com/panjf2000/gnet/v2.Conn" {
			continue
		}
		uses++
		pos := pkg.fset.Position(sel.Pos())
		file, method := filepath.Base(pos.Filename), what.Obj().Name()
		switch {
		case file == "wire.go":
		case file == "eventloop.go" && (method == "Context" || method == "EventLoop"):
		default:
			t.Errorf("%s:%d calls %s of a gnet.Conn: only wire may", file, pos.Line, method)
		}
	}
	if uses == 0 {
		t.Error("no use of a gnet.Conn was found: the test has lost its way")
	}
	for id, obj := range pkg.info.Defs {
		v, ok := obj.(*types.Var)
		if !ok || !v.IsField() || v.Type().String() != "github.com/panjf2000/gnet/v2.Conn" {
			continue
		}
		if pos := pkg.fset.Position(id.Pos()); filepath.Base(pos.Filename) != "wire.go" {
			t.Errorf("%s:%d: a field holds a gnet.Conn: only wire may", filepath.Base(pos.Filename), pos.Line)
		}
	}
	for sel, what := range pkg.info.Selections {
		pos := pkg.fset.Position(sel.Pos())
		if what.Obj().Name() == "gc" && what.Kind() == types.FieldVal && filepath.Base(pos.Filename) != "wire.go" {
			t.Errorf("%s:%d reaches into a wire for its gnet.Conn", filepath.Base(pos.Filename), pos.Line)
		}
	}
}

type stressPackage struct {
	fset *token.FileSet
	info types.Info
}

// stressCheckTypes finds out the types in the sources of this package, with
// what the go command has compiled of those it imports.
func stressCheckTypes(t *testing.T) *stressPackage {
	t.Helper()
	list := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", ".")
	var said bytes.Buffer
	list.Stderr = &said
	out, err := list.Output()
	if err != nil {
		t.Skipf("go list: %v\n%s", err, said.Bytes())
	}
	exports := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if name, file, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			exports[name] = file
		}
	}
	p := &stressPackage{fset: token.NewFileSet()}
	p.info = types.Info{Selections: map[*ast.SelectorExpr]*types.Selection{}, Defs: map[*ast.Ident]types.Object{}}
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(p.fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	cfg := types.Config{Importer: importer.ForCompiler(p.fset, "gc", func(path string) (io.ReadCloser, error) {
		file, ok := exports[path]
		if !ok || file == "" {
			return nil, fmt.Errorf("no compiled package %s", path)
		}
		return os.Open(file)
	})}
	if _, err := cfg.Check("github.com/h2loop/h2loop/loop", p.fset, files, &p.info); err != nil {
		t.Fatal(err)
	}
	return p
}
