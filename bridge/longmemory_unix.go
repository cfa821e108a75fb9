//go:build linux || darwin || freebsd

package bridge

import "syscall"

// mapMemory returns memory that is none of Go's, nil if there is none.
func mapMemory(size int) []byte {
	b, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON|syscall.MAP_NORESERVE)
	if err != nil {
		return nil
	}
	inLargePages(b)
	return b
}

func unmapMemory(b []byte) { _ = syscall.Munmap(b) } // b comes from mapMemory
