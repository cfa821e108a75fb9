//go:build darwin || freebsd

package bridge

func inLargePages([]byte) {} // these systems choose by themselves
