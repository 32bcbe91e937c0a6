package system

import (
	"errors"
	"fmt"
	"strings"
)

// localProgram returns the plain path on a drive, such as
// `C:\Program Files\…\x.exe`, of a program as Windows writes them: perhaps in
// quotes, and with folders of the system as %ProgramFiles%, which folder knows.
// Everything else, above all a path to another machine, is
// errors.ErrUnsupported: asking for it would sign in there.
func localProgram(name string, folder func(variable string) (string, error)) (string, error) {
	unsupported := fmt.Errorf("find a program that is not on a drive of this machine: %w", errors.ErrUnsupported)
	path := strings.TrimSpace(name)
	if len(path) > 1 && path[0] == '"' && path[len(path)-1] == '"' {
		path = path[1 : len(path)-1]
	}
	if rest, ok := strings.CutPrefix(path, "%"); ok {
		variable, rest, closed := strings.Cut(rest, "%")
		if !closed || rest != "" && rest[0] != '\\' {
			return "", unsupported
		}
		start, err := folder(variable)
		if err != nil {
			return "", fmt.Errorf("find a program below a folder of the system: %w", err)
		}
		path = strings.TrimRight(start, `\`) + rest
	}
	if len(path) < 4 || !isLetter(path[0]) || path[1] != ':' || path[2] != '\\' || len(path) > maxPath {
		return "", unsupported
	}
	for part := range strings.SplitSeq(path[3:], `\`) {
		if !isPlainName(part) {
			return "", unsupported
		}
	}
	return path, nil
}
