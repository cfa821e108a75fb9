//go:build !unix || aix

package main

import "os"

// ignoreSIGPIPE does nothing where there is no such signal.
func ignoreSIGPIPE() {}

// onHangup does nothing: here it is the next write that tells when the reader has gone.
func onHangup(*os.File, func()) {}
