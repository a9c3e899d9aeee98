package loop

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/h2loop/h2loop/h2"
)

// A limitRow is a row of docs/limits.md.
type limitRow struct {
	what, fallback, setting string
	names                   []string // in Stats
	sees                    string
	tests                   []string // as package.Test
}

// noLimits are the fields of [Config] and [h2.Config] that bound nothing a peer
// could run into.
var noLimits = []string{
	"Listeners", "Loops", "Logger", "HTTP2", "HTTP1", "SendLowWater", "SlowCallback", "Hooks", "DebugExchanges", "IsolateCallbacks", "HTTP2.EnableConnectProtocol",
}

// TestLimitsPage holds docs/limits.md against the code: every limit that is counted
// and every setting has a row, and what a row names is there.
func TestLimitsPage(t *testing.T) {
	page, err := os.ReadFile("../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := parseLimits(string(page))
	if err != nil {
		t.Fatal(err)
	}
	names := countedLimits()
	fields := settings(t)
	tests := testFunctions(t, "..")
	for _, problem := range checkLimits(rows, names, fields, tests) {
		t.Error(problem)
	}
	// That it would be noticed.
	for why, spoil := range map[string]func(rows []limitRow) []limitRow{
		"a row is gone":       func(r []limitRow) []limitRow { return r[1:] },
		"a name is wrong":     func(r []limitRow) []limitRow { r[0].names = []string{"strems"}; return r },
		"a setting is wrong":  func(r []limitRow) []limitRow { r[0].setting = "HTTP2.MaxStreams"; return r },
		"a default is wrong":  func(r []limitRow) []limitRow { r[0].fallback = "251"; return r },
		"a test is not there": func(r []limitRow) []limitRow { r[0].tests = []string{"h2.TestNothing"}; return r },
		"there is no test":    func(r []limitRow) []limitRow { r[0].tests = nil; return r },
	} {
		if len(checkLimits(spoil(slices.Clone(rows)), names, fields, tests)) == 0 {
			t.Errorf("%s, and that goes unnoticed", why)
		}
	}
}

// countedLimits returns the names of all limits, as Stats has them.
func countedLimits() (names []string) {
	srv := &Server{}
	srv.live.Store(&Config{})
	srv.gate = newHandshakeGate(srv)
	srv.admission = newAdmission(srv.config(), nil)
	for name := range srv.Stats().Limits {
		names = append(names, name)
	}
	return names
}

// settings returns the fields of [Config], and those of [h2.Config] and [HTTP1Config]
// with HTTP2 and HTTP1 before them, with their defaults.
func settings(t *testing.T) map[string]reflect.Value {
	t.Helper()
	cfg, err := Config{Listeners: []Listener{{}}}.WithDefaults()
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]reflect.Value{}
	for prefix, v := range map[string]reflect.Value{
		"": reflect.ValueOf(cfg), "HTTP2.": reflect.ValueOf(cfg.HTTP2), "HTTP1.": reflect.ValueOf(cfg.HTTP1),
	} {
		for f, value := range v.Fields() {
			fields[prefix+f.Name] = value
		}
	}
	return fields
}

// testFunctions returns the tests below root, as package.Test.
func testFunctions(t *testing.T, root string) map[string]bool {
	t.Helper()
	tests := map[string]bool{}
	for _, room := range []string{"h2", "internal/h1", "loop", "tlsbridge"} {
		files, err := filepath.Glob(filepath.Join(root, room, "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%d test files in %s: %v", len(files), room, err)
		}
		for _, name := range files {
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
					tests[filepath.Base(room)+"."+fn.Name.Name] = true
				}
			}
		}
	}
	return tests
}

// parseLimits returns the rows of the tables of a page, but for those of files,
// which are looked at there.
func parseLimits(page string) (rows []limitRow, err error) {
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		if strings.Contains(line, "`files.") {
			continue
		}
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "| limit |") || strings.HasPrefix(line, "| ---") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if len(cells) != 7 {
			return nil, fmt.Errorf("a row of %d cells: %s", len(cells), line)
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, limitRow{
			what: cells[0], fallback: cells[1], setting: strings.Trim(cells[2], "`"),
			names: quoted(cells[3]), sees: cells[5], tests: quoted(cells[6]),
		})
	}
	return rows, nil
}

var inQuotes = regexp.MustCompile("`[^`]+`")

// quoted returns what stands in backquotes.
func quoted(cell string) (words []string) {
	for _, w := range inQuotes.FindAllString(cell, -1) {
		words = append(words, strings.Trim(w, "`"))
	}
	return words
}

// checkLimits says what is wrong with rows.
func checkLimits(rows []limitRow, names []string, fields map[string]reflect.Value, tests map[string]bool) (problems []string) {
	object := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	var named, set []string
	for _, r := range rows {
		named = append(named, r.names...)
		set = append(set, r.setting)
		for _, name := range r.names {
			if !slices.Contains(names, name) {
				object("%s: Stats has no limit %q", r.what, name)
			}
		}
		if len(r.tests) == 0 {
			object("%s: no test", r.what)
		}
		for _, test := range r.tests {
			if !tests[test] {
				object("%s: there is no test %s", r.what, test)
			}
		}
		field, ok := fields[r.setting]
		switch {
		case r.setting == "fixed":
		case !ok:
			object("%s: there is no setting %s", r.what, r.setting)
		default:
			if want, err := parseDefault(r.fallback, field); err != nil || !field.Equal(reflect.ValueOf(want)) {
				object("%s: %s is %v by default, and not %q (%v)", r.what, r.setting, field, r.fallback, err)
			}
		}
	}
	for _, name := range names {
		if !slices.Contains(named, name) {
			object("limit %q has no row", name)
		}
	}
	for field := range fields {
		if !slices.Contains(set, field) && !slices.Contains(noLimits, field) {
			object("setting %s has no row", field)
		}
	}
	return problems
}

var units = map[string]int64{
	"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "s": int64(time.Second),
}

// parseDefault reads the default of a setting as a value of the type of field.
func parseDefault(text string, field reflect.Value) (any, error) {
	if field.Type() == reflect.TypeFor[h2.Budget]() && text != "off" {
		var b h2.Budget
		_, err := fmt.Sscanf(text, "%d at once, %d/s", &b.Burst, &b.PerSecond)
		return b, err
	}
	if text == "off" || text == "auto" {
		return reflect.Zero(field.Type()).Interface(), nil
	}
	number, unit, _ := strings.Cut(text, " ")
	n, err := strconv.ParseInt(number, 10, 64)
	factor, ok := units[unit]
	if isTime := field.Type() == reflect.TypeFor[time.Duration](); err != nil || !ok || isTime != (unit == "s") {
		return nil, fmt.Errorf("a number and its unit are needed: %w", err)
	}
	return reflect.ValueOf(n * factor).Convert(field.Type()).Interface(), nil
}
