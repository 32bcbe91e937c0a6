//go:build !windows

package durable

import (
	"io/fs"
	"os"
)

// Remove removes a file.
func Remove(path string) error { return os.Remove(path) }

func rename(from, to string) error { return os.Rename(from, to) }

// admit is needed where a file's mode does not say who may read it.
func admit(string, fs.FileMode) error { return nil }
