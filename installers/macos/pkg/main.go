// Command pkg makes what an administrator of Macs installs, on any system: one
// program of those for Intel and Apple silicon, and of that the package.
//
//	pkg join PROGRAM PROGRAM OUT
//	pkg pack VERSION PROGRAM OUT
//
// It is for making releases. It signs nothing: that needs an identity of Apple's,
// see installers/macos/README.md.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "pkg: "+err.Error())
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 4 {
		return fmt.Errorf("usage: pkg join PROGRAM PROGRAM OUT, or pkg pack VERSION PROGRAM OUT")
	}
	var out bytes.Buffer
	mode := os.FileMode(0o644)
	switch args[0] {
	case "join":
		mode = 0o755
		if err := join(&out, args[1:3]); err != nil {
			return err
		}
	case "pack":
		release, err := newRelease(args[1], args[2])
		if err != nil {
			return err
		}
		if err := release.write(&out); err != nil {
			return err
		}
	default:
		return fmt.Errorf("there is no %q: write join or pack", args[0])
	}
	if err := os.MkdirAll(filepath.Dir(args[3]), 0o755); err != nil {
		return fmt.Errorf("make a folder for %s: %w", args[3], err)
	}
	if err := os.WriteFile(args[3], out.Bytes(), mode); err != nil {
		return fmt.Errorf("write %s: %w", args[3], err)
	}
	return nil
}

// built is the time that everything in a package has: packages of one commit are
// the same, to the byte.
func built() (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		return time.Unix(0, 0).UTC(), nil
	}
	seconds, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return time.Time{}, fmt.Errorf("read SOURCE_DATE_EPOCH: %w", err)
	}
	return time.Unix(int64(seconds), 0).UTC(), nil
}
