package config

import (
	"fmt"
	"reflect"
	"time"

	"github.com/h2loop/h2loop/loop"
)

// A limitError is about a number that does not fit.
type limitError struct{ field, text string }

// Loop returns cfg as far as it is about limits and timeouts, as package loop has it.
// What cfg does not say is zero. cfg has been checked.
func (cfg *Config) Loop() loop.Config {
	c, _ := cfg.Limits.loopConfig()
	c.Loops = int(cfg.Loops)
	c.DrainTimeout = time.Duration(cfg.DrainTimeout)
	return c
}

func (l *Limits) loopConfig() (c loop.Config, problems []limitError) {
	fill(reflect.ValueOf(l).Elem(), reflect.ValueOf(&c).Elem(), "limits", &problems)
	return c, problems
}

// fill copies numbers to the fields that have the same names.
func fill(from, to reflect.Value, path string, problems *[]limitError) {
	for i := range from.NumField() {
		f := from.Type().Field(i)
		at := join(path, f.Tag.Get("toml"))
		target := to.FieldByName(f.Name)
		if f.Type.Kind() == reflect.Struct {
			fill(from.Field(i), target, at, problems)
			continue
		}
		n := from.Field(i).Int()
		if n >= 0 && (target.CanInt() && target.OverflowInt(n) || target.CanUint() && target.OverflowUint(uint64(n))) {
			*problems = append(*problems, limitError{at, fmt.Sprintf("%d is more than it may be", n)})
			continue
		}
		if target.CanUint() {
			target.SetUint(uint64(n))
		} else {
			target.SetInt(n)
		}
	}
}
