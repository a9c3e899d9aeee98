package config

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// maxFile is how long a file may be, in octets.
const maxFile = 16 << 20

// Read reads the file that name says. Files that it names are relative to where it is
// itself. The error, if it is about what is in it, is of
// type [Problems].
func Read(name string) (*Config, error) {
	if info, err := os.Stat(name); err == nil && info.Size() > maxFile {
		return nil, Problems{{Origin: Origin{File: name}, Text: "it is far too long"}}
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	cfg, problems := Parse(name, text)
	if len(problems) > 0 {
		return nil, problems
	}
	cfg.anchor(filepath.Dir(name))
	return cfg, nil
}

// Parse reads text, which is that of the file name. It finds what is no TOML, and
// fields and values that there are not; see [Config.Check] for what does not go
// together.
func Parse(name string, text []byte) (*Config, Problems) {
	if encoding := notUTF8(text); encoding != "" {
		return nil, Problems{{Origin{File: name, Line: 1, Column: 1}, "", encoding + ": save it as UTF-8 without a byte order mark"}}
	}
	var all map[string]any // what is defined twice is found here
	if err := toml.Unmarshal(text, &all); err != nil {
		return nil, Problems{syntaxProblem(name, err)}
	}
	cfg := &Config{origins: origins{"": {File: name}}}
	p := parser{file: name, lines: lineStarts(text), cfg: cfg}
	p.toml.Reset(text)
	for p.toml.NextExpression() {
		p.expression(p.toml.Expression())
	}
	if err := p.toml.Error(); err != nil && len(p.problems) == 0 {
		return nil, Problems{syntaxProblem(name, err)}
	}
	return cfg, p.problems
}

// notUTF8 says what a text is by its byte order mark, "" if it has none.
func notUTF8(text []byte) string {
	switch {
	case bytes.HasPrefix(text, []byte("\xef\xbb\xbf")):
		return "it begins with a byte order mark"
	case bytes.HasPrefix(text, []byte("\xff\xfe")), bytes.HasPrefix(text, []byte("\xfe\xff")):
		return "it is UTF-16"
	default:
		return ""
	}
}

func syntaxProblem(name string, err error) Problem {
	p := Problem{Origin: Origin{File: name}, Text: strings.TrimPrefix(err.Error(), "toml: ")}
	if e, ok := errors.AsType[*toml.DecodeError](err); ok {
		p.Line, p.Column = e.Position()
	}
	return p
}

// A parser fills a Config. That the file is TOML is known; it finds all that is wrong
// with fields and values, and notes where they are.
type parser struct {
	toml     unstable.Parser
	file     string
	lines    []int // where they begin
	cfg      *Config
	problems Problems

	table place // of the key-value pairs to come
}

// A place is a value of the Config.
type place struct {
	reflect.Value        // not valid if there is none, which was told
	path          string // as in [Problem.Field]
}

func (p *parser) expression(e *unstable.Node) {
	switch e.Kind {
	case unstable.Table, unstable.ArrayTable:
		p.table = p.enter(place{Value: reflect.ValueOf(p.cfg).Elem()}, e, e.Kind == unstable.ArrayTable)
	case unstable.KeyValue:
		if !p.table.IsValid() && p.table.path == "" {
			p.table.Value = reflect.ValueOf(p.cfg).Elem() // before the first table
		}
		p.pair(p.table, e)
	default:
	}
}

// enter returns the table that e begins.
func (p *parser) enter(at place, e *unstable.Node, isArray bool) place {
	for it := e.Key(); it.Next(); {
		key := it.Node()
		if at = p.child(at, key); !at.IsValid() {
			return at
		}
		switch {
		case at.Kind() != reflect.Slice:
			if it.IsLast() && isArray {
				return p.lost(at, key, "it is one table: write [%s]", at.path)
			}
		case it.IsLast() && isArray && at.Type().Elem().Kind() == reflect.Struct:
			at.Grow(1)
			at.SetLen(at.Len() + 1)
			at = at.last()
		case at.Type().Elem().Kind() != reflect.Struct || at.Len() == 0 || it.IsLast():
			return p.lost(at, key, "it is a list: write [[%s]], or %s = [...]", at.path, at.path)
		default:
			at = at.last()
		}
	}
	if at.Kind() != reflect.Struct && at.Kind() != reflect.Map {
		return p.lost(at, e, "it is no table")
	}
	p.note(at.path, e)
	return at
}

func (at place) last() place { return at.elem(at.Len() - 1) }

func (at place) elem(i int) place {
	return place{at.Index(i), fmt.Sprintf("%s[%d]", at.path, i)}
}

// pair sets the field of at that e is about.
func (p *parser) pair(at place, e *unstable.Node) {
	if !at.IsValid() {
		return
	}
	for it := e.Key(); it.Next(); {
		key := it.Node()
		if at.Kind() == reflect.Map {
			p.entry(at, string(key.Data), e, it.IsLast())
			return
		}
		if at = p.child(at, key); !at.IsValid() {
			return
		}
		if !it.IsLast() && at.Kind() != reflect.Struct && at.Kind() != reflect.Map {
			p.lost(at, key, "it has no fields")
			return
		}
	}
	p.note(at.path, e)
	p.set(at, e.Value(), e)
}

// entry sets a string in a map.
func (p *parser) entry(at place, key string, e *unstable.Node, isLast bool) {
	path := join(at.path, key)
	if !isLast || e.Value().Kind != unstable.String {
		p.complain(e, path, "it must be a string")
		return
	}
	p.note(path, e)
	if at.IsNil() {
		at.Set(reflect.MakeMap(at.Type()))
	}
	at.SetMapIndex(reflect.ValueOf(key), reflect.ValueOf(string(e.Value().Data)))
}

// child returns the field of at that key names.
func (p *parser) child(at place, key *unstable.Node) place {
	name := string(key.Data)
	path := join(at.path, name)
	if at.Kind() != reflect.Struct {
		return p.lost(place{path: path}, key, "there is no such field")
	}
	f, ok := fieldOf(at.Type(), name)
	if !ok {
		return p.lost(place{path: path}, key, "there is no such field: there are %s", list(fieldsOf(at.Type())))
	}
	return place{at.FieldByIndex(f.Index), path}
}

// set gives at the value v of the pair e.
func (p *parser) set(at place, v, e *unstable.Node) {
	if v.Raw.Length > 0 {
		e = v
	}
	if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](at.Addr()); ok {
		text := string(v.Data)
		switch v.Kind {
		case unstable.Integer:
			if n, err := strconv.ParseInt(text, 0, 64); err == nil { // 0x10, 1_000
				text = strconv.FormatInt(n, 10)
			}
		case unstable.String, unstable.Bool, unstable.Float:
		default:
			p.complain(e, at.path, "it must be one value, and is %s", kindName(v.Kind))
			return
		}
		if err := u.UnmarshalText([]byte(text)); err != nil {
			p.complain(e, at.path, "%v", err)
		}
		return
	}
	wrong := func(want string) { p.complain(e, at.path, "it must be %s, and is %s", want, kindName(v.Kind)) }
	switch at.Kind() {
	case reflect.String:
		if v.Kind != unstable.String {
			wrong(`a string, as "..."`)
			return
		}
		at.SetString(string(v.Data))
	case reflect.Bool:
		if v.Kind != unstable.Bool {
			wrong("true or false")
			return
		}
		at.SetBool(string(v.Data) == "true")
	case reflect.Slice:
		if v.Kind != unstable.Array {
			wrong("a list, as [...]")
			return
		}
		p.setList(at, v, e)
	case reflect.Struct, reflect.Map:
		if v.Kind != unstable.InlineTable {
			wrong("a table, as {...}")
			return
		}
		for it := v.Children(); it.Next(); {
			if it.Node().Kind == unstable.KeyValue {
				p.pair(at, it.Node())
			}
		}
	default:
		panic(fmt.Sprintf("config: a field is a %s", at.Type()))
	}
}

func (p *parser) setList(at place, v, e *unstable.Node) {
	at.Set(reflect.MakeSlice(at.Type(), 0, 1))
	for it := v.Children(); it.Next(); {
		n := it.Node()
		if n.Kind == unstable.Comment {
			continue
		}
		at.Grow(1)
		at.SetLen(at.Len() + 1)
		elem := at.last()
		if n.Raw.Length > 0 {
			p.note(elem.path, n)
		}
		p.set(elem, n, e)
	}
}

func kindName(k unstable.Kind) string {
	switch k {
	case unstable.String:
		return "a string"
	case unstable.Bool:
		return "a boolean"
	case unstable.Integer, unstable.Float:
		return "a number"
	case unstable.Array:
		return "a list"
	case unstable.InlineTable:
		return "a table"
	default:
		return "a date or time"
	}
}

// lost says what is wrong with at, and returns that there is no such place.
func (p *parser) lost(at place, n *unstable.Node, format string, args ...any) place {
	p.complain(n, at.path, format, args...)
	return place{path: at.path}
}

func (p *parser) complain(n *unstable.Node, path, format string, args ...any) {
	p.problems = append(p.problems, Problem{p.at(n), path, fmt.Sprintf(format, args...)})
}

func (p *parser) note(path string, n *unstable.Node) { p.cfg.origins[path] = p.at(n) }

// at returns where n is, or its key.
func (p *parser) at(n *unstable.Node) Origin {
	if n.Kind == unstable.KeyValue || n.Kind == unstable.Table || n.Kind == unstable.ArrayTable {
		it := n.Key()
		it.Next()
		n = it.Node()
	}
	offset := int(n.Raw.Offset)
	line, found := slices.BinarySearch(p.lines, offset)
	if !found {
		line--
	}
	return Origin{File: p.file, Line: line + 1, Column: offset - p.lines[line] + 1}
}

// lineStarts returns where the lines of text begin.
func lineStarts(text []byte) []int {
	starts := []int{0}
	for i, c := range text {
		if c == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

// fieldOf returns the field that is called name in the file.
func fieldOf(t reflect.Type, name string) (reflect.StructField, bool) {
	for _, f := range reflect.VisibleFields(t) {
		if f.Tag.Get("toml") == name && name != "" {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// fieldsOf returns what the fields of t are called in the file.
func fieldsOf(t reflect.Type) (names []string) {
	for _, f := range reflect.VisibleFields(t) {
		if name := f.Tag.Get("toml"); name != "" {
			names = append(names, name)
		}
	}
	return names
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
