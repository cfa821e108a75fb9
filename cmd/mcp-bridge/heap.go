package main

import "runtime"

// heapRoom is what the heap may grow by, in bytes, beyond what Go's collector allows a small one.
const heapRoom = 8 << 20

// giveHeapRoom makes collections rarer where there are many messages: each has to look at the stacks
// of all connections' goroutines, so that those of a small heap cost a call a tenth of its time. Go
// lets the heap double before it collects; memory that is allocated and never touched counts, too, but
// the system has not to find any. To be had at the first collection, as a bridge with little to do
// needs none of it.
func giveHeapRoom() {
	runtime.AddCleanup(new(*byte), func(size int) { heapRoomTaken = make([]byte, size) }, heapRoom)
}

var heapRoomTaken []byte
