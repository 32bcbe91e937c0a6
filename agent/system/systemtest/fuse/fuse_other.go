//go:build !linux

// Package fuse makes file systems in user space that do not answer, for tests.
// There are none on this system.
package fuse
