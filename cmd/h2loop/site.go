package main

import (
	"crypto/sha256"
	"crypto/tls"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/h2loop/h2loop/internal/etag"
	"github.com/h2loop/h2loop/loop"
)

//go:embed site
var site embed.FS

// A routeInfo tells the page about a route.
type routeInfo struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Note   string `json:"note"`
}

// A routeList registers routes and remembers them for the page.
type routeList struct {
	srv    *loop.Server
	routes []routeInfo
}

func (r *routeList) add(pattern, note string, h loop.Handler) {
	_, path, _ := strings.Cut(pattern, " ")
	r.addAs(pattern, path, note, h)
}

// addAs tells of a pattern with wildcards by a path that matches it.
func (r *routeList) addAs(pattern, path, note string, h loop.Handler) {
	method, _, _ := strings.Cut(pattern, " ")
	r.srv.Handle(pattern, h)
	r.routes = append(r.routes, routeInfo{method, path, note})
}

// addSite adds the page and what it links to.
func addSite(r *routeList) error {
	err := fs.WalkDir(site, "site", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := site.ReadFile(name)
		if err != nil {
			return err
		}
		at := strings.TrimPrefix(name, "site")
		if at == "/index.html" {
			at = "/{$}"
		}
		r.srv.Handle("GET "+at, page(name, body))
		return nil
	})
	if err != nil {
		return fmt.Errorf("the page is not whole: %w", err)
	}
	r.add("GET /hello", "the shortest answer", loop.Static(200, "text/plain; charset=utf-8", []byte("Hello, World!\n")))
	r.add("GET /headers", "your request, as it arrived", sendHeaders)
	r.add("GET /connection", "this connection and these routes, in JSON", r.sendConnection)
	addDemo(r)
	return nil
}

// contentTypes has every extension that occurs in the site.
var contentTypes = map[string]string{
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// page serves one file of the site.
func page(name string, body []byte) loop.Handler {
	sum := sha256.Sum256(body)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	kind := contentTypes[path.Ext(name)]
	return func(x *loop.Exchange) {
		_ = x.SetHeader("etag", tag)
		_ = x.SetHeader("cache-control", "no-cache")
		if etag.MatchesAny(strings.Join(x.HeaderValues("if-none-match"), ","), tag, etag.Weakly) {
			_ = x.Send(304, nil)
			return
		}
		_ = x.SetHeader("content-type", kind)
		_ = x.SetHeader("content-security-policy", "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		_ = x.SetHeader("x-content-type-options", "nosniff")
		_ = x.SetHeader("referrer-policy", "no-referrer")
		_ = x.SendStatic(200, body)
	}
}

func sendHeaders(x *loop.Exchange) {
	var b strings.Builder
	target := x.Path()
	if q := x.RawQuery(); q != "" {
		target += "?" + q
	}
	fmt.Fprintf(&b, ":method: %s\n:scheme: %s\n:authority: %s\n:path: %s\n", x.Method(), x.Scheme(), x.Host(), target)
	for name, value := range x.Headers {
		fmt.Fprintf(&b, "%s: %s\n", name, value)
	}
	_ = x.SetHeader("x-content-type-options", "nosniff")
	_ = x.SetHeader("cache-control", "no-store")
	_ = x.SendString(200, b.String())
}

// A connection is what /connection says.
type connection struct {
	Protocol string      `json:"protocol"`
	Scheme   string      `json:"scheme"`
	Host     string      `json:"host"`
	Client   string      `json:"client,omitempty"`
	TLS      *tlsInfo    `json:"tls,omitempty"`
	Server   string      `json:"server"`
	Routes   []routeInfo `json:"routes"`
}

type tlsInfo struct {
	Version     string `json:"version"`
	Cipher      string `json:"cipher"`
	KeyExchange string `json:"keyExchange,omitempty"`
	Resumed     bool   `json:"resumed"`
}

func (r *routeList) sendConnection(x *loop.Exchange) {
	c := connection{
		Protocol: x.Proto(),
		Scheme:   x.Scheme(),
		Host:     x.Host(),
		Server:   readVersion(),
		Routes:   r.routes,
	}
	if x.RemoteAddr().IsValid() {
		c.Client = x.RemoteAddr().String()
	}
	if s := x.TLS(); s != nil {
		c.TLS = &tlsInfo{
			Version: tls.VersionName(s.Version),
			Cipher:  tls.CipherSuiteName(s.CipherSuite),
			Resumed: s.DidResume,
		}
		if s.CurveID != 0 {
			c.TLS.KeyExchange = s.CurveID.String()
		}
	}
	body, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		_ = x.SendString(500, "Internal Server Error\n")
		return
	}
	_ = x.SetHeader("content-type", "application/json")
	_ = x.SetHeader("cache-control", "no-store")
	_ = x.Send(200, append(body, '\n'))
}
