//go:build unix

package run

import "syscall"

// apart keeps a process from receiving the signals of the terminal.
var apart = &syscall.SysProcAttr{Setpgid: true}
