package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/h2loop/h2loop/cmd/h2loop/internal/privileges"
)

// CheckStart is Check, and finds besides what only a start would fail at: what is settled
// then does not change while the process runs.
func (cfg *Config) CheckStart() Problems {
	c := &checker{cfg: cfg, problems: cfg.Check()}
	if who, err := privileges.Find(cfg.User, cfg.Group); err == nil {
		if err := who.Check(); err != nil {
			c.add("user", "%v: start it as root, or name no user", err)
		}
	}
	c.accessLog()
	c.socket("admin", cfg.Admin)
	for i := range cfg.Listeners {
		c.socket(fmt.Sprintf("listeners[%d].address", i), string(cfg.Listeners[i].Address))
	}
	for i := range cfg.Sites {
		c.rights(fmt.Sprintf("sites[%d]", i), &cfg.Sites[i])
	}
	return c.problems
}

// rights finds what of a directory this user may not read. A process that has become
// another user since it opened the directory may still serve from it.
func (c *checker) rights(field string, s *Site) {
	info, err := os.Stat(s.Root)
	if err != nil || !info.IsDir() {
		return // Check tells of that
	}
	if !may(s.Root, unix.R_OK|unix.X_OK) {
		c.add(field+".root", "this user may not read %s, or not look into it: permission denied", s.Root)
		return
	}
	if s.NotFound == "" || !filepath.IsLocal(s.NotFound) {
		return
	}
	page := filepath.Join(s.Root, s.NotFound)
	if _, err := os.Stat(page); err == nil && !may(page, unix.R_OK) {
		c.add(field+".not_found", "this user may not read %s: permission denied", page)
	}
}

func (c *checker) accessLog() {
	const field = "access_log.file"
	file := c.cfg.AccessLog.File
	if file == "" || file == "-" {
		return
	}
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.place(field, file)
	case err != nil:
		c.add(field, "%v", err)
	case info.IsDir():
		c.add(field, "%s is a directory, and not a file", file)
	case !may(file, unix.W_OK):
		c.add(field, "this user cannot write %s", file)
	}
}

// socket checks where a unix socket is to be made.
func (c *checker) socket(field, addr string) {
	path, ok := socketFile(addr)
	if !ok {
		return
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket == 0 {
		c.add(field, "%s is there, and no socket: remove it, or name another path", path)
		return
	}
	c.place(field, path)
}

// place finds that there is no directory for a file to be made in.
func (c *checker) place(field, file string) {
	dir := filepath.Dir(file)
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		c.add(field, "%s: no such directory: make it, or name another", dir)
	case err != nil:
		c.add(field, "%v", err)
	case !info.IsDir():
		c.add(field, "%s is not a directory", dir)
	case !may(dir, unix.W_OK|unix.X_OK):
		c.add(field, "this user cannot make files in %s", dir)
	}
}

// may reports whether this process may use a file so.
func may(name string, mode uint32) bool {
	return unix.Faccessat(unix.AT_FDCWD, name, mode, unix.AT_EACCESS) == nil
}

// admin finds an admin address that is none, or that of a listener.
func (c *checker) admin() {
	addr := Address(c.cfg.Admin)
	if addr == "" {
		return
	}
	if err := addr.UnmarshalText([]byte(addr)); err != nil || strings.HasPrefix(string(addr), FDPrefix) {
		c.add("admin", "%q is no address: write it as host:port, [IPv6]:port, :port or unix:PATH", c.cfg.Admin)
		return
	}
	if strings.HasPrefix(string(addr), ":") {
		addr = "127.0.0.1" + addr // as it is for the admin listener
	}
	for i := range c.cfg.Listeners {
		if l := &c.cfg.Listeners[i]; l.Address.clashes(addr) {
			c.add("admin", "%q is taken by listeners[%d], which is %q: it needs one of its own", c.cfg.Admin, i, l.Address)
			return
		}
	}
}

// clashes reports whether one process cannot listen on both addresses, as far as can be told
// without asking for names.
func (a Address) clashes(b Address) bool {
	port := a.Port()
	if port == 0 || b.Port() == 0 {
		return a == b && !isAnyPort(a)
	}
	if port != b.Port() {
		return false
	}
	host, isAll := hostOf(a)
	other, isAllToo := hostOf(b)
	return isAll || isAllToo || host == other
}

func isAnyPort(a Address) bool {
	return !strings.HasPrefix(string(a), UnixPrefix) && strings.HasSuffix(string(a), ":0")
}

// hostOf returns the host of an address, and whether it stands for all. As net.Listen has it,
// 0.0.0.0 is as good as [::].
func hostOf(a Address) (host string, isAll bool) {
	host, _, _ = net.SplitHostPort(string(a))
	if host == "" {
		return "", true
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().String(), ip.IsUnspecified()
	}
	return strings.ToLower(host), false
}
