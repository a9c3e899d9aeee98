package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// EnvPrefix begins the name of each environment variable that is looked at.
const EnvPrefix = "H2LOOP_"

// Variables returns the names of the environment variables that stand for a field of
// their own: those of single values that are in no list, in the order of the fields.
func Variables() (names []string) {
	visit(reflect.ValueOf(new(Config)).Elem(), "", func(path string, _ reflect.Value) {
		names = append(names, variable(path))
	})
	return names
}

func variable(path string) string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// visit calls f for the fields that a variable may stand for.
func visit(v reflect.Value, path string, f func(path string, v reflect.Value)) {
	for _, field := range reflect.VisibleFields(v.Type()) {
		name := field.Tag.Get("toml")
		if name == "" {
			continue
		}
		at, value := join(path, name), v.FieldByIndex(field.Index)
		switch _, isText := reflect.TypeAssert[encoding.TextUnmarshaler](value.Addr()); {
		case isText, value.Kind() == reflect.String, value.Kind() == reflect.Bool:
			f(at, value)
		case value.Kind() == reflect.Struct:
			visit(value, at, f)
		case value.Kind() == reflect.Slice && value.Type().Elem().Kind() != reflect.Struct:
			f(at, value) // with commas
		}
	}
}

// SetEnvironment has environ, which is as os.Environ returns it, replace what the file
// says. Variables that are empty count as not set.
func (cfg *Config) SetEnvironment(environ []string) (problems Problems) {
	values := map[string]string{}
	for _, s := range environ {
		if name, value, _ := strings.Cut(s, "="); value != "" && strings.HasPrefix(name, EnvPrefix) {
			values[name] = value
		}
	}
	visit(reflect.ValueOf(cfg).Elem(), "", func(path string, v reflect.Value) {
		name := variable(path)
		text, ok := values[name]
		if !ok {
			return
		}
		cfg.Came(path, name)
		if err := setText(v, text); err != nil {
			problems = append(problems, Problem{Origin{Name: name}, path, err.Error()})
		}
	})
	return problems
}

// setText sets a field that visit visits.
func setText(v reflect.Value, text string) error {
	if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.Bool:
		var s Switch
		if err := s.UnmarshalText([]byte(text)); err != nil {
			return err
		}
		v.SetBool(s == "on")
	case reflect.Slice:
		parts := strings.Split(text, ",")
		v.Set(reflect.MakeSlice(v.Type(), len(parts), len(parts)))
		for i, part := range parts {
			if err := setText(v.Index(i), strings.TrimSpace(part)); err != nil {
				return err
			}
		}
	default:
		v.SetString(text)
	}
	return nil
}

// Came notes that the value of field comes from the flag or the variable name.
func (cfg *Config) Came(field, name string) {
	if cfg.origins == nil {
		cfg.origins = origins{}
	}
	for path := range cfg.origins { // parts of what was there before
		if strings.HasPrefix(path, field) && path != field && strings.ContainsRune(".[", rune(path[len(field)])) {
			delete(cfg.origins, path)
		}
	}
	cfg.origins[field] = Origin{Name: name}
}

// SetListeners has addrs, which come from the flag or the variable name, replace the
// listeners for TLS, or those in cleartext. Those for TLS come first.
func (cfg *Config) SetListeners(tls bool, addrs []Address, name string) {
	old, from := cfg.Listeners, cfg.origins
	cfg.Listeners, cfg.origins = nil, origins{}
	for field, at := range from {
		if !strings.HasPrefix(field, "listeners[") {
			cfg.origins[field] = at
		}
	}
	addNew := func() {
		for _, addr := range addrs {
			cfg.Came(fmt.Sprintf("listeners[%d]", len(cfg.Listeners)), name)
			cfg.Listeners = append(cfg.Listeners, Listener{Address: addr, TLS: tls})
		}
	}
	if tls {
		addNew()
	}
	for i, l := range old {
		if l.TLS == tls {
			continue
		}
		was, is := fmt.Sprintf("listeners[%d]", i), fmt.Sprintf("listeners[%d]", len(cfg.Listeners))
		for field, at := range from {
			if rest, ok := strings.CutPrefix(field, was); ok {
				cfg.origins[is+rest] = at
			}
		}
		cfg.Listeners = append(cfg.Listeners, l)
	}
	if !tls {
		addNew()
	}
}

// Strangers returns the variables of environ that begin with [EnvPrefix] and mean
// nothing, but for others that are known, and those that Kubernetes makes for a service
// called h2loop.
func Strangers(environ []string, others ...string) (names []string) {
	known := append(Variables(), others...)
	for _, s := range environ {
		name, _, _ := strings.Cut(s, "=")
		if strings.HasPrefix(name, EnvPrefix) && !slices.Contains(known, name) && !isOfKubernetes(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func isOfKubernetes(name string) bool {
	name = strings.TrimPrefix(name, EnvPrefix)
	return strings.HasPrefix(name, "SERVICE_") || name == "PORT" || strings.HasPrefix(name, "PORT_")
}
