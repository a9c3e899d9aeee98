package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/h2loop/h2loop/loop/files"
)

// TestParseErrors has a wrong value for every kind of field, and wants to be told where
// it is and what would be right.
func TestParseErrors(t *testing.T) {
	for _, tt := range []struct {
		text string
		want string // the beginning
	}{
		{"x = ", "f:1:4: expected value"},
		{"\xef\xbb\xbfloops = 1", "f:1:1: it begins with a byte order mark: save it as UTF-8 without"},
		{"\xff\xfel\x00", "f:1:1: it is UTF-16: save it as UTF-8 without"},
		{"loops = 1\nloops = 2", "f:2:1: "},
		{"[log]\n[log]", "f:2:"},
		{"loops = -1", "f:1:9: loops: -1: it must not be negative"},
		{"loops = \"many\"", `f:1:9: loops: "many": it must be a whole number`},
		{"loops = 5000", "f:1:9: loops: 5000: it must not be more than 4096"},
		{"loops = [1]", "f:1:1: loops: it must be one value, and is a list"},
		{"loops = 2020-01-01", "f:1:9: loops: it must be one value, and is a date or time"},
		{"loop = 1", "f:1:1: loop: there is no such field: there are loops, drain_timeout, admin, user, group, log, access_log, "},
		{"log = 1", "f:1:7: log: it must be a table, as {...}, and is a number"},
		{"drain_timeout = 10", `f:1:17: drain_timeout: "10" is no time: write it as 500ms, 10s, 5m, 1h or 7d`},
		{"drain_timeout = '0s'", `f:1:17: drain_timeout: "0s": it must be more than 0`},
		{"\n[log]\n level = \"loud\"", `f:3:10: log.level: "loud": it must be debug, info, warn or error`},
		{"[log]\nformat = 'xml'", `f:2:10: log.format: "xml": it must be auto, text or json`},
		{"[log]\nlevels = 'x'", "f:2:1: log.levels: there is no such field: there are level or format"},
		{"[nothing]\nx = 1\ny = 2", "f:1:2: nothing: there is no such field"},
		{"[[log]]", "f:1:3: log: it is one table: write [log]"},
		{"[listeners]\naddress = ':1'", "f:1:2: listeners: it is a list: write [[listeners]]"},
		{"[sites.hsts]\nmax_age = '1d'", "f:1:2: sites: it is a list: write [[sites]]"},
		{"log.level.x = 1", "f:1:5: log.level: it has no fields"},
		{"[[listeners]]\naddress = ':1'\n[[listeners]]\naddress = '8080'", `f:4:11: listeners[1].address: "8080" is no address`},
		{"[[listeners]]\naddress = ':99999'", `f:2:11: listeners[0].address: ":99999" has no port`},
		{"[[listeners]]\naddress = 'unix:'", `f:2:11: listeners[0].address: "unix:" has no path`},
		{"[[listeners]]\ntls = 1", "f:2:7: listeners[0].tls: it must be true or false, and is a number"},
		{"[[listeners]]\nredirect_https = 70000", `f:2:18: listeners[0].redirect_https: "70000": it must be a port`},
		{"[[listeners]]\nmode = '0880'", `f:2:8: listeners[0].mode: "0880": it must be octal and in quotes, as "0660"`},
		{"[[listeners]]\nmode = 0o660", `f:2:8: listeners[0].mode: "432": it must be octal and in quotes`},
		{"[[listeners]]\nmode = 660", `f:2:8: listeners[0].mode: "660": it must be octal and in quotes`},
		{"[[listeners]]\nmode = '01777'", `f:2:8: listeners[0].mode: "01777": it must be`},
		{"[[listeners]]\nmode = ''", `f:2:8: listeners[0].mode: "": it must be`},
		{"listeners = [{address = ':1'}, {addr = ':2'}]", "f:1:33: listeners[1].addr: there is no such field: there are address, mode, tls or redirect_https"},
		{"[tls]\nmin_version = 1.1", `f:2:15: tls.min_version: "1.1": it must be "1.2" or "1.3"`},
		{"[tls]\ncurves = ['X25519',\n 'P-257']", `f:3:2: tls.curves[1]: "P-257": it must be X25519MLKEM768, `},
		{"[tls]\ncurves = 'X25519'", "f:2:10: tls.curves: it must be a list"},
		{"[tls]\nsession_tickets = 'perhaps'", `f:2:19: tls.session_tickets: "perhaps": it must be true or false`},
		{"[tls]\nclient_auth = 'require'", `f:2:15: tls.client_auth: "require": it must be none, request, require_any, verify_if_given or require_and_verify`},
		{"[tls]\nclient_ca = 3", "f:2:13: tls.client_ca: it must be a string"},
		{"[tls]\nwatch = '1ms'", `f:2:9: tls.watch: "1ms": it must be 1s or more, or off`},
		{"[limits]\nidle_timeout = '-1s'", `f:2:16: limits.idle_timeout: "-1s": it must be more than 0`},
		{"[limits]\nuser_timeout = '0s'", `f:2:16: limits.user_timeout: "0s": it must be more than 0, or off`},
		{"[limits]\nmax_handshakes = 0", `f:2:18: limits.max_handshakes: "0": it must be a whole number, more than 0`},
		{"[limits]\nmax_handshakes = 1.5", `f:2:18: limits.max_handshakes: "1.5": it must be a whole number`},
		{"[limits.http2]\nstream_window = '64Kib'", `f:2:17: limits.http2.stream_window: "64Kib" is no size: write it as 4096, 64KiB`},
		{"[limits.http2]\nstream_window = '0KiB'", `f:2:17: limits.http2.stream_window: "0KiB": it must be more than 0`},
		{"[limits.http2]\nstream_window = '99999999999999999999'", "f:2:17: limits.http2.stream_window: "},
		{"[limits.http2]\nreset_budget = 10", "f:2:16: limits.http2.reset_budget: it must be a table"},
		{"[limits.http1]\nmax_held = true", "f:2:12: limits.http1.max_held: "},
		{"[[sites]]\nhosts = ['a b']", `f:2:10: sites[0].hosts[0]: "a b" is no name of a host`},
		{"[[sites]]\nhosts = ['*']", `f:2:10: sites[0].hosts[0]: "*" is no host`},
		{"[[sites]]\nhosts = ['a.*.b']", `f:2:10: sites[0].hosts[0]: "a.*.b": a star may only`},
		{"[[sites]]\nhosts = ['https://a/']", `f:2:10: sites[0].hosts[0]: "https://a/" is more than the name`},
		{"[[sites]]\nhosts = ['a:80']", `f:2:10: sites[0].hosts[0]: "a:80" is more than the name`},
		{"[[sites]]\nhosts = 'a'", "f:2:9: sites[0].hosts: it must be a list"},
		{"[[sites]]\nroot = 3", `f:2:8: sites[0].root: it must be a string, as "...", and is a number`},
		{"[[sites]]\nmemory_cache = 'lots'", `f:2:16: sites[0].memory_cache: "lots" is no size`},
		{"[[sites]]\nheaders = {x = 1}", "f:2:12: sites[0].headers.x: it must be a string"},
		{"[[sites]]\n[sites.headers]\nx.y = '1'", "f:3:1: sites[0].headers.x: it must be a string"},
		{"[[sites]]\n[[sites.redirects]]\nstatus = 200", `f:3:10: sites[0].redirects[0].status: "200" is no status of a redirect`},
		{"[[sites]]\n[[sites]]\n[[sites.cache]]\nmatsch = 'x'", "f:4:1: sites[1].cache[0].matsch: there is no such field: there are match or value"},
		{"[[sites]]\n[sites.hsts]\nmax_age = '1ms'", `f:3:11: sites[0].hsts.max_age: "1ms" is no such time`},
	} {
		_, problems := Parse("f", []byte(tt.text))
		if len(problems) != 1 || !strings.HasPrefix(problems[0].Error(), tt.want) {
			t.Errorf("%q:\n got %v\nwant %s", tt.text, problems, tt.want)
		}
	}
	_, problems := Parse("f", []byte("loops = 'x'\n[log]\nlevel = 1\nnonsense = 1\n[[sites]]\nroot = 1"))
	if len(problems) != 4 {
		t.Errorf("%d problems were found, want all 4:\n%v", len(problems), problems)
	}
}

// TestParse reads a value of every kind.
func TestParse(t *testing.T) {
	cfg, problems := Parse("f", []byte(`
loops = 0x2
log = {level = "debug", format = "json"}
[[listeners]]
address = ":443"
tls = true
[[listeners]]
address = "unix:/run/x"
mode = "0660"
redirect_https = 8443
[tls]
min_version = "1.3"
curves = ["X25519", "P-256"]
session_tickets = false
watch = "off"
[limits]
idle_timeout = "2m"
user_timeout = "off"
[limits.http2]
stream_window = "64KiB"
max_answers = 1_000
reset_budget.burst = 7
[[sites]]
hosts = ["Example.ORG.", "*.example.org", "::1"]
certificates = [{cert = "a", key = "b"}]
headers."X-A" = "b"
tls.client_auth = "request"
[sites.hsts]
max_age = "365d"
[[sites.redirects]]
from = "/a"
to = "/b"
status = 302
[[sites]]
memory_cache = "off"
`))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	cfg.origins = nil
	want := &Config{
		Loops:     2,
		Log:       Log{"debug", "json"},
		Listeners: []Listener{{Address: ":443", TLS: true}, {Address: "unix:/run/x", Mode: 0o660, RedirectHTTPS: Redirect{true, 8443}}},
		TLS: TLS{SiteTLS: SiteTLS{
			MinVersion: tls.VersionTLS13, Curves: []Curve{Curve(tls.X25519), Curve(tls.CurveP256)}, SessionTickets: "off",
		}, Watch: -1},
		Limits: Limits{IdleTimeout: Duration(2 * time.Minute), UserTimeout: -1, HTTP2: HTTP2{
			StreamWindow: 64 << 10, MaxAnswers: 1000, ResetBudget: Budget{Burst: 7},
		}},
		Sites: []Site{
			{
				Hosts: []Host{"example.org", "*.example.org", "::1"}, Certificates: []Certificate{{"a", "b"}},
				Headers: map[string]string{"X-A": "b"}, TLS: SiteTLS{ClientAuth: 2},
				HSTS: HSTS{MaxAge: Age(365 * 24 * time.Hour)}, Redirects: []RedirectRule{{"/a", "/b", 302}},
			},
			{MemoryCache: -1},
		},
	}
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("got  %+v\nwant %+v", cfg, want)
	}
	l := cfg.Loop()
	if l.Loops != 2 || l.IdleTimeout != 2*time.Minute || l.UserTimeout != -1 || l.HTTP2.StreamWindow != 64<<10 || l.HTTP2.ResetBudget.Burst != 7 {
		t.Errorf("the limits did not arrive: %+v", l)
	}
}

// TestCheck has everything that does not go together, or files that are of no use.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	writePair(t, dir, "a")
	writePair(t, dir, "b")
	write(t, dir, "garbage", "garbage")
	write(t, dir, "empty", "")
	write(t, dir, "short", "\x00\x01")
	write(t, dir, "www/index.html", "")
	write(t, dir, "encrypted", string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte{1}})))
	write(t, dir, "old", string(pem.EncodeToMemory(&pem.Block{
		Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"}, Bytes: []byte{1},
	})))
	write(t, dir, "www/long", strings.Repeat(" ", maxNotFound+1))
	write(t, dir, "www/longest", strings.Repeat(" ", maxNotFound))
	if err := os.Symlink("../a.crt", filepath.Join(dir, "www/out")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{"[[sites]]\nroot = 'www'", nil},
		{"[[listeners]]\ntls = true", []string{"f:1:3: listeners[0]: it needs an address"}},
		{"[[listeners]]\naddress = ':80'\n[[listeners]]\naddress = ':80'", []string{`f:4:1: listeners[1].address: ":80" is that of listeners[0] too`}},
		{"[[listeners]]\naddress = ':0'\n[[listeners]]\naddress = ':0'", nil},
		{"[[listeners]]\naddress = ':80'\nredirect_https = true", []string{"f:3:1: listeners[0].redirect_https: it needs a PORT"}},
		{"[[listeners]]\naddress = ':80'\nredirect_https = 1\ntls = true", []string{"f:3:1: listeners[0].redirect_https: it is of no use"}},
		{"[tls]\nticket_keys = 'missing'", []string{"f:2:1: tls.ticket_keys: open ", "no such file"}},
		{"[tls]\nticket_keys = 'short'", []string{"f:2:1: tls.ticket_keys: ", "2 octets"}},
		{"[tls]\nticket_keys = 'empty'", []string{"f:2:1: tls.ticket_keys: ", "0 octets"}},
		{"[tls]\nticket_keys = 'garbage'", []string{"f:2:1: tls.ticket_keys: ", "is text"}},
		{"[tls]\nclient_auth = 'require_and_verify'", []string{"f:2:1: tls.client_auth: it needs a client_ca"}},
		{"[tls]\nclient_auth = 'require_and_verify'\nclient_ca = 'a.crt'", nil},
		{"[tls]\nclient_ca = 'garbage'", []string{"f:2:1: tls.client_ca: ", "no certificate in PEM"}},
		{"[tls]\nclient_ca = 'a.key'", []string{"f:2:1: tls.client_ca: ", "PRIVATE KEY"}},
		{"[tls]\nclient_ca = 'a.crt'\n[[sites]]\nroot = 'www'\ntls.client_auth = 'verify_if_given'", nil},
		{"[[sites]]\nroot = 'www'\ntls.client_auth = 'verify_if_given'", []string{"f:3:1: sites[0].tls.client_auth: it needs a client_ca"}},
		{"[[sites]]\nroot = 'www'\nhosts = ['a']\n[[sites]]\nroot = 'www'\nhosts = ['b', 'A.']", []string{`f:6:15: sites[1].hosts[1]: "a" is one of sites[0].hosts too`}},
		{"[[sites]]\nroot = 'www'\n[[sites]]\nroot = 'www'", []string{"f:3:3: sites[1]: sites[0] is the default already"}},
		{"[[sites]]\nroot = 'www'\n[[sites]]\nroot = 'www'\nhosts = ['a']\ndefault = true", []string{"f:3:3: sites[1]: sites[0] is the default already"}},
		{"[[sites]]\nhosts = ['a']", []string{"f:1:3: sites[0]: it needs a root"}},
		{"[[sites]]\nhosts = ['a']\nlist = true\n[[sites.redirects]]\nfrom = '/'\nto = '/x'", []string{"f:3:1: sites[0].list: it is about a directory"}},
		{"[[sites]]\nhosts = ['a']\n[[sites.redirects]]\nfrom = '/'\nto = '/x'", nil},
		{"[[sites]]\nroot = 'missing'", []string{"f:2:1: sites[0].root: stat ", "no such file"}},
		{"[[sites]]\nroot = 'empty'", []string{"f:2:1: sites[0].root: ", "is not a directory"}},
		{"[[sites]]\nroot = 'www'\nnot_found = '404.html'", []string{"f:3:1: sites[0].not_found: 404.html: no such file in "}},
		{"[[sites]]\nroot = 'www'\nnot_found = '../empty'", []string{"f:3:1: sites[0].not_found: ", "not in the root"}},
		{"[[sites]]\nroot = 'www'\nnot_found = 'long'", []string{"f:3:1: sites[0].not_found: long is longer than 256 KiB"}},
		{"[[sites]]\nroot = 'www'\nnot_found = 'longest'", nil},
		{"[[sites]]\nroot = 'www'\nnot_found = 'out'", []string{"f:3:1: sites[0].not_found: out leads out of the root"}},
		{"admin = 'x'", []string{`f:1:1: admin: "x" is no address: write it as host:port`}},
		{"admin = 'fd:0'", []string{`f:1:1: admin: "fd:0" is no address`}},
		{"admin = '127.0.0.1:80'\n[[listeners]]\naddress = ':80'", []string{`f:1:1: admin: "127.0.0.1:80" is taken by listeners[0], which is ":80"`}},
		{"admin = ':80'\n[[listeners]]\naddress = '127.0.0.1:80'", []string{`f:1:1: admin: ":80" is taken by listeners[0]`}},
		{"admin = ':80'\n[[listeners]]\naddress = '127.0.0.2:80'\n[[listeners]]\naddress = ':81'", nil},
		{"admin = ':0'\n[[listeners]]\naddress = ':0'", nil},
		{"admin = 'unix:s'\n[[listeners]]\naddress = 'unix:s'", []string{"f:1:1: admin: ", "listeners[0]"}},
		{"[[listeners]]\naddress = '[::1]:80'\n[[listeners]]\naddress = '0.0.0.0:http'", []string{`f:4:1: listeners[1].address: "0.0.0.0:http" has addresses in common with listeners[0], which is "[::1]:80"`}},
		{"access_log.file = 'www'", []string{"f:1:1: access_log.file: ", "is a directory, and not a file"}},
		{"access_log.file = 'missing/log'", []string{"f:1:1: access_log.file: ", "missing: no such directory: make it"}},
		{"access_log.file = 'empty/log'", []string{"f:1:1: access_log.file: ", "not a directory"}},
		{"access_log.file = 'www/log'", nil},
		{"[[listeners]]\naddress = 'unix:s'\nmode = '0660'", nil},
		{"[[listeners]]\naddress = ':0'\nmode = '0660'", []string{"f:3:1: listeners[0].mode: it is for the file of a unix socket"}},
		{"[[listeners]]\naddress = 'unix:@s'\nmode = '0660'", []string{"f:3:1: listeners[0].mode: it is for"}},
		{"[[listeners]]\naddress = 'unix:missing/s'", []string{"f:2:1: listeners[0].address: ", "missing: no such directory"}},
		{"[[listeners]]\naddress = 'unix:empty'", []string{"f:2:1: listeners[0].address: ", "empty is there, and no socket"}},
		{"[[sites]]\nroot = 'www'\nindex = '.x'", []string{"f:3:1: sites[0].index: "}},
		{"[[sites]]\nroot = 'www'\ncompress = true\nmemory_cache = 'off'", []string{"f:3:1: sites[0].compress: it needs the memory_cache"}},
		{"[[sites]]\nroot = 'www'\ntypes = {html = 'text/html'}", []string{`f:3:10: sites[0].types.html: "html" is no extension`}},
		{"[[sites]]\nroot = 'www'\ntypes = {'.html' = 'text'}", []string{`f:3:10: sites[0].types..html: "text" is no content type`}},
		{"[[sites]]\nroot = 'www'\n[[sites.cache]]\nmatch = '['\nvalue = 'x'", []string{`f:4:1: sites[0].cache[0].match: "[" is no pattern`}},
		{"[[sites]]\nroot = 'www'\n[[sites.cache]]\nvalue = ''", []string{`f:4:1: sites[0].cache[0].value: "" cannot be`}},
		{"[[sites]]\nroot = 'www'\nheaders = {'a b' = 'x'}", []string{`f:3:12: sites[0].headers.a b: "a b" cannot be the name`}},
		{"[[sites]]\nroot = 'www'\nheaders = {a = \"x\\ny\"}", []string{`f:3:12: sites[0].headers.a: "x\ny" cannot be the value`}},
		{"[[sites]]\nroot = 'www'\nheaders = {Content-Length = '1'}", []string{"f:3:12: sites[0].headers.Content-Length: it is for the server"}},
		{"[[sites]]\nroot = 'www'\nheaders = {ETag = '1'}", []string{"f:3:12: sites[0].headers.ETag: it is for the server to say"}},
		{"[[sites]]\nroot = 'www'\nheaders = {Last-Modified = '1'}", []string{"f:3:12: sites[0].headers.Last-Modified: it is for the server to say"}},
		{"[[sites]]\nroot = 'www'\nheaders = {accept-ranges = '1'}", []string{"f:3:12: sites[0].headers.accept-ranges: it is for the server to say"}},
		{"[[sites]]\nroot = 'www'\nheaders = {Location = '/'}", []string{"f:3:12: sites[0].headers.Location: it is for the server to say"}},
		{"[[sites]]\nroot = 'www'\nheaders = {Allow = 'GET'}", []string{"f:3:12: sites[0].headers.Allow: it is for the server to say"}},
		{"[[sites]]\nroot = 'www'\nheaders = {Content-Type = 'text/html'}", []string{"f:3:12: sites[0].headers.Content-Type: write it as [sites.types]"}},
		{"[[sites]]\nroot = 'www'\nheaders = {Vary = 'Origin'}", nil},
		{"[[sites]]\nroot = 'www'\nheaders = {Strict-Transport-Security = '1'}", []string{"f:3:12: sites[0].headers.Strict-Transport-Security: write it as"}},
		{"[[sites]]\nroot = 'www'\nheaders = {a = '1', A = '2'}", []string{"sites[0].headers.a: it is there twice"}},
		{"[[sites]]\nroot = 'www'\n[[sites.redirects]]\nfrom = 'a'\nto = '/x'", []string{`f:4:1: sites[0].redirects[0].from: "a" does not begin`}},
		{"[[sites]]\nroot = 'www'\n[[sites.redirects]]\nfrom = '/a'\nto = '//x'", []string{`f:5:1: sites[0].redirects[0].to: "//x"`}},
		{"[[sites]]\nroot = 'www'\nhsts = {preload = true}", []string{"f:3:1: sites[0].hsts: it needs a max_age"}},
		{"[[sites]]\nroot = 'www'\nhsts = {preload = true, max_age = '365d'}", []string{"f:3:9: sites[0].hsts.preload: it needs include_subdomains"}},
		{"[[sites]]\nroot = 'www'\nhsts = {preload = true, max_age = '30d', include_subdomains = true}", []string{"f:3:9: sites[0].hsts.preload: it needs a max_age of 365d"}},
		{"[[sites]]\nroot = 'www'\ncertificates = [{cert = 'a.crt', key = 'a.key'}]", nil},
		{"[[sites]]\nroot = 'www'\ncertificates = [{}]", []string{"f:3:17: sites[0].certificates[0]: it needs cert and key"}},
		{"[[sites]]\nroot = 'www'\ncertificates = [{cert = 'a.crt'}]", []string{"f:3:18: sites[0].certificates[0].cert: it needs a key"}},
		{"[[sites]]\nroot = 'www'\ncertificates = [{key = 'a.key'}]", []string{"f:3:18: sites[0].certificates[0].key: it needs a cert"}},
		{"[[sites]]\nroot = 'www'\ncertificates = [{cert = 'missing', key = 'a.key'}]", []string{"f:3:18: sites[0].certificates[0].cert: open "}},
		{"[[sites]]\nroot = 'www'\ncertificates = [{cert = 'a.crt', key = 'missing'}]", []string{"f:3:34: sites[0].certificates[0].key: open "}},
		{"[[sites]]\nroot = 'www'\ncertificates = [{cert = 'a.crt', key = 'b.key'}]", []string{"f:3:18: sites[0].certificates[0].cert: ", "does not match"}},
		{"[[sites]]\nroot = 'www'\ncertificates = [{cert = 'a.crt', key = 'encrypted'}]", []string{"f:3:34: sites[0].certificates[0].key: ", "encrypted is encrypted, and nobody is asked for a passphrase: openssl pkey -in "}},
		{"[[sites]]\nroot = 'www'\ncertificates = [{cert = 'a.crt', key = 'old'}]", []string{"f:3:34: sites[0].certificates[0].key: ", "old is encrypted"}},
		{"[[listeners]]\naddress = ':1'\ntls = true\n[[sites]]\nroot = 'www'\nhosts = ['a']", []string{"f:4:3: sites[0]: it needs certificates"}},
		{"[[listeners]]\naddress = ':1'\ntls = true\n[[sites]]\nroot = 'www'", nil}, // for development
		{"[[listeners]]\naddress = ':1'\ntls = true\n[[sites]]\nroot = 'www'\nhosts = ['a']\n[[sites]]\nroot = 'www'\ncertificates = [{cert = 'a.crt', key = 'a.key'}]", nil},
		{"[limits.http2]\nstream_window = '4GiB'", []string{"f:2:1: limits.http2.stream_window: 4294967296 is more than it may be"}},
		{"[limits.http2]\nconn_window = 1", []string{"f:2:1: limits.http2.conn_window: it must be 65535 or more"}},
		{"[limits.http2]\nmax_stream_window = 1\nstream_window = 2", []string{"f:2:1: limits.http2.max_stream_window: "}},
		{"[limits.http2]\nencoder_table_size = 8192", []string{"f:2:1: limits.http2.encoder_table_size: "}},
		{"[limits]\naccept_rate = {burst = 5}", []string{"f:2:16: limits.accept_rate.burst: it needs a per_second"}},
		{"[limits]\naccept_rate = {per_second = 5}", nil},
		{"[limits]\nuser_timeout = '30s'", []string{"f:2:1: limits.user_timeout: it must be longer than limits.http2.stall_timeout, which is 1m0s"}},
		{"[limits]\nuser_timeout = '30s'\nhttp2.stall_timeout = '20s'", nil},
		{"[limits]\nuser_timeout = '30s'\nhttp2.stall_timeout = 'off'", nil},
		{"[limits]\nhttp2.stall_timeout = '5m'", nil},
		{"[limits]\nhttp2.max_stream_window = '1KiB'", []string{"f:2:1: limits.http2.max_stream_window: it must not be less than stream_window, which is 262144"}},
		{"[limits]\nhttp2.stream_window = '4MiB'", nil},
		{"[limits]\nuser_timeout = '5s'\nhttp2.stall_timeout = '60s'", []string{"f:2:1: limits.user_timeout: "}},
	} {
		cfg, problems := Parse("f", []byte(tt.text))
		if len(problems) == 0 {
			cfg.anchor(dir)
			problems = cfg.CheckStart()
		}
		if len(tt.want) == 0 {
			if len(problems) > 0 {
				t.Errorf("%q:\n got %v\nwant nothing", tt.text, problems)
			}
			continue
		}
		if len(problems) != 1 {
			t.Errorf("%q:\n got %v\nwant %s", tt.text, problems, tt.want)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(problems[0].Error(), want) {
				t.Errorf("%q:\n got %v\nwant %s", tt.text, problems, want)
			}
		}
	}
}

// TestCheckFindsAll has limits that are wrong in several ways: one does not hide the others.
func TestCheckFindsAll(t *testing.T) {
	cfg, problems := Parse("f", []byte("[limits]\naccept_rate.burst = 5\nuser_timeout = '1s'\nhttp2.max_stream_window = '1KiB'\nhttp2.conn_window = 1"))
	if problems != nil {
		t.Fatal(problems)
	}
	if problems = cfg.Check(); len(problems) != 4 {
		t.Errorf("%d problems, want 4: %v", len(problems), problems)
	}
}

// TestMaxNotFound holds the bound to that of package files.
func TestMaxNotFound(t *testing.T) {
	dir := t.TempDir()
	for size, fits := range map[int]bool{maxNotFound: true, maxNotFound + 1: false} {
		write(t, dir, "page", strings.Repeat(" ", size))
		f, err := files.New(dir, files.Options{NotFound: "page"})
		if (err == nil) != fits {
			t.Errorf("%d octets: %v", size, err)
		}
		if err == nil {
			_ = f.Close()
		}
	}
}

// TestNotes has certificates that are not for their sites, and secrets for everybody.
func TestNotes(t *testing.T) {
	dir := t.TempDir()
	writePair(t, dir, "a.test")
	writePair(t, dir, "*.b.test")
	write(t, dir, "www/index.html", "")
	write(t, dir, "tickets", strings.Repeat("\x01", 32))
	text := "tls.ticket_keys = 'tickets'\nlisteners = [{address = ':1', tls = true}]\n[[sites]]\nroot = 'www'\nhosts = ['a.test', '*.b.test', 'x.b.test', 'c.test']\n" +
		"certificates = [{cert = 'a.test.crt', key = 'a.test.key'}, {cert = '*.b.test.crt', key = '*.b.test.key'}]"
	cfg, problems := Parse("f", []byte(text))
	if problems != nil {
		t.Fatal(problems)
	}
	cfg.anchor(dir)
	if problems = cfg.Check(); problems != nil {
		t.Fatal(problems)
	}
	want := `f:5:44: sites[0].hosts[3]: no certificate of the site is for "c.test"`
	if notes := cfg.Notes(time.Now()); notes.Error() != want {
		t.Errorf("%v, want %s", notes, want)
	}
	for _, name := range []string{"tickets", "a.test.key"} {
		if err := os.Chmod(filepath.Join(dir, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	notes := cfg.Notes(time.Now().Add(2 * time.Hour)).Error()
	for _, want := range []string{"f:1:1: tls.ticket_keys: everybody", "certificates[0].key: everybody", "certificates[0].cert: it has expired", "certificates[1].cert: it has"} {
		if !strings.Contains(notes, want) {
			t.Errorf("%s\ndoes not say %s", notes, want)
		}
	}
	if notes := cfg.Notes(time.Now().Add(-48 * time.Hour)).Error(); !strings.Contains(notes, "not valid before") {
		t.Errorf("%s", notes)
	}
}

// TestNotesOnCleartext has sites that need certificates of clients, with listeners where
// nobody can show one.
func TestNotesOnCleartext(t *testing.T) {
	const text = "clients cannot show a certificate in cleartext: what needs one is not served on "
	for _, tt := range []struct{ listeners, rest, want string }{
		{"{address = ':1'}, {address = ':2'}", "[[sites]]\ntls.client_auth = 'require_and_verify'", "f:3:1: sites[0].tls.client_auth: " + text + "listeners[1], listeners[2]"},
		{"{address = ':1'}", "[tls]\nclient_auth = 'require_any'\n[[sites]]\n[[sites]]\ntls.client_auth = 'none'", "f:3:1: tls.client_auth: " + text + "listeners[1]"},
		{"{address = ':1'}", "[tls]\nclient_auth = 'require_any'", "f:3:1: tls.client_auth: " + text + "listeners[1]"},
		{"{address = ':1'}", "[tls]\nclient_auth = 'require_any'\n[[sites]]\ntls.client_auth = 'none'", ""},
		{"{address = ':1'}", "[[sites]]\ntls.client_auth = 'verify_if_given'", ""},
		{"{address = ':1', redirect_https = true}", "[[sites]]\ntls.client_auth = 'require_any'", ""},
	} {
		cfg, problems := Parse("f", []byte("listeners = [{address = ':443', tls = true}, "+tt.listeners+"]\n"+tt.rest))
		if problems != nil {
			t.Fatal(problems)
		}
		if notes := cfg.Notes(time.Now()); notes.Error() != tt.want {
			t.Errorf("%s with %q:\n got %v\nwant %s", tt.listeners, tt.rest, notes, tt.want)
		}
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "bad.toml", "loops = x")
	write(t, dir, "good.toml", "admin = 'unix:admin.sock'\naccess_log.file = 'access.log'\n[[sites]]\nroot = 'www'\ntls.client_ca = '/abs'")
	write(t, dir, "output.toml", "admin = ':9090'\naccess_log.file = '-'")
	if _, err := Read(filepath.Join(dir, "missing.toml")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	_, err := Read(filepath.Join(dir, "bad.toml"))
	if _, ok := errors.AsType[Problems](err); !ok || !strings.HasPrefix(err.Error(), filepath.Join(dir, "bad.toml")+":1:9: ") {
		t.Error(err)
	}
	cfg, err := Read(filepath.Join(dir, "good.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if s := cfg.Sites[0]; s.Root != filepath.Join(dir, "www") || s.TLS.ClientCA != "/abs" {
		t.Errorf("root %q, CA %q", s.Root, s.TLS.ClientCA)
	}
	if cfg.Admin != "unix:"+filepath.Join(dir, "admin.sock") || cfg.AccessLog.File != filepath.Join(dir, "access.log") {
		t.Errorf("admin %q, access log %q", cfg.Admin, cfg.AccessLog.File)
	}
	if cfg, err = Read(filepath.Join(dir, "output.toml")); err != nil || cfg.Admin != ":9090" || cfg.AccessLog.File != "-" {
		t.Errorf("%v: admin %q, access log %q", err, cfg.Admin, cfg.AccessLog.File)
	}
}

// TestEnvironment puts variables over what a file says.
func TestEnvironment(t *testing.T) {
	cfg, problems := Parse("f", []byte("loops = 1\ndrain_timeout = '1s'\n[log]\nlevel = 'debug'\nformat = 'text'"))
	if problems != nil {
		t.Fatal(problems)
	}
	problems = cfg.SetEnvironment([]string{
		"H2LOOP_LOOPS=3", "H2LOOP_LOG_LEVEL=warn", "H2LOOP_LOG_FORMAT=", "H2LOOP_LIMITS_HTTP2_STREAM_WINDOW=64KiB",
		"H2LOOP_LIMITS_HTTP2_RESET_BUDGET_BURST=9", "H2LOOP_TLS_CURVES=X25519, P-256", "H2LOOP_TLS_CLIENT_CA=ca.pem", "LOOPS=7",
	})
	if problems != nil {
		t.Fatal(problems)
	}
	if cfg.Loops != 3 || cfg.Log != (Log{"warn", "text"}) || cfg.DrainTimeout != Duration(time.Second) ||
		cfg.Limits.HTTP2.StreamWindow != 64<<10 || cfg.Limits.HTTP2.ResetBudget.Burst != 9 ||
		!slices.Equal(cfg.TLS.Curves, []Curve{Curve(tls.X25519), Curve(tls.CurveP256)}) || cfg.TLS.ClientCA != "ca.pem" {
		t.Errorf("%+v", cfg)
	}
	if problems = cfg.Check(); len(problems) != 1 || !strings.HasPrefix(problems[0].Error(), "H2LOOP_TLS_CLIENT_CA: open ca.pem") {
		t.Errorf("%v does not name the variable", problems)
	}
	problems = cfg.SetEnvironment([]string{"H2LOOP_LOOPS=many", "H2LOOP_TLS_CURVES=x"})
	if len(problems) != 2 || problems[0].Error() != `H2LOOP_LOOPS: "many": it must be a whole number` || problems[1].Name != "H2LOOP_TLS_CURVES" {
		t.Errorf("%v", problems)
	}
	got := Strangers([]string{
		"H2LOOP_LOPS=1", "H2LOOP_LOOPS=1", "H2LOOP_LISTEN=:1", "HOME=x",
		"H2LOOP_SERVICE_HOST=10.0.0.1", "H2LOOP_PORT=tcp://", "H2LOOP_PORT_443_TCP=x",
	}, "H2LOOP_LISTEN")
	if !slices.Equal(got, []string{"H2LOOP_LOPS"}) {
		t.Errorf("strangers: %q", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("loops = 1\n[log]\nlevel = 'info'\n[[listeners]]\naddress = ':443'\ntls = true\n"))
	f.Add([]byte("[[sites]]\nhosts = ['a', '*.b']\ntls = {curves = ['X25519']}\nheaders.a = 'b'\n[[sites.redirects]]\nfrom = '/{x}'\nto = '/'"))
	f.Add([]byte("sites = [{hosts = ['a'], certificates = [{cert = 'a'}]}, {}]\n[limits.http2]\nreset_budget.burst = 1"))
	f.Add([]byte("[sites]\nx=1\n[[sites.x]]\n[a.b.c]\n\"\"=1\nd='''\n'''"))
	f.Fuzz(func(t *testing.T, text []byte) {
		cfg, problems := Parse("f", text)
		for _, p := range problems {
			if p.Text == "" || p.Line < 0 || p.Column < 0 || p.Line > strings.Count(string(text), "\n")+1 {
				t.Errorf("%q: problem %+v", text, p)
			}
		}
		if len(problems) == 0 {
			_ = cfg.Loop()
		}
	})
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	name = filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// writePair writes a certificate and its key to name.crt and name.key.
func writePair(t *testing.T, dir, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, name+".crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, dir, name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
}
