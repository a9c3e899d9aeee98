package main

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// TestMetricsPage holds docs/operations.md against the metrics that there are.
func TestMetricsPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := names(regexp.MustCompile("(?m)^\\| `(h2loop_[a-z_]+)` \\|"), string(page))
	p, admin := startAdmin(t, "--access-log", t.TempDir()+"/access.log")
	get(t, newClient(nil), p.urls[0]+"hello") // so that each has a value
	_, text := ask(t, "GET", admin+"metrics")
	there := names(regexp.MustCompile(`(?m)^# TYPE (h2loop_[a-z_]+) `), text)
	if len(there) < 20 || !slices.Equal(listed, there) {
		t.Errorf("listed are %q\nbut there are %q", listed, there)
	}
}

// names returns what re finds in text, in order.
func names(re *regexp.Regexp, text string) (found []string) {
	for _, m := range re.FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	slices.Sort(found)
	return found
}
