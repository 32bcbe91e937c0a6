// Package macos holds what the package for macOS brings beside the program.
package macos

import _ "embed" // the files

// Service tells launchd of the agent.
//
//go:embed school.caretaker.agent.plist
var Service []byte

// PostInstall is run by the Installer when the files are there.
//
//go:embed postinstall.sh
var PostInstall []byte
