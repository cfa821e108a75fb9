package bridge

// stackOfACall is the size in bytes of the stack that a goroutine needs on its way through net/http.
const stackOfACall = 5 << 10

// growStack gives the goroutine that calls it the stack of a call at once. It would grow in steps
// otherwise, and at each the runtime looks at every frame there is by then: a tenth of what a call
// costs. To be called where there are few frames, with any i.
//
//go:noinline
func growStack(i uint) byte {
	var room [stackOfACall]byte // on the stack, as long as the compiler can't tell what is read
	room[i%stackOfACall] = 1
	return room[stackOfACall-1-i%stackOfACall]
}
