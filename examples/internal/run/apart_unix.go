//go:build unix

package run

import "syscall"

// apart has a process not get what the terminal sends to those in its foreground.
var apart = &syscall.SysProcAttr{Setpgid: true}
