package probe

import "strings"

// parseINI reads files of groups in brackets and keys with values, as desktops
// use them. Comments begin with '#' or ';'. A later value of a key wins. Keys
// before the first group belong to the group "".
func parseINI(data []byte) map[string]map[string]string {
	groups := map[string]map[string]string{}
	group := ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(strings.TrimPrefix(line, "\ufeff"))
		switch {
		case line == "", line[0] == '#', line[0] == ';':
			continue
		case line[0] == '[':
			if end := strings.LastIndexByte(line, ']'); end > 0 {
				group = line[1:end]
			}
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			continue
		}
		if groups[group] == nil {
			groups[group] = map[string]string{}
		}
		groups[group][strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	return groups
}
