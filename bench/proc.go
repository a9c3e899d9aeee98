package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// clockTick is the unit of times in /proc/PID/stat: 1/USER_HZ on Linux.
const clockTick = 10 * time.Millisecond

// A procStat is what the benchmark reads of /proc/PID/stat.
type procStat struct {
	pid, parent int
	cpu         time.Duration // of all threads, and of children that have ended
}

// parseStat decodes the contents of /proc/PID/stat (proc_pid_stat(5)).
func parseStat(line string) (procStat, error) {
	// The second field is a name in parentheses and may hold anything.
	open, end := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return procStat{}, fmt.Errorf("no process name in %q", line)
	}
	rest := strings.Fields(line[end+1:])
	if len(rest) < 15 {
		return procStat{}, fmt.Errorf("%d fields after the name in %q", len(rest), line)
	}
	pid, err1 := strconv.Atoi(strings.TrimSpace(line[:open]))
	parent, err2 := strconv.Atoi(rest[1])
	if err := errors.Join(err1, err2); err != nil {
		return procStat{}, err
	}
	s := procStat{pid: pid, parent: parent}
	for _, field := range rest[11:15] { // utime, stime, cutime, cstime
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return procStat{}, err
		}
		s.cpu += time.Duration(ticks) * clockTick
	}
	return s, nil
}

// tree returns the process root and all its descendants among procs.
func tree(procs []procStat, root int) []procStat {
	children := map[int][]procStat{}
	var found []procStat
	for _, p := range procs {
		if p.pid == root {
			found = append(found, p)
		}
		children[p.parent] = append(children[p.parent], p)
	}
	for i := 0; i < len(found); i++ {
		found = append(found, children[found[i].pid]...)
	}
	return found
}

// processTree reads /proc for the process root and its descendants.
func processTree(root int) ([]procStat, error) {
	names, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var procs []procStat
	for _, name := range names {
		line, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended meanwhile
		}
		p, err := parseStat(string(line))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		procs = append(procs, p)
	}
	found := tree(procs, root)
	if len(found) == 0 {
		return nil, fmt.Errorf("process %d is gone", root)
	}
	return found, nil
}

// machineCPU returns the time that all cores have worked, whoever for.
func machineCPU() (time.Duration, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	return parseMachineCPU(string(stat))
}

// parseMachineCPU decodes the first line of /proc/stat (proc_stat(5)).
func parseMachineCPU(stat string) (time.Duration, error) {
	line, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, fmt.Errorf("no times of the CPU in %q", line)
	}
	var sum time.Duration
	for i, field := range fields[1:9] { // user nice system idle iowait irq softirq steal
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		if i != 3 && i != 4 {
			sum += time.Duration(ticks) * clockTick
		}
	}
	return sum, nil
}

// What /proc/PID/status tells of resident memory.
const (
	current = "VmRSS:"
	peak    = "VmHWM:"
)

// parseRSS returns a line, in octets, of the contents of /proc/PID/status.
func parseRSS(status, which string) (int64, error) {
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, which); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("no %s", which)
}

// A process is a server that this program started.
type process struct {
	cmd    *exec.Cmd
	output *tail
	exited chan struct{} // closed when the process has ended …
	err    error         // … with this
}

// start runs argv pinned to core, in a process group of its own.
//
// It must be called from the main goroutine: see main.
func start(core int, argv, environ []string) (*process, error) {
	argv = pinned(core, argv)
	p := &process{
		cmd:    exec.Command(argv[0], argv[1:]...),
		output: &tail{},
		exited: make(chan struct{}),
	}
	p.cmd.Env = append(os.Environ(), environ...)
	p.cmd.Stdout = p.output
	p.cmd.Stderr = p.output
	p.cmd.SysProcAttr = ownGroup()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

func pinned(core int, argv []string) []string {
	return append([]string{"taskset", "-c", strconv.Itoa(core)}, argv...)
}

// ownGroup keeps the terminal's signals from a child, which this program ends
// itself, in order; Pdeathsig ends it should this program be killed.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// cpu returns the CPU time that the process and its descendants have used.
func (p *process) cpu() (time.Duration, error) {
	procs, err := processTree(p.cmd.Process.Pid)
	var sum time.Duration
	for _, s := range procs {
		sum += s.cpu
	}
	return sum, err
}

// rss returns the resident memory of the process and its descendants, added up.
func (p *process) rss(which string) (int64, error) {
	procs, err := processTree(p.cmd.Process.Pid)
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, s := range procs {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
		if err != nil {
			continue // it has ended meanwhile
		}
		n, err := parseRSS(string(status), which)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// stop ends the process and its group, politely at first.
func (p *process) stop() {
	// The group was made for this child. That there is nobody left to signal
	// is no error here.
	pid := p.cmd.Process.Pid
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(3 * time.Second):
	}
	_ = syscall.Kill(-pid, syscall.SIGKILL)
	<-p.exited
}

// A tail keeps the end of what is written to it.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	t.b = t.b[max(0, len(t.b)-4096):]
	return len(p), nil
}
