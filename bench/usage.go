package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// processorTime returns the processor time of all threads of a process.
func processorTime(pid int) (time.Duration, error) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return 0, fmt.Errorf("processor time is only known on Linux: %w", err)
	}
	var total int64
	for _, task := range tasks {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/schedstat", pid, task.Name()))
		if err != nil {
			continue // the thread has just ended
		}
		ran, _, _ := strings.Cut(string(text), " ")
		nanoseconds, err := strconv.ParseInt(ran, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("processor time of process %d: %w", pid, err)
		}
		total += nanoseconds
	}
	if total == 0 {
		return 0, fmt.Errorf("processor time of process %d: the kernel reports none", pid)
	}
	return time.Duration(total), nil
}

// residentMemory returns the resident memory of a process in bytes.
func residentMemory(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("memory is only known on Linux: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		if kilobytes, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.ParseInt(strings.Fields(kilobytes)[0], 10, 64)
			return n * 1024, err
		}
	}
	return 0, fmt.Errorf("process %d has no resident memory, it may have ended", pid)
}
