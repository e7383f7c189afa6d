package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strconv"
)

// profile writes profiles of a server that is measured. Its zero value is ready.
type profile struct {
	path      string // the path of its files, without their endings
	processor *os.File
}

// begin begins profiles. The one of allocations contains all since the program started,
// so what was allocated before is written, too.
func (p *profile) begin(path string) (err error) {
	p.path = path
	if err := p.writeAllocations(".allocations-before"); err != nil {
		return err
	}
	if p.processor, err = os.Create(path + ".processor"); err != nil {
		return err
	}
	return pprof.StartCPUProfile(p.processor)
}

// end writes the profiles.
func (p *profile) end() error {
	pprof.StopCPUProfile()
	return errors.Join(p.processor.Close(), p.writeAllocations(".allocations"))
}

func (p *profile) writeAllocations(ending string) error {
	file, err := os.Create(p.path + ending)
	if err != nil {
		return err
	}
	runtime.GC() // the profile is as of the last collection
	return errors.Join(pprof.Lookup("allocs").WriteTo(file, 0), file.Close())
}

// profiled does something to both servers. If the folder is not empty, it writes profiles
// of both meanwhile, whose names begin with a name and the server's.
func profiled(folder, name string, both [2]*contender, do func() error) error {
	if folder == "" {
		return do()
	}
	for i, server := range [...]string{"parker", "bare"} {
		path, err := filepath.Abs(filepath.Join(folder, name+"-"+server))
		if err != nil {
			return err
		}
		if err := both[i].server.tell(beginProfile + strconv.Quote(path)); err != nil {
			return fmt.Errorf("profiles: %w", err)
		}
	}
	err := do()
	for _, c := range both {
		err = errors.Join(err, c.server.tell(endProfile))
	}
	return err
}
