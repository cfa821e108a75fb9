//go:build !unix || aix

package main

import "os"

// ignoreSIGPIPE does nothing where there is no such signal.
func ignoreSIGPIPE() {}

// dumpNoCore does nothing where a crash leaves no image of the memory unless a debugger asks for it.
func dumpNoCore() {}

// onHangup does nothing: here it is the next write that tells when the reader has gone.
func onHangup(*os.File, func()) {}
