package child

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of CPU times in /proc, see proc(5): 1/100 s on every
// Linux that Go runs on.
const clockTick = 10 * time.Millisecond

var errProc = errors.New("it is not as proc(5) says")

// Usage is what a process has used since its start, and what it holds now.
type Usage struct {
	CPU     time.Duration // user and system
	PeakMiB float64       // of the resident set
	MiB     float64       // resident now
	Files   int           // open descriptors
}

// UsageOf reads the usage of a process. It needs Linux.
func UsageOf(pid int) (Usage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Usage{}, err
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Usage{}, err
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return Usage{}, err
	}
	cpu, err := parseStat(string(stat))
	if err != nil {
		return Usage{}, fmt.Errorf("/proc/%d/stat: %w", pid, err)
	}
	peak, err := parseStatus(status, "VmHWM:")
	now, err2 := parseStatus(status, "VmRSS:")
	if err := errors.Join(err, err2); err != nil {
		return Usage{}, fmt.Errorf("/proc/%d/status: %w", pid, err)
	}
	return Usage{CPU: cpu, PeakMiB: peak, MiB: now, Files: len(files)}, nil
}

// parseStat returns user and system time, fields 14 and 15. The name of the
// program, field 2, is in parentheses and may hold anything.
func parseStat(stat string) (time.Duration, error) {
	at := strings.LastIndexByte(stat, ')')
	fields := strings.Fields(stat[at+1:])
	if at < 0 || len(fields) < 13 {
		return 0, errProc
	}
	user, err := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err != nil || err2 != nil {
		return 0, errProc
	}
	return time.Duration(user+system) * clockTick, nil
}

// MachineCPU is the CPU time that everything on this machine has used together,
// and what of it the host of a virtual machine took for others.
func MachineCPU() (used, stolen time.Duration, err error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, err
	}
	used, stolen, err = parseMachineStat(string(stat))
	if err != nil {
		return 0, 0, fmt.Errorf("/proc/stat: %w", err)
	}
	return used, stolen, nil
}

// parseMachineStat adds up the first line: all of user, nice, system, irq,
// softirq and steal (8), but neither idle (4) nor iowait (5).
func parseMachineStat(stat string) (used, stolen time.Duration, err error) {
	line, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, 0, errProc
	}
	for i, field := range fields[:9] {
		if i == 0 || i == 4 || i == 5 {
			continue
		}
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, 0, errProc
		}
		used += time.Duration(n) * clockTick
		if i == 8 {
			stolen = time.Duration(n) * clockTick
		}
	}
	return used, stolen, nil
}

// parseStatus returns a line's size in MiB.
func parseStatus(status []byte, name string) (float64, error) {
	for line := range bytes.Lines(status) {
		rest, found := bytes.CutPrefix(line, []byte(name))
		if !found {
			continue
		}
		fields := bytes.Fields(rest)
		if len(fields) != 2 {
			return 0, errProc
		}
		kib, err := strconv.Atoi(string(fields[0]))
		if err != nil {
			return 0, errProc
		}
		return float64(kib) / 1024, nil
	}
	return 0, errProc
}
