//go:build !linux && !darwin && !freebsd

package bridge

// mapMemory returns nil: messages are kept in Go's heap here.
func mapMemory(int) []byte { return nil }

func unmapMemory([]byte) {}
