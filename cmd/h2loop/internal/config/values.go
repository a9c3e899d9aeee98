package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// The values of fields. Each reads itself from text, and says what would be right
// if it cannot.
type (
	Duration  time.Duration // more than 0
	Timeout   time.Duration // or negative, for "off"
	Interval  time.Duration // or negative, for "off"; a second at least
	Age       time.Duration // whole seconds
	Size      int64         // octets, more than 0
	CacheSize int64         // or negative, for "off"
	Count     int64         // more than 0
	Loops     int           // 0 for as many as there are CPUs
	Status    int           // of a redirect
	Address   string        // host:port, :port, or unix:PATH
	Mode      uint32        // of the file of a unix socket; 0 for what the umask leaves
	Host      string        // in lower case, without a dot at the end
	Level     string
	Format    string
	Version   uint16
	Curve     tls.CurveID

	// A ClientAuth says whether clients show a certificate. It is 0 if nothing is
	// said, and tls.ClientAuthType + 1 else.
	ClientAuth int

	// A Switch is "", "on" or "off".
	Switch string
)

// A Redirect says to which port what comes in cleartext is redirected.
type Redirect struct {
	On   bool
	Port int // 0 for that of the first listener for TLS
}

// Prefixes of addresses: of a unix socket, and of a socket that a service manager hands
// over, by its name or number.
const (
	UnixPrefix = "unix:"
	FDPrefix   = "fd:"
)

func parseDuration(text string) (time.Duration, error) {
	wrong := fmt.Errorf("%q is no time: write it as 500ms, 10s, 5m, 1h or 7d", text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, wrong
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, wrong
	}
	return d, nil
}

func (d *Duration) UnmarshalText(b []byte) error {
	v, err := parseDuration(string(b))
	if err == nil && v <= 0 {
		err = fmt.Errorf("%q: it must be more than 0", b)
	}
	*d = Duration(v)
	return err
}

func (d *Timeout) UnmarshalText(b []byte) error {
	if string(b) == "off" {
		*d = -1
		return nil
	}
	v, err := parseDuration(string(b))
	if err == nil && v <= 0 {
		err = fmt.Errorf("%q: it must be more than 0, or off", b)
	}
	*d = Timeout(v)
	return err
}

func (d *Interval) UnmarshalText(b []byte) error {
	if string(b) == "off" {
		*d = -1
		return nil
	}
	v, err := parseDuration(string(b))
	if err == nil && v < time.Second {
		err = fmt.Errorf("%q: it must be 1s or more, or off", b)
	}
	*d = Interval(v)
	return err
}

func (d *Age) UnmarshalText(b []byte) error {
	v, err := parseDuration(string(b))
	if err != nil || v < time.Second || v%time.Second != 0 {
		return fmt.Errorf("%q is no such time: write whole seconds, as 86400s, or days, as 365d", b)
	}
	*d = Age(v)
	return nil
}

var units = []struct {
	name string
	size int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}, {"", 1},
}

const maxSize = 1 << 50

func parseSize(text string) (int64, error) {
	for _, u := range units {
		digits, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSuffix(digits, " "), 10, 64)
		switch {
		case err != nil && !errors.Is(err, strconv.ErrRange):
			continue
		case err != nil || n > maxSize/u.size:
			return 0, fmt.Errorf("%q is too large", text)
		case n <= 0:
			return 0, fmt.Errorf("%q: it must be more than 0", text)
		}
		return n * u.size, nil
	}
	return 0, fmt.Errorf("%q is no size: write it as 4096, 64KiB or 1MiB", text)
}

func (s *Size) UnmarshalText(b []byte) error {
	n, err := parseSize(string(b))
	*s = Size(n)
	return err
}

func (s *CacheSize) UnmarshalText(b []byte) error {
	if string(b) == "off" {
		*s = -1
		return nil
	}
	n, err := parseSize(string(b))
	*s = CacheSize(n)
	return err
}

func (c *Count) UnmarshalText(b []byte) error {
	n, err := strconv.ParseInt(string(b), 10, 31)
	if err != nil || n <= 0 {
		return fmt.Errorf("%q: it must be a whole number, more than 0", b)
	}
	*c = Count(n)
	return nil
}

// maxLoops is more than any machine has use for.
const maxLoops = 4096

func (l *Loops) UnmarshalText(b []byte) error {
	n, err := strconv.Atoi(string(b))
	switch {
	case err != nil:
		return fmt.Errorf("%q: it must be a whole number", b)
	case n < 0:
		return fmt.Errorf("%d: it must not be negative", n)
	case n > maxLoops:
		return fmt.Errorf("%d: it must not be more than %d", n, maxLoops)
	}
	*l = Loops(n)
	return nil
}

func (s *Status) UnmarshalText(b []byte) error {
	n, _ := strconv.Atoi(string(b))
	if !slices.Contains([]int{301, 302, 303, 307, 308}, n) {
		return fmt.Errorf("%q is no status of a redirect: it must be 301, 302, 303, 307 or 308", b)
	}
	*s = Status(n)
	return nil
}

func (a *Address) UnmarshalText(b []byte) error {
	text := string(b)
	*a = Address(text)
	if path, ok := strings.CutPrefix(text, UnixPrefix); ok {
		if path == "" {
			return fmt.Errorf("%q has no path: write it as unix:/run/h2loop.sock", text)
		}
		return nil
	}
	if name, ok := strings.CutPrefix(text, FDPrefix); ok {
		if name == "" {
			return fmt.Errorf("%q has no name or number: write it as fd:NAME", text)
		}
		return nil
	}
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return fmt.Errorf("%q is no address: write it as host:port, [IPv6]:port, :port, unix:PATH or fd:NAME", text)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("%q has no port from 0 to 65535", text)
	}
	return nil
}

func (m *Mode) UnmarshalText(b []byte) error {
	n, err := strconv.ParseUint(string(b), 8, 9)
	// A number without quotes comes without the zero: it may be a decimal one.
	if err != nil || n == 0 || b[0] != '0' {
		return fmt.Errorf("%q: it must be octal and in quotes, as \"0660\"", b)
	}
	*m = Mode(n)
	return nil
}

// Port returns the port of a TCP address, or 0.
func (a Address) Port() int {
	_, port, err := net.SplitHostPort(string(a))
	if err != nil || strings.HasPrefix(string(a), UnixPrefix) || strings.HasPrefix(string(a), FDPrefix) {
		return 0
	}
	n, _ := net.LookupPort("tcp", port)
	return n
}

func (r *Redirect) UnmarshalText(b []byte) error {
	switch string(b) {
	case "true":
		*r = Redirect{On: true}
		return nil
	case "false":
		*r = Redirect{}
		return nil
	}
	port, err := strconv.Atoi(string(b))
	if err != nil || port < 1 || port > 65535 {
		return fmt.Errorf("%q: it must be a port from 1 to 65535, true or false", b)
	}
	*r = Redirect{On: true, Port: port}
	return nil
}

func (h *Host) UnmarshalText(b []byte) error {
	text := string(b)
	name := strings.ToLower(strings.TrimSuffix(text, "."))
	*h = Host(name)
	if ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")); err == nil {
		*h = Host(ip.String())
		return nil
	}
	rest, _ := strings.CutPrefix(name, "*.")
	switch {
	case name == "*":
		return errors.New(`"*" is no host: a site without hosts is for all names that no other has`)
	case strings.Contains(rest, "*"):
		return fmt.Errorf("%q: a star may only stand for the first labels, as in *.example.org", text)
	case strings.Contains(rest, "/"), strings.Contains(rest, ":"):
		return fmt.Errorf("%q is more than the name of a host: write it without scheme, port and path", text)
	case !isHostname(rest):
		return fmt.Errorf("%q is no name of a host (international names are written as xn--...)", text)
	}
	return nil
}

func isHostname(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// oneOf says which values there are.
func oneOf[T ~string](v *T, b []byte, values ...string) error {
	*v = T(b)
	if slices.Contains(values, string(b)) {
		return nil
	}
	return fmt.Errorf("%q: it must be %s", b, list(values))
}

// list writes "a, b or c".
func list(values []string) string {
	last := len(values) - 1
	if last == 0 {
		return values[0]
	}
	return strings.Join(values[:last], ", ") + " or " + values[last]
}

func (l *Level) UnmarshalText(b []byte) error { return oneOf(l, b, "debug", "info", "warn", "error") }

func (f *Format) UnmarshalText(b []byte) error { return oneOf(f, b, "auto", "text", "json") }

// Zerolog returns the level by which to log.
func (l Level) Zerolog() zerolog.Level {
	if l == "" {
		return zerolog.InfoLevel
	}
	level, _ := zerolog.ParseLevel(string(l))
	return level
}

func (s *Switch) UnmarshalText(b []byte) error {
	switch string(b) {
	case "true", "on":
		*s = "on"
	case "false", "off":
		*s = "off"
	default:
		return fmt.Errorf("%q: it must be true or false", b)
	}
	return nil
}

func (v *Version) UnmarshalText(b []byte) error {
	switch string(b) {
	case "1.2":
		*v = tls.VersionTLS12
	case "1.3":
		*v = tls.VersionTLS13
	default:
		return fmt.Errorf("%q: it must be \"1.2\" or \"1.3\"", b)
	}
	return nil
}

var curves = []tls.CurveID{
	tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024, tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521,
}

func curveName(id tls.CurveID) string {
	name := id.String()
	if p, ok := strings.CutPrefix(name, "CurveP"); ok {
		return "P-" + p
	}
	return name
}

func (c *Curve) UnmarshalText(b []byte) error {
	names := make([]string, len(curves))
	for i, id := range curves {
		names[i] = curveName(id)
		if names[i] == string(b) {
			*c = Curve(id)
			return nil
		}
	}
	return fmt.Errorf("%q: it must be %s", b, list(names))
}

var clientAuths = []string{"none", "request", "require_any", "verify_if_given", "require_and_verify"} // as in crypto/tls

func (c *ClientAuth) UnmarshalText(b []byte) error {
	i := slices.Index(clientAuths, string(b))
	if i < 0 {
		return fmt.Errorf("%q: it must be %s", b, list(clientAuths))
	}
	*c = ClientAuth(i + 1)
	return nil
}

// Type returns c as crypto/tls has it.
func (c ClientAuth) Type() tls.ClientAuthType { return tls.ClientAuthType(max(int(c)-1, 0)) }

// NeedsCA reports whether there must be somebody whose certificates are believed.
func (c ClientAuth) NeedsCA() bool { return c.Type() >= tls.VerifyClientCertIfGiven }

// NeedsCertificate reports whether clients must show a certificate, which they cannot in
// cleartext.
func NeedsCertificate(auth tls.ClientAuthType) bool {
	return auth == tls.RequireAnyClientCert || auth == tls.RequireAndVerifyClientCert
}
