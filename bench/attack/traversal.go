package main

import (
	"context"
)

// traversal asks for what is outside the directory.
var traversal = &attack{
	name: "traversal", what: "paths that lead out of the directory", never: "secret",
	run: func(ctx context.Context, e *enemy) error {
		for ctx.Err() == nil {
			for _, path := range []string{
				"/../secret", "/..%2fsecret", "/%2e%2e/secret", "/%2e%2e%2fsecret", "/.%2e/secret", "//../secret",
				"/x/../../secret", "/..\\secret", "/..%5csecret", "/%c0%ae%c0%ae/secret", "/..;/secret", "/../site/../secret",
				"/secret%00.html", "/%00/../secret", "/..%252fsecret", "/small/../../secret", "/./.././secret",
			} {
				if _, err := e.get(path); err != nil {
					return err
				}
			}
			if err := e.flush(); err != nil {
				return err
			}
		}
		return nil
	},
}

// logInjection puts line breaks and terminal escapes where a log may show them.
var logInjection = &attack{
	name: "log-injection", what: "targets and fields with line breaks, escapes and quotes",
	run: func(ctx context.Context, e *enemy) error {
		for ctx.Err() == nil {
			for _, evil := range []string{"%0d%0aINJECTED", "\x1b[2J", "\"}{", "\r\nINJECTED: x", "\u2028"} {
				if _, err := e.get("/"+evil, "user-agent", evil, "referer", evil); err != nil {
					return err
				}
			}
			if err := e.flush(); err != nil {
				return err
			}
		}
		return nil
	},
}
