package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A securityPage is what SECURITY.md says, and what there is to compare it with.
type securityPage struct {
	text   string
	limits map[string][]string // defaults of docs/limits.md, by name
	tests  map[string]bool     // as package.Test
}

// TestSecurityPage holds SECURITY.md to the attacks, the limits and the tests that there are.
func TestSecurityPage(t *testing.T) {
	page := readSecurityPage(t)
	for _, problem := range page.problems() {
		t.Error(problem)
	}
	// That it would be noticed.
	for why, change := range map[string][2]string{
		"an attack has no row":           {"| `rapid-reset` |", "| rapid-reset |"},
		"an attack has two rows":         {"| `made-you-reset-data` |", "| `made-you-reset` |"},
		"there is no such attack":        {"| `ping-flood` |", "| `pong-flood` |"},
		"there is no such test":          {"`h2.TestSection10_5_Answers`", "`h2.TestNothing`"},
		"a row has no test":              {"| `accesslog.TestFormats` |\n", "| |\n"},
		"there is no such limit":         {"`resets` 1000", "`rests` 1000"},
		"a limit has another default":    {"`work` 250", "`work` 251"},
		"a CVE of an attack is left out": {"CVE-2016-6581", ""},
		"overload has another default":   {"`shed` 2 s", "`shed` 3 s"},
	} {
		changed := page
		changed.text = strings.Replace(page.text, change[0], change[1], 1)
		if changed.text == page.text || len(changed.problems()) == 0 {
			t.Errorf("%s, and that goes unnoticed", why)
		}
	}
}

const root = "../.."

func readSecurityPage(t *testing.T) (page securityPage) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "SECURITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	limits, err := os.ReadFile(filepath.Join(root, "docs", "limits.md"))
	if err != nil {
		t.Fatal(err)
	}
	page = securityPage{text: string(text), limits: map[string][]string{}, tests: allTests(t)}
	for _, cells := range rowsOf(string(limits)) {
		if len(cells) == 7 {
			for _, name := range words(cells[3]) {
				page.limits[name] = append(page.limits[name], cells[1])
			}
		}
	}
	return page
}

// problems says where the page is not what it is about.
func (p securityPage) problems() (problems []string) {
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	rows, overload := map[string][]string{}, 0
	for _, cells := range rowsOf(p.text) {
		names := words(cells[0])
		if len(cells) == 3 && len(names) > 0 {
			for _, problem := range p.wrongLimits(cells[0]) {
				wrong("SECURITY.md: %s", problem)
			}
			overload += len(names)
		}
		if len(cells) != 4 || len(names) != 1 {
			continue // another table
		}
		if rows[names[0]] != nil {
			wrong("SECURITY.md: %s has two rows", names[0])
		}
		rows[names[0]] = cells
	}
	for _, a := range attacks {
		cells := rows[a.name]
		if cells == nil {
			wrong("SECURITY.md: the attack %s has no row", a.name)
			continue
		}
		delete(rows, a.name)
		for _, cve := range regexp.MustCompile(`CVE-\d+-\d+`).FindAllString(a.what, -1) {
			if !strings.Contains(cells[1], cve) {
				wrong("SECURITY.md: %s is not said to be %s", a.name, cve)
			}
		}
		if len(words(cells[3])) == 0 {
			wrong("SECURITY.md: %s has no test", a.name)
		}
		for _, problem := range p.wrongLimits(cells[2]) {
			wrong("SECURITY.md: %s: %s", a.name, problem)
		}
	}
	if overload < 8 {
		wrong("SECURITY.md: %d limits of what is too much of everything", overload)
	}
	for name := range rows {
		wrong("SECURITY.md: there is no attack %s", name)
	}
	for _, m := range regexp.MustCompile("`([a-z0-9]+\\.Test\\w+)`").FindAllStringSubmatch(p.text, -1) {
		if !p.tests[m[1]] {
			wrong("SECURITY.md: there is no test %s", m[1])
		}
	}
	return problems
}

// wrongLimits compares the limits that a cell names, and their defaults, with docs/limits.md.
func (p securityPage) wrongLimits(cell string) (problems []string) {
	for limit := range strings.SplitSeq(cell, ";") {
		m := regexp.MustCompile("^ *`([a-z_]+)` (.*)$").FindStringSubmatch(limit)
		if m == nil {
			continue // it has no name
		}
		if name, rest := m[1], m[2]; !slices.ContainsFunc(p.limits[name], func(fallback string) bool {
			return rest == fallback || regexp.MustCompile(`^`+regexp.QuoteMeta(fallback)+`\b`).MatchString(rest)
		}) {
			problems = append(problems, fmt.Sprintf("docs/limits.md has no limit %s of %q, but %q", name, rest, p.limits[name]))
		}
	}
	return problems
}

// rowsOf returns the cells of the rows of all tables of a page.
func rowsOf(page string) (rows [][]string) {
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "| ") {
			continue
		}
		cells := strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	return rows
}

// words returns what stands in backquotes.
func words(cell string) (found []string) {
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
		found = append(found, m[1])
	}
	return found
}

// allTests returns the tests of the module, as package.Test.
func allTests(t *testing.T) map[string]bool {
	t.Helper()
	tests := map[string]bool{}
	find := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "bin" || strings.HasPrefix(d.Name(), ".") && d.Name() != ".."):
			return fs.SkipDir
		case !strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, m := range find.FindAllStringSubmatch(string(text), -1) {
			tests[filepath.Base(filepath.Dir(name))+"."+m[1]] = true
		}
		return nil
	})
	if err != nil || len(tests) < 500 {
		t.Fatalf("%d tests found: %v", len(tests), err)
	}
	return tests
}
