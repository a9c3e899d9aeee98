package main

import (
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	tests := []struct {
		line string
		want procStat
	}{
		{
			"17 (h2o) S 1 17 1 34816 17 4194304 99 0 0 0 150 50 3 4 20 0 2 0 1234 5678 90 18446744073709551615\n",
			procStat{pid: 17, parent: 1, cpu: 2070 * time.Millisecond},
		},
		{
			"4242 (a) (b 1 2) R 17 0 0 0 -1 0 0 0 0 0 1 0 0 0 20 0 1 0 0 0 0\n",
			procStat{pid: 4242, parent: 17, cpu: 10 * time.Millisecond},
		},
	}
	for _, tt := range tests {
		if got, err := parseStat(tt.line); err != nil || got != tt.want {
			t.Errorf("parseStat(%q) = %+v, %v; want %+v", tt.line, got, err, tt.want)
		}
	}
	for _, line := range []string{"", "17", "17 (h2o) S 1", ") 17 (", "17 (h2o) S x 17 1 0 0 0 0 0 0 0 1 1 1 1 20"} {
		if got, err := parseStat(line); err == nil {
			t.Errorf("parseStat(%q) = %+v, want an error", line, got)
		}
	}
}

func TestTree(t *testing.T) {
	procs := []procStat{{pid: 5, parent: 4}, {pid: 2, parent: 1}, {pid: 4, parent: 2}, {pid: 3, parent: 1}, {pid: 1}}
	var pids []int
	for _, p := range tree(procs, 2) {
		pids = append(pids, p.pid)
	}
	if len(pids) != 3 || pids[0] != 2 || pids[1] != 4 || pids[2] != 5 {
		t.Errorf("tree of 2 is %v, want [2 4 5]", pids)
	}
	if found := tree(procs, 6); found != nil {
		t.Errorf("tree of 6 is %v, want none", found)
	}
}

func TestParseRSS(t *testing.T) {
	const status = "Name:\tnghttpd\nVmPeak:\t   20000 kB\nVmHWM:\t    7424 kB\nVmRSS:\t    7000 kB\n"
	if n, err := parseRSS(status, peak); err != nil || n != 7424<<10 {
		t.Errorf("peak: %d, %v; want %d", n, err, 7424<<10)
	}
	if n, err := parseRSS(status, current); err != nil || n != 7000<<10 {
		t.Errorf("current: %d, %v; want %d", n, err, 7000<<10)
	}
	if _, err := parseRSS("Name:\tkthreadd\n", peak); err == nil {
		t.Error("no error without VmHWM")
	}
}

func TestParseMachineCPU(t *testing.T) {
	const stat = "cpu  100 20 30 9999 8888 4 5 1 7 7\ncpu0 1 2 3 4 5 6 7 8 9 10\n"
	if got, err := parseMachineCPU(stat); err != nil || got != 1600*time.Millisecond {
		t.Errorf("%v, %v; want 1.6 s: all but idle and iowait, and guests only once", got, err)
	}
	for _, stat := range []string{"", "cpu0 1 2 3 4 5 6 7 8", "cpu 1 2 3", "cpu 1 2 x 4 5 6 7 8"} {
		if got, err := parseMachineCPU(stat); err == nil {
			t.Errorf("parseMachineCPU(%q) = %v, want an error", stat, got)
		}
	}
}
