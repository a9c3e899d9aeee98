// Package tlsbridge runs the server side of crypto/tls on an event loop.
//
// The package does no I/O and starts no goroutine of its own. Ciphertext from
// the peer goes in through [Bridge.Receive], which hands out plaintext;
// plaintext for the peer goes in through [Bridge.Seal]; ciphertext for the peer
// comes out of [Bridge.Pending]. Between the two is an ordinary [tls.Conn] with
// an ordinary [tls.Config]: certificates, callbacks, client certificates,
// tickets, ALPN, key updates and Encrypted Client Hello are those of crypto/tls.
//
//	srv, err := tlsbridge.NewServer(cfg, tlsbridge.Options{}) // one a listener
//	bufs := tlsbridge.NewBuffers()                            // one a loop
//
//	b := srv.NewBridge(bufs)          // one a connection, when it opens
//	err = b.Receive(in, conn.receive) // whenever bytes arrived
//	err = b.Seal(batch)               // once a turn, what conn wants to say
//	write(b.Pending())                // whatever Receive, Seal and CloseNotify left
//	b.Sent()
//	b.Stop()                          // when the connection is gone: always
//
// Four words say who owns memory: a function borrows a slice if it keeps no
// reference after it returns, takes it if it keeps one until it says so, copies
// it if the caller may reuse it at once, and lends one if its result is good
// only until the call it names.
//
// # A handshake that can wait
//
// [tls.Conn.Handshake] is written to block: it cannot be left when bytes are
// missing and entered again later. So it runs inside a coroutine made by
// [iter.Pull]. The [net.Conn] under the tls.Conn (type wire) serves Read from
// the bytes that Receive was given; when there are none it yields, which brings
// the loop back out of Receive. The next Receive switches into the coroutine
// again (two switches, about 150 ns each). A coroutine is a goroutine that only
// ever runs in place of the one that resumes it: there is no scheduling, no
// lock and no concurrency in it.
//
// The coroutine and the tls.Conn are made when the first record, which holds
// the ClientHello, is there whole. Until then a connection is a Bridge of a few
// hundred octets and the octets that arrived, so that peers who connect and say
// nothing, or half of a record, cost little. When the handshake ends the
// coroutine is over and what belonged to it is let go.
//
// # Reading after the handshake
//
// After the handshake no coroutine is needed, because tls.Conn.Read survives a
// net.Error whose Temporary method reports true: the connection keeps what it
// has of the record, and Read can be called again. So wire.Read returns such an
// error when it has no bytes. That is not promised by the documentation of
// crypto/tls; TestPinTemporaryError fails if a Go release changes it. Any error
// from the Write of a net.Conn is permanent to crypto/tls, so wire.Write takes
// everything, always; bounding what is pending is the caller's business.
// Deadlines do nothing.
//
// # A handshake that can be held
//
// Inside Receive a handshake runs at once and on the loop. [Bridge.Hold], called
// before Receive, leaves to the caller when it runs and where: Receive then copies
// what arrives, and the handshake moves in steps.
//
//	b.Hold()                   // when the connection opens, if srv.Blocking()
//	err = b.Receive(in, open)  // as always
//	if b.Ready() && !b.busy {  // busy is the caller's own
//		pool <- b          // elsewhere: b.Step(), then back to the loop
//	}
//	err = b.Stepped(open)      // on the loop: the results; then ask Ready again
//
// While a step runs, the loop may call every method but Stepped. The step reads
// the octets that were kept when it began; those that come meanwhile are for the
// next one. It writes into memory of its own: what it has said is pending after
// Stepped, and the state, the error and the plaintext of octets behind the
// handshake are to be had only then. Stop, called while a step runs, sets a flag:
// the next Read of the handshake fails, what it writes is discarded, and the step
// lets go of everything before it returns. Called at another time, Stop ends the
// coroutine itself, and a step that comes later does nothing. Nobody need call
// Stepped after Stop.
//
// Between the two sides are two atomic values: whose turn it is, and the octets
// kept. The goroutines that call Step differ from step to step, as they like, but
// the rule of locked threads holds for them and for the loop, since Stop may have
// to resume the coroutine: neither those goroutines nor the loop may be locked to a
// thread. [runtime.LockOSThread] and Step elsewhere do not go together. A loop that
// is locked may call Step itself, to choose when a handshake runs.
//
// The octets kept are bounded when they arrive: by Options.MaxHandshakeBytes, and by
// 128 KiB more once the server has said something, since application data may
// come behind the end of the handshake. Those that the handshake reads are counted
// as without Hold.
//
// Stepping costs two small allocations and a copy of each flight: 0.4 KiB a
// handshake with TLS 1.2 and 1.6 KiB with TLS 1.3 (BenchmarkHandshake).
//
// # Rules
//
//   - A Bridge belongs to one event loop, and so do its Buffers: no method but
//     Step may be called from anywhere else. No other method blocks, except
//     Receive, as long as a callback of the tls.Config does.
//   - While the handshake has not ended only Receive, Pending, Sent and Stop do
//     anything, and Ready, Step and Stepped where it is held; Seal returns an
//     error and CloseNotify does nothing. (The tls.Conn holds its locks while the
//     coroutine waits. The Bridge therefore asks it nothing before the end; a
//     version of this code that did would block its loop for ever.)
//   - The callback given to Receive borrows its argument, which is memory of the
//     Buffers: while it runs, no Receive may run on any Bridge with the same
//     Buffers. It must not call Seal, CloseNotify, Pending or Sent of its own
//     Bridge; it queues what it has to say and the loop seals it afterwards. It
//     may call Stop.
//   - Every Bridge ends with Stop. One that is merely dropped in the middle of a
//     handshake leaks a goroutine.
//   - When Receive returns an error the peer's side is over, but there may be
//     an alert in Pending that tells the peer why.
//
// # Traps
//
// Locked threads. The coroutine must be created and resumed either always on one
// and the same locked thread ([runtime.LockOSThread]) or always on goroutines
// that are not locked. A mix is a fatal error of the runtime, which no recover
// catches. For the same reason a callback of the tls.Config must not lock its
// thread and return.
//
// Callbacks run on the loop, unless the handshake is held. GetCertificate,
// GetConfigForClient, VerifyPeerCertificate and the others run inside Receive, and
// so does the arithmetic of the handshake: 0.1 to 0.2 ms with ECDSA, 1 to 2 ms
// with RSA. [Server.Blocking] tells which servers had better hold theirs.
//
// Panics. If a callback panics or calls [runtime.Goexit] during the handshake,
// Receive or Stepped returns a [PanicError] and the connection is over. (Left alone,
// iter.Pull would carry the Goexit to the caller and end the event loop. A panic
// of a KeyLogWriter would leave a lock of crypto/tls behind.) A panic after the
// handshake, in the callback given to Receive or in tls.Config.Rand, goes up
// through Receive or Seal as usual; the caller then calls Stop.
//
// Contexts. The bridge calls Handshake and not HandshakeContext: with a context
// that can be cancelled, crypto/tls closes the connection from another goroutine.
// ClientHelloInfo.Context is cancelled when the handshake ends or Stop is called.
//
// Configurations are cloned. NewServer clones the tls.Config, and what
// GetConfigForClient returns is cloned where needed, to switch off dynamic
// record sizing, which would cut the first 128 KiB into records of 1.2 KiB and
// up, and to leave out the cipher suites that HTTP/2 prohibits, unless CipherSuites
// names them: then [Bridge.AllowsHTTP2] tells. (What GetConfigForClient returns is
// not cloned in each handshake if both settings are there, and no KeyLogWriter, whose
// panics are to end no more than the handshake.) Without CipherSuites
// TLS 1.0 and 1.1 find none, whatever MinVersion says. Later changes of the
// original are not seen: rotate ticket keys with [Server.SetSessionTicketKeys],
// exchange certificates with [Server.SetCertificates] or behind the callbacks that
// choose them.
//
// Truncation. A TCP connection that ends without close_notify is not reported
// as an error, because nobody tells the bridge: HTTP says itself where its
// messages end.
//
// Output that nobody asked for. Receive may queue some: an alert, or the answer
// to a KeyUpdate, of about the size of the peer's message. A peer that asks and
// never reads makes what is pending grow; whoever bounds the output of a
// connection counts it too.
//
// # Memory
//
// Octets of heap a connection, with Go 1.26, a P-256 certificate, tickets on and
// a client that offers X25519MLKEM768 (TestIdleMemory prints them):
//
//	before the ClientHello       208
//	in the middle of it          976   the Bridge and what has come
//	in the handshake          14,900   and a stack of 8 KiB
//	idle, TLS 1.3              6,800
//	idle, TLS 1.2              4,200
//
// Of the idle ones the Bridge is 208; the rest is crypto/tls's own: 2048 for the
// buffer of raw input and 1536 for that of handshake messages, both of which stay
// as large as the ClientHello made them; 1800 for two AEADs, 900 for the tls.Conn
// and some secrets. The raw input stays as large as the largest record made it,
// too: 18 KiB after a full record, 32 KiB if the records grew up to it by and by.
// The output buffer is on loan from Buffers and goes back with Sent; plaintext is
// read into one buffer that all the bridges of a loop share.
package tlsbridge
