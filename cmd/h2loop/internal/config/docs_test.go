package config

import (
	"encoding"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// fieldsBelow returns the names of all fields, without the numbers of lists.
func fieldsBelow(t reflect.Type, path string) (names []string) {
	for t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if _, isText := reflect.TypeAssert[encoding.TextUnmarshaler](reflect.New(t)); isText || t.Kind() != reflect.Struct {
		return []string{path}
	}
	for _, f := range reflect.VisibleFields(t) {
		if name := f.Tag.Get("toml"); name != "" {
			names = append(names, fieldsBelow(f.Type, join(path, name))...)
		}
	}
	return names
}

// TestConfigurationPage holds docs/configuration.md to the fields that there are.
func TestConfigurationPage(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	fields := fieldsBelow(reflect.TypeFor[Config](), "")
	if len(fields) < 80 {
		t.Fatalf("found %d fields: the walk has lost its way", len(fields))
	}
	var told []string
	for line := range strings.Lines(string(page)) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		first, _, _ := strings.Cut(line[2:], " | ")
		for _, m := range regexp.MustCompile("`([a-z0-9_.]+)`").FindAllStringSubmatch(first, -1) {
			told = append(told, m[1])
		}
	}
	for _, f := range fields {
		if n := len(slices.DeleteFunc(slices.Clone(told), func(s string) bool { return s != f })); n != 1 {
			t.Errorf("%s is described %d times, want once", f, n)
		}
	}
	for _, f := range told {
		isList := slices.ContainsFunc(fields, func(s string) bool { return strings.HasPrefix(s, f+".") })
		if !slices.Contains(fields, f) && !isList {
			t.Errorf("%s is described, and there is no such field", f)
		}
	}
}

// notForOperators are settings of docs/limits.md that have no field, for nothing that the
// program serves has use for them.
var notForOperators = []string{"BlockingWorkers", "BlockingQueue", "BlockingWait", "HTTPHandlers", "MaxBufferedBody", "HTTP1.MaxUnreadTotal"}

// TestLimitsHaveFields finds a field for each setting of docs/limits.md, and for each field
// of limits a setting of loop.Config.
func TestLimitsHaveFields(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]bool{}
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, " | "); len(cells) > 3 {
			if m := regexp.MustCompile("^`([A-Za-z0-9.]+)`$").FindStringSubmatch(cells[2]); m != nil {
				settings[m[1]] = true
			}
		}
	}
	if len(settings) < 40 {
		t.Fatalf("found %d settings: the page is read wrongly", len(settings))
	}
	for s := range settings {
		if strings.HasPrefix(s, "files.") {
			continue // of a directory
		}
		limits := reflect.TypeFor[Limits]()
		name := s
		if group, rest, ok := strings.Cut(s, "."); ok {
			f, _ := limits.FieldByName(group)
			limits, name = f.Type, rest
		}
		f, ok := limits.FieldByName(name)
		switch {
		case s == "DrainTimeout" || slices.Contains(notForOperators, s):
		case !ok:
			t.Errorf("%s has no field", s)
		case strings.ReplaceAll(f.Tag.Get("toml"), "_", "") != strings.ToLower(name):
			t.Errorf("%s is called %s", s, f.Tag.Get("toml"))
		}
	}
	_, told, _ := strings.Cut(string(page), "Not for operators, and without a field there, are ")
	told, _, _ = strings.Cut(told, ", which nothing")
	var without []string
	for _, m := range regexp.MustCompile("`([A-Za-z0-9.]+)`").FindAllStringSubmatch(told, -1) {
		without = append(without, m[1])
	}
	if !slices.Equal(without, notForOperators) {
		t.Errorf("the page tells of %q as without a field, want %q", without, notForOperators)
	}
	// Every field arrives: none is left at zero.
	var limits Limits
	fillWith(reflect.ValueOf(&limits).Elem(), 1)
	c, problems := limits.loopConfig()
	if problems != nil {
		t.Fatal(problems)
	}
	compare(t, reflect.ValueOf(limits), reflect.ValueOf(c), "limits")
}

func fillWith(v reflect.Value, n int64) {
	for _, f := range v.Fields() {
		if f.Kind() == reflect.Struct {
			fillWith(f, n)
		} else {
			f.SetInt(n)
		}
	}
}

func compare(t *testing.T, from, to reflect.Value, path string) {
	t.Helper()
	for f, v := range from.Fields() {
		target := to.FieldByName(f.Name)
		switch {
		case v.Kind() == reflect.Struct:
			compare(t, v, target, join(path, f.Name))
		case target.IsZero():
			t.Errorf("%s.%s does not arrive", path, f.Name)
		}
	}
}
