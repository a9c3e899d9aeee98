package files

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestLimitsPage holds the rows of files in docs/limits.md against the code: their
// settings, defaults and tests.
func TestLimitsPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## Of files\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, problem := range checkLimits(t, section) {
		t.Error(problem)
	}
	// That it would be noticed.
	for _, spoil := range []string{"1024", "files.Queue", "TestBusy", "10000", "64 MiB"} {
		if len(checkLimits(t, strings.ReplaceAll(section, spoil, "7"))) == 0 {
			t.Errorf("%q is changed, and that goes unnoticed", spoil)
		}
	}
}

var (
	limitsRow = regexp.MustCompile("(?m)^\\| [^|]+ \\| ([^|]+) \\| (?:`files\\.(\\w+)`|fixed) \\|.*\\| ([^|]*) \\|$")
	testName  = regexp.MustCompile("`files\\.(\\w+)`")
)

// checkLimits says what is wrong with the rows of a section.
func checkLimits(t *testing.T, section string) (problems []string) {
	t.Helper()
	object := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	defaults := reflect.ValueOf((&Options{}).withDefaults())
	fixed := map[string]bool{fmt.Sprint(maxRanges): false, fmt.Sprint(maxListed): false, fmt.Sprint(maxDepth): false}
	named := map[string]bool{}
	source := sources(t)
	for _, row := range limitsRow.FindAllStringSubmatch(section, -1) {
		fallback, setting := row[1], row[2]
		named[setting] = true
		if setting == "" {
			fixed[fallback] = true
		} else if field := defaults.FieldByName(setting); !field.IsValid() {
			object("there is no setting %s", setting)
		} else if want := limitText(field); fallback != want && fallback != "auto" {
			object("%s is %s by default, and not %q", setting, want, fallback)
		}
		tests := testName.FindAllStringSubmatch(row[3], -1)
		if len(tests) == 0 {
			object("%s: no test", row[0])
		}
		for _, test := range tests {
			if !strings.Contains(source, "\nfunc "+test[1]+"(t *testing.T)") {
				object("there is no test %s", test[1])
			}
		}
	}
	for f, field := range defaults.Fields() {
		if n := field.Kind(); f.IsExported() && (n == reflect.Int || n == reflect.Int64) && !named[f.Name] {
			object("setting %s has no row", f.Name)
		}
	}
	for number, found := range fixed {
		if !found {
			object("the fixed limit %s has no row", number)
		}
	}
	if len(fixed) != 3 {
		object("a fixed limit is not that of the code: %v", fixed)
	}
	return problems
}

// limitText writes the value of a setting as the page does.
func limitText(field reflect.Value) string {
	n := field.Int()
	switch {
	case field.Type() == reflect.TypeFor[time.Duration]():
		return fmt.Sprintf("%d s", n/int64(time.Second))
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case field.Kind() == reflect.Int64 && n >= 1<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprint(n)
}

// sources returns the text of the tests.
func sources(t *testing.T) (text string) {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), "_test.go") {
			p, err := os.ReadFile(e.Name())
			if err != nil {
				t.Fatal(err)
			}
			text += string(p)
		}
	}
	return text
}
