package h1

import (
	"fmt"
	"strings"
	"testing"
)

// A badInput is what a connection must refuse, behind good requests and before
// one that must never be served.
type badInput struct {
	name   string
	in     string
	status int
	why    string
}

func head(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n\r\n" }

// fault returns a request with these field lines beside Host.
func fault(lines ...string) string {
	return head(append([]string{"POST /bad HTTP/1.1", "Host: a"}, lines...)...)
}

// chunks returns a request with body as its chunked body.
func chunks(body string) string { return fault("Transfer-Encoding: chunked") + body }

var badInputs = []badInput{
	// RFC 9112, Section 2.2: line ends.
	{"bare LF behind the request line", "GET /bad HTTP/1.1\nHost: a\r\n\r\n", 400, "a line ends with LF alone"},
	{"bare LF behind a field", "GET /bad HTTP/1.1\r\nHost: a\n\r\n", 400, "a line ends with LF alone"},
	{"bare LF as the empty line", "GET /bad HTTP/1.1\r\nHost: a\r\n\n", 400, "a line ends with LF alone"},
	{"bare LF before the request", "\nGET /bad HTTP/1.1\r\nHost: a\r\n\r\n", 400, "a line ends with LF alone"},
	{"all bare LF", "GET /bad HTTP/1.1\nHost: a\n\n", 400, "a line ends with LF alone"},
	{"bare CR in the request line", "GET /b\rad HTTP/1.1\r\nHost: a\r\n\r\n", 400, errTarget.Reason},
	{"bare CR before the version", "GET /bad\rHTTP/1.1\r\nHost: a\r\n\r\n", 400, errRequestLineForm.Reason},
	{"bare CR behind the version", "GET /bad HTTP/1.1\r\r\nHost: a\r\n\r\n", 400, errRequestLineForm.Reason},
	{"bare CR in a value", fault("X: a\rb"), 400, errFieldValue.Reason},
	{"bare CR as a line end", fault("X: a\rY: b"), 400, errFieldValue.Reason},
	{"CR CR LF", fault("X: a\r"), 400, errFieldValue.Reason},
	{"bare CR before the request", "\rGET /bad HTTP/1.1\r\nHost: a\r\n\r\n", 400, errMethod.Reason},
	{"bare CR as a name", fault("\r"), 400, errNoColon.Reason},
	{"too many empty lines", "\r\n\r\n\r\n\r\n\r\n" + get, 400, errBlank.Reason},
	{"white space before the fields", "GET /bad HTTP/1.1\r\n Host: a\r\n\r\n", 400, errFold.Reason},
	{"white space before the request line", " GET /bad HTTP/1.1\r\nHost: a\r\n\r\n", 400, errMethod.Reason},

	// Section 2.3: versions.
	{"HTTP/2.0", "GET /bad HTTP/2.0\r\nHost: a\r\n\r\n", 505, errVersion.Reason},
	{"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, errVersion.Reason},
	{"HTTP/0.9", "GET /bad HTTP/0.9\r\nHost: a\r\n\r\n", 505, errVersion.Reason},
	{"HTTP/3.0", "GET /bad HTTP/3.0\r\nHost: a\r\n\r\n", 505, errVersion.Reason},
	{"no version", "GET /bad\r\nHost: a\r\n\r\n", 400, errRequestLineForm.Reason},
	{"http/1.1", "GET /bad http/1.1\r\nHost: a\r\n\r\n", 400, errRequestLineForm.Reason},
	{"Http/1.1", "GET /bad Http/1.1\r\nHost: a\r\n\r\n", 400, errRequestLineForm.Reason},
	{"HTTP/1", "GET /bad HTTP/1\r\nHost: a\r\n\r\n", 400, errRequestLineForm.Reason},
	{"HTTP/1.", "GET /bad HTTP/1.\r\nHost: a\r\n\r\n", 400, errRequestLineForm.Reason},
	{"HTTP/11", "GET /bad HTTP/111\r\nHost: a\r\n\r\n", 400, errRequestLineForm.Reason},
	{"HTTP/1.10", "GET /bad HTTP/1.10\r\nHost: a\r\n\r\n", 400, errRequestLineForm.Reason},
	{"HTTP/01.1", "GET /bad HTTP/01.1\r\nHost: a\r\n\r\n", 400, errRequestLineForm.Reason},
	{"HTTP/1,1", "GET /bad HTTP/1,1\r\nHost: a\r\n\r\n", 400, errRequestLineForm.Reason},
	{"HTTP/1.x", "GET /bad HTTP/1.x\r\nHost: a\r\n\r\n", 400, errRequestLineForm.Reason},
	{"another protocol", "GET /bad ICAP/1.0\r\nHost: a\r\n\r\n", 400, errRequestLineForm.Reason},
	{"space behind the version", "GET /bad HTTP/1.1 \r\nHost: a\r\n\r\n", 400, errRequestLineForm.Reason},

	// Sections 3 and 3.1: the request line and the method.
	{"only a method", "GET\r\nHost: a\r\n\r\n", 400, errRequestLineForm.Reason},
	{"no target", "GET HTTP/1.1\r\nHost: a\r\n\r\n", 400, errRequestLineForm.Reason},
	{"an empty target", "GET  HTTP/1.1\r\nHost: a\r\n\r\n", 400, errRequestLineForm.Reason},
	{"no method", " /bad HTTP/1.1\r\nHost: a\r\n\r\n", 400, errMethod.Reason},
	{"two spaces before the target", "GET  /bad HTTP/1.1\r\nHost: a\r\n\r\n", 400, errTarget.Reason},
	{"two spaces behind the target", "GET /bad  HTTP/1.1\r\nHost: a\r\n\r\n", 400, errTarget.Reason},
	{"a tab before the target", "GET\t/bad HTTP/1.1\r\nHost: a\r\n\r\n", 400, errMethod.Reason},
	{"a tab before the version", "GET /bad\tHTTP/1.1\r\nHost: a\r\n\r\n", 400, errRequestLineForm.Reason},
	{"a method that is no token", "G@T /bad HTTP/1.1\r\nHost: a\r\n\r\n", 400, errMethod.Reason},
	{"a method with a colon", "GET: /bad HTTP/1.1\r\nHost: a\r\n\r\n", 400, errMethod.Reason},
	{"NUL in the method", "GE\x00T /bad HTTP/1.1\r\nHost: a\r\n\r\n", 400, errMethod.Reason},
	{"a field as the request line", "Host: a\r\n\r\n", 400, errMethod.Reason},
	{"a TLS handshake", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 \r\n\r\n", 400, errMethod.Reason},

	// Section 3.2: targets.
	{"a target without a slash", "GET bad HTTP/1.1\r\nHost: a\r\n\r\n", 400, errTarget.Reason},
	{"a space in the target", "GET /b ad HTTP/1.1\r\nHost: a\r\n\r\n", 400, errTarget.Reason},
	{"a fragment", "GET /bad#x HTTP/1.1\r\nHost: a\r\n\r\n", 400, errTarget.Reason},
	{"NUL in the target", "GET /\x00bad HTTP/1.1\r\nHost: a\r\n\r\n", 400, errTarget.Reason},
	{"DEL in the target", "GET /\x7fbad HTTP/1.1\r\nHost: a\r\n\r\n", 400, errTarget.Reason},
	{"a tab in the target", "GET /\tbad HTTP/1.1\r\nHost: a\r\n\r\n", 400, errTarget.Reason},
	{"an asterisk for GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400, errTarget.Reason},
	{"more than an asterisk", "OPTIONS *bad HTTP/1.1\r\nHost: a\r\n\r\n", 400, errTarget.Reason},
	{"userinfo", "GET http://u:p@a/bad HTTP/1.1\r\nHost: a\r\n\r\n", 400, errTarget.Reason},
	{"an absolute target without a host", "GET http:///bad HTTP/1.1\r\nHost: a\r\n\r\n", 400, errTarget.Reason},
	{"an absolute target with a port only", "GET http://:80/bad HTTP/1.1\r\nHost: a\r\n\r\n", 400, errTarget.Reason},
	{"no scheme", "GET ://a/bad HTTP/1.1\r\nHost: a\r\n\r\n", 400, errTarget.Reason},
	{"a bad scheme", "GET 1http://a/bad HTTP/1.1\r\nHost: a\r\n\r\n", 400, errTarget.Reason},
	{"a scheme without an authority", "GET http:/bad HTTP/1.1\r\nHost: a\r\n\r\n", 400, errTarget.Reason},
	{"a bad port", "GET http://a:8x/bad HTTP/1.1\r\nHost: a\r\n\r\n", 400, errTarget.Reason},
	{"a fragment in absolute-form", "GET http://a/bad#x HTTP/1.1\r\nHost: a\r\n\r\n", 400, errTarget.Reason},
	{"a fragment behind the authority", "GET http://a#x HTTP/1.1\r\nHost: a\r\n\r\n", 400, errTarget.Reason},
	{"an authority for GET", "GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400, errTarget.Reason},
	{"CONNECT without a port", "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", 400, errTarget.Reason},
	{"CONNECT with an empty port", "CONNECT a: HTTP/1.1\r\nHost: a\r\n\r\n", 400, errTarget.Reason},
	{"CONNECT with a path", "CONNECT /bad HTTP/1.1\r\nHost: a\r\n\r\n", 400, errTarget.Reason},
	{"CONNECT with a URI", "CONNECT http://a:80/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, errTarget.Reason},
	{"CONNECT with userinfo", "CONNECT u@a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400, errTarget.Reason},
	{"CONNECT with content", "CONNECT a:80 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", 400, errConnect.Reason},
	{"CONNECT with chunks", "CONNECT a:80 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400, errConnect.Reason},

	// Section 3.2: Host.
	{"no Host", "GET /bad HTTP/1.1\r\n\r\n", 400, errNoHost.Reason},
	{"no Host, absolute-form", "GET http://a/bad HTTP/1.1\r\n\r\n", 400, errNoHost.Reason},
	{"Host twice", fault("Host: b"), 400, errHostTwice.Reason},
	{"the same Host twice", fault("host: a"), 400, errHostTwice.Reason},
	{"Host twice in HTTP/1.0", "GET /bad HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400, errHostTwice.Reason},
	{"two hosts", "GET /bad HTTP/1.1\r\nHost: a, b\r\n\r\n", 400, errHost.Reason},
	{"a space in Host", "GET /bad HTTP/1.1\r\nHost: a b\r\n\r\n", 400, errHost.Reason},
	{"userinfo in Host", "GET /bad HTTP/1.1\r\nHost: u@a\r\n\r\n", 400, errHost.Reason},
	{"a path in Host", "GET /bad HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, errHost.Reason},
	{"a URI in Host", "GET /bad HTTP/1.1\r\nHost: http://a\r\n\r\n", 400, errHost.Reason},
	{"two ports", "GET /bad HTTP/1.1\r\nHost: a:1:2\r\n\r\n", 400, errHost.Reason},
	{"a port of letters", "GET /bad HTTP/1.1\r\nHost: a:http\r\n\r\n", 400, errHost.Reason},
	{"a long port", "GET /bad HTTP/1.1\r\nHost: a:123456\r\n\r\n", 400, errHost.Reason},
	{"an open bracket", "GET /bad HTTP/1.1\r\nHost: [::1\r\n\r\n", 400, errHost.Reason},
	{"a bracket in the middle", "GET /bad HTTP/1.1\r\nHost: a[::1]\r\n\r\n", 400, errHost.Reason},
	{"octets behind a bracket", "GET /bad HTTP/1.1\r\nHost: [::1]a\r\n\r\n", 400, errHost.Reason},
	{"empty brackets", "GET /bad HTTP/1.1\r\nHost: []\r\n\r\n", 400, errHost.Reason},
	{"a name in brackets", "GET /bad HTTP/1.1\r\nHost: [host]\r\n\r\n", 400, errHost.Reason},

	// Section 5: fields.
	{"no colon", fault("X"), 400, errNoColon.Reason},
	{"an empty name", fault(": x"), 400, errFieldName.Reason},
	{"a space before the colon", fault("X : x"), 400, errFieldName.Reason},
	{"a tab before the colon", fault("X\t: x"), 400, errFieldName.Reason},
	{"a space before the colon of Content-Length", fault("Content-Length : 5"), 400, errFieldName.Reason},
	{"a space before the colon of Transfer-Encoding", fault("Transfer-Encoding : chunked"), 400, errFieldName.Reason},
	{"a space in a name", fault("X Y: x"), 400, errFieldName.Reason},
	{"NUL in a name", fault("X\x00: x"), 400, errFieldName.Reason},
	{"a name that is not ASCII", fault("\xc3\xa4: x"), 400, errFieldName.Reason},
	{"a name with a parenthesis", fault("X(: x"), 400, errFieldName.Reason},
	{"a pseudo-header field", fault(":authority: b"), 400, errFieldName.Reason},
	{"NUL in a value", fault("X: a\x00b"), 400, errFieldValue.Reason},
	{"a control octet in a value", fault("X: a\x01b"), 400, errFieldValue.Reason},
	{"DEL in a value", fault("X: a\x7f"), 400, errFieldValue.Reason},
	{"a vertical tab before a value", fault("Content-Length: \v5"), 400, errFieldValue.Reason},
	{"a folded line", fault("X: a", " b"), 400, errFold.Reason},
	{"a line folded with a tab", fault("X: a", "\tb"), 400, errFold.Reason},
	{"a folded Transfer-Encoding", fault("Transfer-Encoding:", " chunked"), 400, errFold.Reason},
	{"a line of white space", fault("X: a", " "), 400, errFold.Reason},

	// Sections 6.1 to 6.3: framing.
	{"both Content-Length and Transfer-Encoding", fault("Content-Length: 5", "Transfer-Encoding: chunked"), 400, errBothFrames.Reason},
	{"the other way round", fault("Transfer-Encoding: chunked", "Content-Length: 5"), 400, errBothFrames.Reason},
	{"both, in other cases", fault("tRANSFER-eNCODING: CHUNKED", "cONTENT-lENGTH: 5"), 400, errBothFrames.Reason},
	{"both, with a length of 0", fault("Content-Length: 0", "Transfer-Encoding: chunked"), 400, errBothFrames.Reason},
	{"Transfer-Encoding in HTTP/1.0", "POST /bad HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, errCoding10.Reason},
	{"identity", fault("Transfer-Encoding: identity"), 400, errNotChunked.Reason},
	{"only gzip", fault("Transfer-Encoding: gzip"), 400, errNotChunked.Reason},
	{"chunked not last", fault("Transfer-Encoding: chunked, gzip"), 400, errNotChunked.Reason},
	{"chunked not last, on two lines", fault("Transfer-Encoding: chunked", "Transfer-Encoding: identity"), 400, errNotChunked.Reason},
	{"chunked twice", fault("Transfer-Encoding: chunked, chunked"), 400, errNotChunked.Reason},
	{"chunked twice, on two lines", fault("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), 400, errNotChunked.Reason},
	{"xchunked", fault("Transfer-Encoding: xchunked"), 400, errNotChunked.Reason},
	{"chunked with a parameter", fault("Transfer-Encoding: chunked;q=1"), 400, errNotChunked.Reason},
	{"chunked in quotes", fault(`Transfer-Encoding: "chunked"`), 400, errNotChunked.Reason},
	{"two words", fault("Transfer-Encoding: x chunked"), 400, errNotChunked.Reason},
	{"an empty Transfer-Encoding", fault("Transfer-Encoding:"), 400, errNotChunked.Reason},
	{"a comma behind chunked", fault("Transfer-Encoding: chunked,"), 400, errNotChunked.Reason},
	{"gzip and chunked", fault("Transfer-Encoding: gzip, chunked"), 501, errCoding.Reason},
	{"gzip and chunked, on two lines", fault("Transfer-Encoding: gzip", "Transfer-Encoding: chunked"), 501, errCoding.Reason},
	{"an empty coding and chunked", fault("Transfer-Encoding: , chunked"), 501, errCoding.Reason},
	{"a sign before Content-Length", fault("Content-Length: +5"), 400, errLength.Reason},
	{"a negative Content-Length", fault("Content-Length: -5"), 400, errLength.Reason},
	{"an empty Content-Length", fault("Content-Length:"), 400, errLength.Reason},
	{"a Content-Length in hexadecimal", fault("Content-Length: 0x5"), 400, errLength.Reason},
	{"a Content-Length with a point", fault("Content-Length: 5.0"), 400, errLength.Reason},
	{"a space in Content-Length", fault("Content-Length: 1 5"), 400, errLength.Reason},
	{"a list of one length", fault("Content-Length: 5, 5"), 400, errLength.Reason},
	{"a list of lengths", fault("Content-Length: 5, 6"), 400, errLength.Reason},
	{"lengths that differ", fault("Content-Length: 5", "Content-Length: 6"), 400, errLengths.Reason},
	{"lengths that differ, 0 first", fault("Content-Length: 0", "Content-Length: 5"), 400, errLengths.Reason},
	{"a length beyond 2^63", fault("Content-Length: 9223372036854775808"), 400, errLength.Reason},
	{"a length beyond 2^64", fault("Content-Length: 18446744073709551621"), 400, errLength.Reason},
	{"a very long length", fault("Content-Length: " + strings.Repeat("9", 100)), 400, errLength.Reason},
	{"another expectation", fault("Expect: 200-ok"), 417, errExpect.Reason},
	{"two expectations", fault("Expect: 100-continue, x", "Content-Length: 5"), 417, errExpect.Reason},

	// Section 7.1: chunks.
	{"no size", chunks("\r\n"), 400, errChunkSize.Reason},
	{"a size that is no number", chunks("x\r\n"), 400, errChunkSize.Reason},
	{"a size with a sign", chunks("+5\r\nhello\r\n0\r\n\r\n"), 400, errChunkSize.Reason},
	{"a negative size", chunks("-1\r\n"), 400, errChunkSize.Reason},
	{"a size with 0x", chunks("0x5\r\nhello\r\n0\r\n\r\n"), 400, errChunkSize.Reason},
	{"a size with an underscore", chunks("1_0\r\n"), 400, errChunkSize.Reason},
	{"white space before a size", chunks(" 5\r\nhello\r\n0\r\n\r\n"), 400, errChunkSize.Reason},
	{"white space behind a size", chunks("5 \r\nhello\r\n0\r\n\r\n"), 400, errChunkLine.Reason},
	{"white space in a size", chunks("5 5\r\n"), 400, errChunkLine.Reason},
	{"17 digits", chunks("00000000000000005\r\nhello\r\n0\r\n\r\n"), 400, errChunkSize.Reason},
	{"a size of 2^63", chunks("8000000000000000\r\n"), 400, errChunkSize.Reason},
	{"a size of 2^64-1", chunks("ffffffffffffffff\r\n"), 400, errChunkSize.Reason},
	{"bare LF behind a size", chunks("5\nhello\r\n0\r\n\r\n"), 400, errChunkSize.Reason},
	{"bare CR behind a size", chunks("5\rhello\r\n0\r\n\r\n"), 400, errChunkLine.Reason},
	{"bare LF behind an extension", chunks("5;a\nhello\r\n0\r\n\r\n"), 400, errChunkLine.Reason},
	{"bare CR behind an extension", chunks("5;a\rb\r\nhello\r\n0\r\n\r\n"), 400, errChunkLine.Reason},
	{"NUL in an extension", chunks("5;a\x00\r\nhello\r\n0\r\n\r\n"), 400, errChunkLine.Reason},
	{"a long extension", chunks("5;" + strings.Repeat("a", 300) + "\r\nhello\r\n0\r\n\r\n"), 400, errExtensions.Reason},
	{"endless white space behind a size", chunks("5" + strings.Repeat(" ", 300) + ";\r\nhello\r\n0\r\n\r\n"), 400, errExtensions.Reason},
	{"many extensions", chunks(strings.Repeat("1;"+strings.Repeat("a", 250)+"\r\nx\r\n", 40) + "0\r\n\r\n"), 400, errExtensions.Reason},
	{"bare LF behind a chunk", chunks("5\r\nhello\n0\r\n\r\n"), 400, errChunkEnd.Reason},
	{"nothing behind a chunk", chunks("5\r\nhello0\r\n\r\n"), 400, errChunkEnd.Reason},
	{"a longer chunk", chunks("5\r\nhello!\r\n0\r\n\r\n"), 400, errChunkEnd.Reason},
	{"CR without LF behind a chunk", chunks("5\r\nhello\r0\r\n\r\n"), 400, errChunkEnd.Reason},
	{"bare LF behind the last chunk", chunks("0\n\r\n"), 400, errChunkSize.Reason},
	{"bare LF behind the trailers", chunks("0\r\n\n"), 400, "a line ends with LF alone"},
	{"bare LF behind a trailer", chunks("0\r\nX: a\n\r\n"), 400, "a line ends with LF alone"},

	// Section 7.1.2: trailers.
	{"Content-Length among trailers", chunks("0\r\nContent-Length: 5\r\n\r\n"), 400, errTrailer.Reason},
	{"Transfer-Encoding among trailers", chunks("0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400, errTrailer.Reason},
	{"Host among trailers", chunks("0\r\nHost: b\r\n\r\n"), 400, errTrailer.Reason},
	{"Connection among trailers", chunks("0\r\nConnection: close\r\n\r\n"), 400, errTrailer.Reason},
	{"a request among trailers", chunks("0\r\nGET /bad HTTP/1.1\r\n\r\n"), 400, errNoColon.Reason},
	{"a folded trailer", chunks("0\r\nX: a\r\n b\r\n\r\n"), 400, errFold.Reason},
	{"a space before the colon of a trailer", chunks("0\r\nX : a\r\n\r\n"), 400, errFieldName.Reason},
	{"NUL in a trailer", chunks("0\r\nX: \x00\r\n\r\n"), 400, errFieldValue.Reason},
	{"too many trailers", chunks("0\r\n" + strings.Repeat("X: a\r\n", 30) + "\r\n"), 431, errFieldCount.Reason},
	{"long trailers", chunks("0\r\n" + "X: " + strings.Repeat("a", 3000) + "\r\n\r\n"), 431, errHeaderList.Reason},

	// Limits.
	{"a long request line", "GET /bad" + strings.Repeat("a", 1000) + " HTTP/1.1\r\nHost: a\r\n\r\n", 414, errRequestLine.Reason},
	{"an endless request line", strings.Repeat("a", 5000), 414, errRequestLine.Reason},
	{"a long field", fault("X: " + strings.Repeat("a", 3000)), 431, errHeaderList.Reason},
	{"an endless field", "GET /bad HTTP/1.1\r\nHost: a\r\nX:" + strings.Repeat("a", 5000), 431, errHeaderList.Reason},
	{"long fields", fault("X: "+strings.Repeat("a", 1000), "Y: "+strings.Repeat("a", 1100)), 431, errHeaderList.Reason},
	{"many fields", fault(strings.Split(strings.Repeat("X: a,", 19)+"X: b", ",")...), 431, errFieldCount.Reason},
}

var smallLimits = Config{MaxRequestLine: 500, MaxHeaderBytes: 2000, MaxHeaderFields: 20}

// TestMalformed gives each input between a good request and one that must not be
// served, whole, one octet at a time, and split in two anywhere.
func TestMalformed(t *testing.T) {
	if len(badInputs) < 100 {
		t.Fatalf("only %d inputs", len(badInputs))
	}
	const after = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
	for _, tt := range badInputs {
		t.Run(tt.name, func(t *testing.T) {
			in := get + tt.in + after
			want := ok + refusal(tt.status, tt.why)
			var events string
			try := func(how string, pieces ...string) {
				tc := newTestConn(t, smallLimits)
				tc.step = 0
				if how == "in octets" {
					tc.step = 1
				}
				for _, p := range pieces {
					tc.recv(p)
				}
				got := strings.Join(tc.events, "\n")
				if events == "" {
					events = got
				}
				switch e, isError := tc.err.(*Error); { //nolint:errorlint // never wrapped
				case string(tc.out) != want:
					t.Fatalf("%s:\ngot  %q\nwant %q", how, tc.out, want)
				case strings.Contains(got, "smuggled") || strings.Count(got, "closed") > 2:
					t.Fatalf("%s: %s", how, got)
				case got != events:
					t.Fatalf("%s: %s\nand whole %s", how, got, events)
				case !tc.c.Finished() || tc.c.Aborted():
					t.Fatalf("%s: finished %v, aborted %v", how, tc.c.Finished(), tc.c.Aborted())
				case !isError || e.Status != tt.status || e.Reason != tt.why:
					t.Fatalf("%s: error %v", how, tc.err)
				case tc.sh.Crossed[e.limit] != 1:
					t.Fatalf("%s: limit %s was counted %d times", how, e.limit, tc.sh.Crossed[e.limit])
				}
			}
			try("whole", in)
			try("in octets", in)
			for i := 1; i < len(in); i += 1 + len(in)/1000 {
				try(fmt.Sprintf("split at %d", i), in[:i], in[i:])
			}
		})
	}
}
