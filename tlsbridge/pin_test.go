package tlsbridge

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

// A flakyConn is a net.Conn as crypto/tls sees it here after the handshake,
// without any code of this package: once it is flaky, reads fail for the moment
// when there are no bytes.
type flakyConn struct {
	*peer
	flaky bool
}

type tryAgain struct{}

func (tryAgain) Error() string   { return "try again" }
func (tryAgain) Timeout() bool   { return false }
func (tryAgain) Temporary() bool { return true }

func (c *flakyConn) Read(p []byte) (int, error) {
	if c.flaky && len(c.in) == 0 {
		return 0, tryAgain{}
	}
	return c.peer.Read(p)
}

// TestPinTemporaryError pins what the package is built upon, and crypto/tls does
// not promise: after a temporary error of the net.Conn, at any point of a record,
// tls.Conn.Read can be called again and has lost nothing. If this fails with a
// new release of Go, then reading after the handshake needs another way, such as
// a coroutine for as long as a record is not whole.
func TestPinTemporaryError(t *testing.T) {
	versions(t, func(t *testing.T, v uint16) {
		client := newPeer(clientConfig(v))
		transport := &flakyConn{peer: newPeer(nil)}
		server := tls.Server(transport, serverConfig())
		client.start((*tls.Conn).Handshake)
		transport.start(func(*tls.Conn) error { return server.Handshake() })
		for {
			up := client.settle()
			transport.deliver(up)
			down := transport.settle()
			client.deliver(down)
			if len(up)+len(down) == 0 {
				break
			}
		}
		if err := errors.Join(client.result(), transport.result()); err != nil {
			t.Fatal(err)
		}

		transport.flaky = true
		buf := make([]byte, 100)
		for round := range 3 {
			want := []byte("a record whole at last")
			client.start(func(c *tls.Conn) error {
				_, err := c.Write(want)
				return err
			})
			rec := client.settle()
			for i, o := range rec {
				_, err := server.Read(buf)
				if !errors.Is(err, tryAgain{}) {
					t.Fatalf("round %d, after %d of %d octets: %v, want the temporary error", round, i, len(rec), err)
				}
				transport.deliver([]byte{o})
			}
			n, err := server.Read(buf)
			if err != nil || !bytes.Equal(buf[:n], want) {
				t.Fatalf("round %d: the record read after %d temporary errors: %q, %v", round, len(rec), buf[:n], err)
			}
		}
		// Writing was not impaired.
		if _, err := server.Write([]byte("answer")); err != nil {
			t.Fatal(err)
		}
		client.deliver(transport.settle())
		client.start(func(c *tls.Conn) error {
			n, err := c.Read(buf)
			if string(buf[:n]) != "answer" {
				t.Errorf("client read %q", buf[:n])
			}
			return err
		})
		if err := client.result(); err != nil {
			t.Fatal(err)
		}
	})
}

// A forger writes records of TLS 1.3 with the keys of a client that has finished
// its handshake, so that the tests can send what crypto/tls never would.
// RFC 8446, Sections 5.2, 5.3, 7.2 and 7.3.
type forger struct {
	t                       *testing.T
	clientSecret, srvSecret []byte
	out, in                 aeadState
}

type aeadState struct {
	aead cipher.AEAD
	iv   []byte
	seq  uint64
}

func (s *aeadState) nonce() []byte {
	n := bytes.Clone(s.iv)
	tail := n[len(n)-8:]
	binary.BigEndian.PutUint64(tail, binary.BigEndian.Uint64(tail)^s.seq)
	s.seq++
	return n
}

func expandLabel(secret []byte, label string, n int) []byte {
	info := binary.BigEndian.AppendUint16(nil, uint16(n))
	info = append(info, byte(len("tls13 ")+len(label)))
	info = append(append(info, "tls13 "+label...), 0)
	return must(hkdf.Expand(sha256.New, secret, string(info), n))
}

func newAEADState(secret []byte) aeadState {
	block := must(aes.NewCipher(expandLabel(secret, "key", 16)))
	return aeadState{aead: must(cipher.NewGCM(block)), iv: expandLabel(secret, "iv", 12)}
}

// newForger completes a handshake and takes the client's side of it over.
func newForger(t *testing.T) (*forger, *link) {
	var keys bytes.Buffer
	cfg := clientConfig(tls.VersionTLS13)
	cfg.KeyLogWriter = &keys
	server := serverConfig()
	server.SessionTicketsDisabled = true // so that the server's sequence starts at 0
	l := newLink(t, server, cfg)
	l.handshake()
	if l.b.ConnectionState().CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
		t.Skip("no AES in this machine: the forger knows no other cipher")
	}
	f := &forger{t: t}
	for line := range strings.Lines(keys.String()) {
		fields := strings.Fields(line)
		switch fields[0] {
		case "CLIENT_TRAFFIC_SECRET_0":
			f.clientSecret = must(hex.DecodeString(fields[2]))
		case "SERVER_TRAFFIC_SECRET_0":
			f.srvSecret = must(hex.DecodeString(fields[2]))
		}
	}
	f.out, f.in = newAEADState(f.clientSecret), newAEADState(f.srvSecret)
	return f, l
}

// seal returns one record.
func (f *forger) seal(typ byte, payload []byte) []byte {
	inner := append(bytes.Clone(payload), typ)
	n := len(inner) + f.out.aead.Overhead()
	header := []byte{23, 3, 3, byte(n >> 8), byte(n)}
	return f.out.aead.Seal(header, f.out.nonce(), inner, header)
}

// open opens the records in b, and returns each with its type last.
func (f *forger) open(b []byte) (opened []string) {
	f.t.Helper()
	for _, r := range records(f.t, b) {
		header := []byte{23, 3, 3, byte(len(r.payload) >> 8), byte(len(r.payload))}
		p, err := f.in.aead.Open(nil, f.in.nonce(), r.payload, header)
		if err != nil {
			f.t.Fatalf("record %x does not open: %v", r.payload, err)
		}
		opened = append(opened, string(p))
	}
	return opened
}

func (f *forger) updateOut() {
	f.clientSecret = expandLabel(f.clientSecret, "traffic upd", 32)
	f.out = newAEADState(f.clientSecret)
}

func (f *forger) updateIn() {
	f.srvSecret = expandLabel(f.srvSecret, "traffic upd", 32)
	f.in = newAEADState(f.srvSecret)
}

// want fails the test unless the pending output is exactly these records.
func (f *forger) want(l *link, want ...string) {
	f.t.Helper()
	got := f.open(l.b.Pending())
	l.b.Sent()
	if strings.Join(got, "|") != strings.Join(want, "|") {
		f.t.Fatalf("pending %q, want %q; error %v", got, want, l.err)
	}
}

const (
	keyUpdateQuiet     = "\x18\x00\x00\x01\x00"
	keyUpdateRequested = "\x18\x00\x00\x01\x01"
)

// RFC 8446, Section 4.6.3.
func TestKeyUpdate(t *testing.T) {
	for _, step := range []int{0, 1} {
		f, l := newForger(t)
		l.step = step
		for range 3 {
			// Data, a KeyUpdate and data with the new keys, in one segment.
			in := f.seal(23, []byte("before "))
			in = append(in, f.seal(22, []byte(keyUpdateRequested))...)
			f.updateOut()
			in = append(in, f.seal(23, []byte("after"))...)
			l.opened.Reset()
			l.recv(in)
			if l.opened.String() != "before after" {
				t.Fatalf("opened %q, error %v", l.opened.String(), l.err)
			}
			f.want(l, keyUpdateQuiet+"\x16")
			f.updateIn()
			if err := l.b.Seal([][]byte{[]byte("answer")}); err != nil {
				t.Fatal(err)
			}
			f.want(l, "answer\x17")

			// Without a request there is no answer.
			l.recv(f.seal(22, []byte(keyUpdateQuiet)))
			f.updateOut()
			f.want(l)
		}
	}
}

// TestKeyUpdateInPieces has the message in records of one octet each, every one
// of them fed octet by octet: a temporary error in the middle of a handshake
// message after the handshake.
func TestKeyUpdateInPieces(t *testing.T) {
	f, l := newForger(t)
	l.step = 1
	for i := range len(keyUpdateRequested) {
		f.want(l)
		l.recv(f.seal(22, []byte(keyUpdateRequested[i:i+1])))
	}
	f.want(l, keyUpdateQuiet+"\x16")
	f.updateOut()
	f.updateIn()
	l.recv(f.seal(23, []byte("hello")))
	if l.opened.String() != "hello" {
		t.Errorf("opened %q, error %v", l.opened.String(), l.err)
	}
}

// TestPostHandshake has messages that no client may send after the handshake,
// and records that say nothing.
func TestPostHandshake(t *testing.T) {
	const unexpectedMessage, decodeError = "\x02\x0a\x15", "\x02\x32\x15"
	for name, tt := range map[string]struct {
		typ  byte
		msg  string
		want string
	}{
		"ClientHello":          {22, "\x01\x00\x00\x00", decodeError},
		"Finished":             {22, "\x14\x00\x00\x01x", unexpectedMessage},
		"unknown message":      {22, "\x63\x00\x00\x00", unexpectedMessage},
		"bad KeyUpdate":        {22, "\x18\x00\x00\x01\x02", decodeError},
		"two in one record":    {22, keyUpdateQuiet + keyUpdateQuiet, unexpectedMessage},
		"unknown content type": {99, "x", unexpectedMessage},
		"no such alert form":   {21, "\x01", unexpectedMessage},
	} {
		t.Run(name, func(t *testing.T) {
			f, l := newForger(t)
			l.recv(f.seal(tt.typ, []byte(tt.msg)))
			if l.err == nil {
				t.Error("no error")
			}
			f.want(l, tt.want)
		})
	}

	t.Run("empty records", func(t *testing.T) {
		f, l := newForger(t)
		for range 10 {
			l.recv(f.seal(23, nil))
		}
		l.recv(f.seal(23, []byte("hello")))
		if l.opened.String() != "hello" {
			t.Fatalf("opened %q, error %v", l.opened.String(), l.err)
		}
		for range 100 {
			l.recv(f.seal(23, nil))
		}
		if l.err == nil {
			t.Error("a flood of empty records is not refused")
		}
		f.want(l, unexpectedMessage)
	})

	t.Run("fatal alert", func(t *testing.T) {
		f, l := newForger(t)
		l.recv(f.seal(21, []byte("\x02\x50")))
		if l.err == nil || !strings.Contains(l.err.Error(), "internal error") {
			t.Errorf("%v, want the peer's internal_error", l.err)
		}
		f.want(l)
	})
}
