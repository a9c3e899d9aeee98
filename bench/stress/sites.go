package main

import (
	"fmt"
	"runtime"
	"strings"
)

// allocationSites returns a line for each place that has allocated what is in
// use: octets, objects and the name of the place.
func allocationSites() string {
	runtime.GC()
	runtime.GC() // the profile is as of the collection before the last one
	var records []runtime.MemProfileRecord
	for {
		n, ok := runtime.MemProfile(records, false)
		if ok {
			records = records[:n]
			break
		}
		records = make([]runtime.MemProfileRecord, n+100)
	}
	type use struct{ octets, objects int64 }
	sites := map[string]use{}
	for i := range records {
		r := &records[i]
		name := siteOf(r.Stack())
		u := sites[name]
		u.octets += r.InUseBytes()
		u.objects += r.InUseObjects()
		sites[name] = u
	}
	var b strings.Builder
	for name, u := range sites {
		fmt.Fprintln(&b, u.octets, u.objects, name)
	}
	return b.String()
}

// siteOf names the function that has allocated, and, if that is not a function of
// this module or of gnet, the nearest one that is.
func siteOf(stack []uintptr) string {
	frames := runtime.CallersFrames(stack)
	leaf := ""
	for {
		f, more := frames.Next()
		isOurs := strings.Contains(f.Function, "h2loop/") || strings.Contains(f.Function, "gnet")
		name := f.Function[strings.LastIndexByte(f.Function, '/')+1:]
		switch {
		case leaf == "" && isOurs:
			return fmt.Sprintf("%s:%d", name, f.Line)
		case leaf == "" && !strings.HasPrefix(f.Function, "runtime."):
			leaf = name
		case isOurs && strings.Contains(f.Function, "/stress"):
			return leaf
		case isOurs:
			return fmt.Sprintf("%s, by %s:%d", leaf, name, f.Line)
		}
		if !more {
			return leaf
		}
	}
}
