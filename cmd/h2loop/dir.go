package main

import (
	"errors"
	"flag"
	"fmt"
	"regexp"
	"strings"

	"github.com/rs/zerolog"

	"github.com/h2loop/h2loop/loop/files"
)

// addDirFlags adds the flags about the directory to be served, which set opts.
func addDirFlags(flags *flag.FlagSet, opts *files.Options) {
	flags.BoolVar(&opts.List, "list", false, "")
	flags.BoolVar(&opts.Compress, "compress", false, "")
	flags.StringVar(&opts.NotFound, "not-found", "", "")
	flags.Var((*cacheRules)(&opts.CacheControl), "cache-control", "")
}

// A cacheRules is a flag that takes "PATTERN: VALUE", or a value for all, each
// time.
type cacheRules []files.CacheRule

func (r *cacheRules) String() string { return "" }

func (r *cacheRules) Set(s string) error {
	pattern, value, ok := strings.Cut(s, ": ")
	if !ok {
		pattern, value = "", s
	}
	if value = strings.TrimSpace(value); value == "" {
		return errors.New("there is no value")
	}
	*r = append(*r, files.CacheRule{Pattern: strings.TrimSpace(pattern), Value: value})
	return nil
}

// checkDir says which flag is of no use because there is no directory.
func (opts *options) checkDir() error {
	if opts.dir != "" {
		return nil
	}
	for name, set := range map[string]bool{
		"--list": opts.files.List, "--compress": opts.files.Compress,
		"--not-found": opts.files.NotFound != "", "--cache-control": len(opts.files.CacheControl) > 0,
	} {
		if set {
			return fmt.Errorf("%s is about a directory, and there is none to serve", name)
		}
	}
	return nil
}

var fieldFlags = []struct {
	field *regexp.Regexp
	flag  string
}{
	{regexp.MustCompile(`Options\.CacheControl\[\d+\]\.\w+`), "--cache-control"},
	{regexp.MustCompile(`Options\.NotFound: \w+ `), "--not-found: "}, // and the system call
	{regexp.MustCompile(`Options\.NotFound`), "--not-found"},
}

// openDir opens the directory to be served; nil if there is none.
func (opts *options) openDir(log *zerolog.Logger) (*files.Files, error) {
	if opts.dir == "" {
		return nil, nil
	}
	opts.files.Logger = log
	dir, err := files.New(opts.dir, opts.files)
	if err == nil {
		return dir, nil
	}
	text := err.Error()
	for _, f := range fieldFlags {
		text = f.field.ReplaceAllString(text, f.flag)
	}
	if text != err.Error() {
		err = errors.New(text)
	}
	return nil, err
}
