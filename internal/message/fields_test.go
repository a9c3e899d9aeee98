package message

import (
	"strings"
	"testing"
)

// TestCharClasses holds each octet's roles against the RFCs' own lists.
func TestCharClasses(t *testing.T) {
	const (
		alpha   = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		token   = "!#$%&'*+-.^_`|~0123456789" + alpha
		regName = "-._~!$&'()*+,;=0123456789" + alpha // RFC 3986, Section 3.2.2
	)
	for i := range 256 {
		s := string([]byte{byte(i)})
		is := func(set string) bool { return strings.Contains(set, s) }
		for name, tt := range map[string][2]bool{
			"token":      {IsToken(s), is(token)},
			"field name": {IsFieldName(s), is(token) && !is("ABCDEFGHIJKLMNOPQRSTUVWXYZ")},
			"value":      {IsFieldValue("a" + s + "a"), i >= 0x20 && i != 0x7f || i == '\t'},
			"path":       {IsPath("GET", "/"+s), i > 0x20 && i != 0x7f && i != '#'},
			"authority":  {IsAuthority(s), is(regName + "[]:%")},
			"scheme":     {IsScheme(s), is(alpha)},
			"scheme 2":   {IsScheme("a" + s), is(alpha + "0123456789+-.")},
			"length":     {func() bool { _, ok := ParseLength(s); return ok }(), is("0123456789")},
			"method":     {IsToken("GE" + s), is(token)},
		} {
			if tt[0] != tt[1] {
				t.Errorf("%q as %s: %v", s, name, tt[0])
			}
		}
	}
	for s, want := range map[string]int64{"0": 0, "9": 9, "10": 10, "123456789012345678": 123456789012345678, "999999999999999999": 999999999999999999} {
		if n, ok := ParseLength(s); !ok || n != want {
			t.Errorf("%s: %d, %v", s, n, ok)
		}
	}
}

func TestRFC9110Section6_5_1_CheckTrailer(t *testing.T) {
	for name, want := range map[string]string{
		"grpc-status": "", "server-timing": "", "digest": "",
		"content-length": "cannot be a trailer", "host": "cannot be a trailer", "set-cookie": "cannot be a trailer",
		"connection": "about a connection", "Upper": "upper case", ":status": "token",
	} {
		err := CheckTrailer(name, "x")
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if CheckTrailer("x", "a\nb") == nil {
		t.Error("a line feed is let through")
	}
}

func TestRFC9113Section8_2_CheckField(t *testing.T) {
	for _, tt := range []struct{ name, value, want string }{
		{"content-type", "text/html; charset=utf-8", ""},
		{"x", "", ""},
		{"x", "a\tb \xff", ""},
		{"te", "gzip", ""},
		{"", "x", `field name "" is empty`},
		{"X-Upper", "x", `field name "X-Upper" is empty, upper case`},
		{":status", "200", `field name ":status" is`},
		{"a b", "x", `field name "a b" is`},
		{"x", "a\nb", `value "a\nb" of field x has a control octet`},
		{"x", " a", "space at an end"},
		{"x", "a\t", "space at an end"},
		{"x", "a\x00", "control octet"},
		{"connection", "close", "field connection is about a connection"},
		{"keep-alive", "x", "field keep-alive is about a connection"},
		{"proxy-connection", "x", "is about a connection"},
		{"transfer-encoding", "chunked", "is about a connection"},
		{"upgrade", "h2c", "is about a connection"},
	} {
		err := CheckField(tt.name, tt.value)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %q: %v, want %q", tt.name, tt.value, err, tt.want)
		}
	}
}
