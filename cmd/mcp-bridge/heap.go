package main

import "runtime"

// heapRoom is how many bytes the heap may grow by beyond what Go's collector allows a small one.
const heapRoom = 8 << 20

// A heapBallast makes collections rarer where there are many messages. Each of them has to look at the
// stacks of all connections' goroutines, which costs a call a tenth of its time as long as the heap is
// small. Go lets the heap double before it collects, and memory that is allocated and never touched
// counts, though the system need not find any. Go's own setting would let long messages pile up, too.
type heapBallast struct{ memory []byte }

// newHeapBallast returns a ballast that is taken at the first collection: a start must not pay for it,
// and a bridge with little to do needs none. It lasts as long as it is reachable.
func newHeapBallast() *heapBallast {
	b := new(heapBallast)
	runtime.AddCleanup(new(*byte), func(size int) { b.memory = make([]byte, size) }, heapRoom)
	return b
}
