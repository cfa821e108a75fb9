package bridge

const (
	// longMessage is the size in bytes from which a message of the server's has memory of its own.
	longMessage = 4 << 20

	// mostReserved is how many bytes of addresses are reserved for a message whose size is not known.
	mostReserved = 1 << 30
)

// reserve returns an empty slice with room for a message of up to size bytes that lies outside Go's
// heap: the system gives memory as the message comes, and has it back at once when the claim is
// released. In the heap a message that grows is copied again and again, and all copies stay until
// the next collection. It returns nil where the system does not offer that, and for all but one
// message of a claim.
func (c *claim) reserve(size int64) []byte {
	if c == nil || c.mapped != nil {
		return nil
	}
	c.mapped = mapMemory(int(min(size, mostReserved)))
	return c.mapped[:0]
}

// abandon leaves what was reserved to a Read that is still under way, for good.
func (c *claim) abandon() {
	if c != nil {
		c.mapped = nil
	}
}

// unmap gives back what reserve returned.
func (c *claim) unmap() {
	if c.mapped != nil {
		unmapMemory(c.mapped)
		c.mapped = nil
	}
}
