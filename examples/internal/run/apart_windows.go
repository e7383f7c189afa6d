package run

import "syscall"

// apart has a process not get what the console sends to those of its group.
var apart = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
