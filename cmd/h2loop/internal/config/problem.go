package config

import (
	"fmt"
	"strings"
)

// A Problem is something that is wrong with a configuration.
type Problem struct {
	Origin
	Field string // as "sites[0].root"; "" if none is known
	Text  string // what is wrong, and what would be right
}

// An Origin is where a value comes from: a place in a file, a flag or an environment
// variable.
type Origin struct {
	File         string
	Line, Column int
	Name         string // of the flag or the variable; then there is no File
}

func (p Problem) Error() string {
	var b strings.Builder
	switch {
	case p.Name != "":
		b.WriteString(p.Name + ": ")
	case p.File != "" && p.Line > 0:
		fmt.Fprintf(&b, "%s:%d:%d: ", p.File, p.Line, p.Column)
	case p.File != "":
		b.WriteString(p.File + ": ")
	}
	if p.Field != "" && p.Name == "" {
		b.WriteString(p.Field + ": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Problems are all that was found to be wrong. It is an error.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].Error()
	}
	return strings.Join(lines, "\n")
}

// origins say where the values of fields come from.
type origins map[string]Origin

// of returns where field comes from, or the nearest that it is a part of.
func (o origins) of(field string) Origin {
	for field != "" {
		if at, ok := o[field]; ok {
			return at
		}
		field = field[:max(strings.LastIndexAny(field, ".["), 0)]
	}
	return o[""]
}
