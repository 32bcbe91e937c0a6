//go:build !windows

package system

import "errors"

// ProxiesFor is for Windows alone: other systems run no script for a service.
func ProxiesFor(string) ([]ProxySetting, error) { return nil, errors.ErrUnsupported }
