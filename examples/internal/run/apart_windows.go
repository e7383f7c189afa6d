package run

import "syscall"

// apart keeps a process from receiving the events of the console.
var apart = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
