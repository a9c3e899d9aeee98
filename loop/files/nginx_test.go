package files

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const nginxPath = "/usr/sbin/nginx"

const nginxConfig = `
daemon off;
master_process off;
error_log stderr crit;
pid %[1]s/nginx.pid;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	types { text/html html; text/css css; text/plain txt; }
	gzip on;
	gzip_static on;
	gzip_vary on;
	gzip_types text/css;
	gzip_min_length 1000;
	server {
		listen %[2]s;
		root %[3]s;
		absolute_redirect off;
		autoindex on;
	}
}
`

// startNginx serves dir with nginx, and returns its URL.
func startNginx(t *testing.T, dir string) string {
	t.Helper()
	if _, err := os.Stat(nginxPath); err != nil {
		t.Skipf("there is no nginx to compare with: %v", err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	own := t.TempDir()
	config := filepath.Join(own, "nginx.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, nginxConfig, own, addr, dir), 0o644); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(nginxPath, "-p", own, "-c", config, "-e", "stderr")
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for deadline := time.Now().Add(long); ; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			return "http://" + addr
		}
		if time.Now().After(deadline) {
			t.Fatalf("nginx does not come up: %v\n%s", err, log.String())
		}
	}
}

// A comparison is a request that both servers get. In the headers, ETAG, ZIPTAG and
// MADETAG stand for what the server itself has said of /a.txt, of /page.html
// with gzip, and of /text.css with gzip.
type comparison struct {
	method  string // "" for GET
	path    string
	headers string // "name: value" and so on, one a line
	want    string // of us; of nginx too, if why is empty
	nginx   string // what nginx says instead
	why     string // and why we do not
}

var comparisons = []comparison{
	{path: "/a.txt", want: "200 0123456789"},
	{path: "/", want: "200 <p>home"},
	{method: "HEAD", path: "/a.txt", want: "200"},
	{path: "/empty.txt", want: "200"},
	{path: "/missing", want: "404"},
	{path: "/docs", want: "301 location=/docs/"},
	{path: "/docs?x=1", want: "301 location=/docs/?x=1"},
	{path: "/docs/", want: "200 <p>docs"},
	{path: "/a.txt/", want: "404"},
	{
		path: "/.hidden",
		want: "404", nginx: "200 hidden",
		why: "What begins with a dot is never served: it is seldom meant to be.",
	},
	{
		path: "/docs/../a.txt",
		want: "307 location=/a.txt", nginx: "200 0123456789",
		why: "The patterns are those of http.ServeMux: a client is led to the clean path, and so learns the one URL of the resource (RFC 9110, Section 4.2.3).",
	},
	{
		path: "/%2e%2e/a.txt",
		want: "404", nginx: "400",
		why: "Nothing is there. 400 is for what is malformed (RFC 9110, Section 15.5.1), and this is not.",
	},
	{
		path: "/docs%2findex.html",
		want: "404", nginx: "200 <p>docs",
		why: "An encoded slash is not a separator (RFC 3986, Section 2.2), and no name has one.",
	},
	{
		path: "//a.txt",
		want: "307 location=/a.txt", nginx: "200 0123456789",
		why: "As above.",
	},
	{
		method: "POST", path: "/a.txt",
		want: "405 allow=get, head", nginx: "405",
		why: `"The origin server MUST generate an Allow header field in a 405 response" (RFC 9110, Section 15.5.6).`,
	},
	{
		method: "DELETE", path: "/a.txt",
		want: "405 allow=get, head", nginx: "405",
		why: "As above.",
	},
	{
		method: "OPTIONS", path: "/a.txt",
		want: "405 allow=get, head", nginx: "405",
		why: "As above.",
	},
	// Conditions.
	{path: "/a.txt", headers: "If-None-Match: ETAG", want: "304"},
	{path: "/a.txt", headers: "If-None-Match: W/ETAG", want: "304"},
	{path: "/a.txt", headers: `If-None-Match: "x", ETAG`, want: "304"},
	{path: "/a.txt", headers: "If-None-Match: *", want: "304"},
	{path: "/a.txt", headers: `If-None-Match: "x"`, want: "200 0123456789"},
	{method: "HEAD", path: "/a.txt", headers: "If-None-Match: ETAG", want: "304"},
	{path: "/missing", headers: "If-None-Match: *", want: "404"},
	{path: "/a.txt", headers: "If-Modified-Since: Fri, 17 May 2024 12:30:15 GMT", want: "304"},
	{path: "/a.txt", headers: "If-Modified-Since: Fri, 17 May 2024 12:30:14 GMT", want: "200 0123456789"},
	{
		path: "/a.txt", headers: "If-Modified-Since: Fri, 17 May 2024 12:30:16 GMT",
		want: "304", nginx: "200 0123456789",
		why: `The condition is false "if the selected representation's last modification date is earlier or equal" (RFC 9110, Section 13.1.3); nginx wants it equal.`,
	},
	{path: "/a.txt", headers: "If-Modified-Since: yesterday", want: "200 0123456789"},
	{path: "/a.txt", headers: "If-None-Match: \"x\"\nIf-Modified-Since: Fri, 17 May 2024 12:30:15 GMT", want: "200 0123456789"},
	{
		path: "/a.txt", headers: "If-None-Match: ETAG\nIf-Modified-Since: Fri, 17 May 2024 12:30:14 GMT",
		want: "304", nginx: "200 0123456789",
		why: `"A recipient MUST ignore If-Modified-Since if the request contains an If-None-Match header field" (RFC 9110, Section 13.1.3).`,
	},
	{path: "/a.txt", headers: "If-Match: ETAG", want: "200 0123456789"},
	{path: "/a.txt", headers: "If-Match: *", want: "200 0123456789"},
	{path: "/a.txt", headers: `If-Match: "x"`, want: "412"},
	{path: "/a.txt", headers: "If-Match: W/ETAG", want: "412"},
	{path: "/a.txt", headers: "If-Unmodified-Since: Fri, 17 May 2024 12:30:15 GMT", want: "200 0123456789"},
	{path: "/a.txt", headers: "If-Unmodified-Since: Fri, 17 May 2024 12:30:14 GMT", want: "412"},
	{
		path: "/a.txt", headers: "If-Match: ETAG\nIf-Unmodified-Since: Fri, 17 May 2024 12:30:14 GMT",
		want: "200 0123456789", nginx: "412",
		why: `"A recipient MUST ignore If-Unmodified-Since if the request contains an If-Match header field" (RFC 9110, Section 13.1.4).`,
	},
	// Ranges.
	{path: "/a.txt", headers: "Range: bytes=0-0", want: "206 content-range=bytes 0-0/10 0"},
	{path: "/a.txt", headers: "Range: bytes=2-4", want: "206 content-range=bytes 2-4/10 234"},
	{path: "/a.txt", headers: "Range: bytes=5-", want: "206 content-range=bytes 5-9/10 56789"},
	{path: "/a.txt", headers: "Range: bytes=-3", want: "206 content-range=bytes 7-9/10 789"},
	{path: "/a.txt", headers: "Range: bytes=-99", want: "206 content-range=bytes 0-9/10 0123456789"},
	{path: "/a.txt", headers: "Range: bytes=0-99", want: "206 content-range=bytes 0-9/10 0123456789"},
	{path: "/a.txt", headers: "Range: bytes=10-", want: "416 content-range=bytes */10"},
	{path: "/a.txt", headers: "Range: bytes=-0", want: "416 content-range=bytes */10"},
	{
		path: "/a.txt", headers: "Range: bytes=5-2",
		want: "200 0123456789", nginx: "416 content-range=bytes */10",
		why: `"An int-range is invalid if the last-pos value is present and less than first-pos" (RFC 9110, Section 14.1.1), and what is invalid may be ignored or rejected (Section 14.2): nginx rejects it. The client gets what it can use.`,
	},
	{path: "/a.txt", headers: "Range: bytes=", want: "200 0123456789"},
	{
		path: "/a.txt", headers: "Range: bytes=x",
		want: "200 0123456789", nginx: "416 content-range=bytes */10",
		why: "As above.",
	},
	{path: "/a.txt", headers: "Range: lines=0-1", want: "200 0123456789"},
	{
		path: "/a.txt", headers: "Range: bytes=0-0,x",
		want: "200 0123456789", nginx: "416 content-range=bytes */10",
		why: "As above.",
	},
	{path: "/empty.txt", headers: "Range: bytes=0-0", want: "200"},
	{
		method: "HEAD", path: "/a.txt", headers: "Range: bytes=0-0",
		want: "200", nginx: "206 content-range=bytes 0-0/10",
		why: `"GET is the only method for which range handling is defined" (RFC 9110, Section 14.2).`,
	},
	{path: "/text.css", headers: "Range: bytes=0-2,1000-1003", want: "206 vary=accept-encoding part 0-2/5000 All part 1000-1003/5000 a du"},
	{path: "/text.css", headers: "Range: bytes=1000-1003,0-2", want: "206 vary=accept-encoding part 1000-1003/5000 a du part 0-2/5000 All"},
	{path: "/text.css", headers: "Range: bytes=0-2,9999-", want: "206 content-range=bytes 0-2/5000 vary=accept-encoding All"},
	{
		path: "/text.css", headers: "Range: bytes=0-4,3-8",
		want: "206 content-range=bytes 0-8/5000 vary=accept-encoding All work", nginx: "206 vary=accept-encoding part 0-4/5000 All w part 3-8/5000  work",
		why: `"A server MAY coalesce any of the ranges that overlap" (RFC 9110, Section 15.3.7.2).`,
	},
	{
		path: "/text.css", headers: "Range: bytes=0-2,4-6",
		want: "206 content-range=bytes 0-6/5000 vary=accept-encoding All wor", nginx: "206 vary=accept-encoding part 0-2/5000 All part 4-6/5000 wor",
		why: `Or those "separated by a gap that is smaller than the overhead of sending multiple parts" (RFC 9110, Section 15.3.7.2).`,
	},
	{
		path: "/text.css", headers: "Range: bytes=0-4999,0-4999",
		want: "206 content-range=bytes 0-4999/5000 vary=accept-encoding 5000 octets", nginx: "200 vary=accept-encoding 5000 octets",
		why: "They overlap: one range is left, and it is satisfied. Ignoring it is as good (RFC 9110, Section 14.2).",
	},
	{path: "/a.txt", headers: "Range: bytes=0-0\nIf-Range: ETAG", want: "206 content-range=bytes 0-0/10 0"},
	{path: "/a.txt", headers: "Range: bytes=0-0\nIf-Range: W/ETAG", want: "200 0123456789"},
	{path: "/a.txt", headers: "Range: bytes=0-0\nIf-Range: \"x\"", want: "200 0123456789"},
	{path: "/a.txt", headers: "Range: bytes=0-0\nIf-Range: Fri, 17 May 2024 12:30:15 GMT", want: "206 content-range=bytes 0-0/10 0"},
	{path: "/a.txt", headers: "Range: bytes=0-0\nIf-Range: Fri, 17 May 2024 12:30:16 GMT", want: "200 0123456789"},
	{path: "/a.txt", headers: "Range: bytes=99-\nIf-Range: \"x\"", want: "200 0123456789"},
	{path: "/a.txt", headers: "Range: bytes=0-0\nIf-None-Match: ETAG", want: "304"},
	// Encodings: what lies beside the file.
	{path: "/page.html", headers: "Accept-Encoding: gzip", want: "200 content-encoding=gzip vary=accept-encoding <p>page"},
	{path: "/page.html", headers: "Accept-Encoding: br", want: "200 vary=accept-encoding <p>page"},
	{path: "/page.html", want: "200 vary=accept-encoding <p>page"},
	{path: "/page.html", headers: "Accept-Encoding: gzip;q=0", want: "200 vary=accept-encoding <p>page"},
	{path: "/page.html", headers: "Accept-Encoding: gzip;q=0.001", want: "200 content-encoding=gzip vary=accept-encoding <p>page"},
	{path: "/page.html", headers: "Accept-Encoding: GZip", want: "200 content-encoding=gzip vary=accept-encoding <p>page"},
	{path: "/page.html", headers: "Accept-Encoding: *", want: "200 vary=accept-encoding <p>page"},
	{
		path: "/page.html", headers: "Accept-Encoding: identity;q=0, *",
		want: "200 content-encoding=gzip vary=accept-encoding <p>page", nginx: "200 vary=accept-encoding <p>page",
		why: `The representation without a coding is "specifically excluded", and "*" matches gzip (RFC 9110, Section 12.5.3).`,
	},
	{path: "/page.html", headers: "Accept-Encoding: gzip;q=0, *", want: "200 vary=accept-encoding <p>page"},
	{
		path: "/page.html", headers: "Accept-Encoding: identity, gzip;q=0.5",
		want: "200 vary=accept-encoding <p>page", nginx: "200 content-encoding=gzip vary=accept-encoding <p>page",
		why: "The coding with the highest weight is preferred (RFC 9110, Section 12.5.3).",
	},
	{
		path: "/page.html", headers: "Accept-Encoding: identity;q=0",
		want: "406 vary=accept-encoding", nginx: "200 vary=accept-encoding <p>page",
		why: "All that there is is excluded (RFC 9110, Sections 12.5.3 and 15.5.7).",
	},
	{
		path: "/page.html", headers: "Accept-Encoding: x-gzip",
		want: "200 content-encoding=gzip vary=accept-encoding <p>page", nginx: "200 vary=accept-encoding <p>page",
		why: `"A recipient SHOULD consider x-gzip to be equivalent to gzip" (RFC 9110, Section 8.4.1.3).`,
	},
	{path: "/page.html", headers: "Accept-Encoding: gzip;q=2", want: "200 vary=accept-encoding <p>page"},
	{
		path: "/page.html", headers: "Accept-Encoding: gzip\nRange: bytes=0-1",
		want: "206 content-encoding=gzip content-range=bytes 0-1/31 vary=accept-encoding 1f8b", nginx: "200 content-encoding=gzip vary=accept-encoding <p>page",
		why: "A range is one of the selected representation (RFC 9110, Section 14.2). What lies on disk compressed has ranges as the file has; nginx ignores them.",
	},
	{path: "/page.html", headers: "Accept-Encoding: gzip\nIf-None-Match: ZIPTAG", want: "304 vary=accept-encoding"},
	{path: "/page.html", headers: "If-None-Match: ZIPTAG", want: "200 vary=accept-encoding <p>page"},
	{method: "HEAD", path: "/page.html", headers: "Accept-Encoding: gzip", want: "200 content-encoding=gzip vary=accept-encoding"},
	// Encodings: what the server makes.
	{path: "/text.css", headers: "Accept-Encoding: gzip", want: "200 content-encoding=gzip vary=accept-encoding 5000 octets"},
	{path: "/text.css", want: "200 vary=accept-encoding 5000 octets"},
	{path: "/text.css", headers: "Accept-Encoding: gzip, deflate, br", want: "200 content-encoding=gzip vary=accept-encoding 5000 octets"},
	{
		path: "/text.css", headers: "Accept-Encoding: gzip\nRange: bytes=0-2",
		want: "206 content-range=bytes 0-2/5000 vary=accept-encoding All", nginx: "200 content-encoding=gzip vary=accept-encoding 5000 octets",
		why: "What is made on the way out cannot be asked for in parts. The file as it is is acceptable too (RFC 9110, Section 12.5.3), so we give a range of that; nginx ignores the range, as it may (Section 14.2).",
	},
	{
		path: "/text.css", headers: "Accept-Encoding: gzip\nIf-None-Match: MADETAG",
		want: "304 vary=accept-encoding", nginx: "304",
		why: "A 304 has the Vary that the 200 would have had (RFC 9110, Section 15.4.5).",
	},
	{
		path: "/text.css", headers: "If-None-Match: MADETAG",
		want: "200 vary=accept-encoding 5000 octets", nginx: "304",
		why: "The tag is that of another representation (RFC 9110, Section 8.8.3.3). That of nginx differs by being weak only, which If-None-Match does not see.",
	},
	{method: "HEAD", path: "/text.css", headers: "Accept-Encoding: gzip", want: "200 content-encoding=gzip vary=accept-encoding"},
	{path: "/a.txt", headers: "Accept-Encoding: gzip", want: "200 0123456789"},
}

func TestAgainstNginx(t *testing.T) {
	s := newSite(t, Options{Compress: true, CompressMin: 1000, eager: true, CacheValid: time.Hour, List: true})
	if err := os.Chmod(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = io.WriteString(z, "<p>page")
	z.Close()
	for name, body := range map[string]string{
		"a.txt": "0123456789", "empty.txt": "", "index.html": "<p>home", "docs/index.html": "<p>docs", ".hidden": "hidden",
		"page.html": "<p>page", "page.html.gz": zipped.String(), "text.css": string(text(5000)),
	} {
		s.write(name, []byte(body))
	}
	peer := &site{t: t, url: startNginx(t, s.dir)}
	s.client.CloseIdleConnections()
	transport := &http.Transport{DisableCompression: true}
	client := &http.Client{Transport: transport, CheckRedirect: s.client.CheckRedirect, Timeout: long}
	defer transport.CloseIdleConnections()
	s.client, peer.client = client, client
	ours, theirs := s.tags(), peer.tags()
	for _, c := range comparisons {
		name := strings.ReplaceAll(strings.TrimSpace(c.method+" "+c.path+" "+c.headers), "\n", ", ")
		got, nginx := s.summary(c, ours), peer.summary(c, theirs)
		want := c.want
		if c.why != "" {
			want = c.nginx
		}
		if got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, c.want)
		}
		if nginx != want {
			t.Errorf("%s:\nnginx says %s\nand not    %s", name, nginx, want)
		}
		if (got == nginx) != (c.why == "") {
			t.Errorf("%s: the same, and a reason why it is not, or the reverse: %q", name, c.why)
		}
	}
}

// tags asks for the entity tags that comparisons need.
func (s *site) tags() *strings.Replacer {
	tag := func(path, accept string) string {
		r := s.once("GET", path, "Accept-Encoding: "+accept)
		return r.Header.Get("ETag")
	}
	return strings.NewReplacer("MADETAG", tag("/text.css", "gzip"), "ZIPTAG", tag("/page.html", "gzip"), "ETAG", tag("/a.txt", ""))
}

// once sends a request, over HTTP/1.1.
func (s *site) once(method, path, headers string) reply {
	s.t.Helper()
	req := s.request(method, path)
	for line := range strings.SplitSeq(headers, "\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			req.Header.Add(name, value)
		}
	}
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply{resp, string(body)}
}

// summary says in a line what matters of a response.
func (s *site) summary(c comparison, tags *strings.Replacer) string {
	method := c.method
	if method == "" {
		method = "GET"
	}
	r := s.once(method, c.path, tags.Replace(c.headers))
	out := fmt.Sprint(r.StatusCode)
	for _, name := range []string{"Content-Encoding", "Content-Range", "Vary", "Location", "Allow"} {
		if v := r.Header.Get(name); v != "" {
			out += " " + strings.ToLower(name+"="+v)
		}
	}
	kind, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.StatusCode >= 300 || method == "HEAD":
	case kind == "multipart/byteranges":
		for parts := multipart.NewReader(strings.NewReader(r.body), params["boundary"]); ; {
			p, err := parts.NextRawPart()
			if err != nil {
				break
			}
			body, _ := io.ReadAll(p)
			out += fmt.Sprintf(" part %s %s", strings.TrimPrefix(p.Header.Get("Content-Range"), "bytes "), body)
		}
	case r.StatusCode == 206 && r.Header.Get("Content-Encoding") != "":
		out += fmt.Sprintf(" %x", r.body)
	default:
		body := r.decode(s.t)
		if len(body) > 100 {
			body = fmt.Sprint(len(body), " octets")
		}
		out += " " + body
	}
	return strings.TrimSpace(out)
}
