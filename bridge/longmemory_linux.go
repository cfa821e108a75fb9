package bridge

import "syscall"

// inLargePages asks for memory in large pages: of small ones a long message has thousands, and the first
// touch of each costs as much as reading it does.
func inLargePages(b []byte) { _ = syscall.Madvise(b, syscall.MADV_HUGEPAGE) } // it is a wish
