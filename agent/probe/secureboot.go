package probe

import (
	"context"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// secureBoot reads the firmware's own variable: four bytes of attributes, then
// 1 for on. A computer that did not start by UEFI has no secure boot.
func secureBoot(ctx context.Context, sys system.Reader) posture.Reading[bool] {
	const (
		global = "-8be4df61-93ca-11d2-aa0d-00e098032b8c"
		vars   = "/sys/firmware/efi/efivars/"
	)
	efi, err := exists(ctx, sys, "/sys/firmware/efi")
	if err != nil {
		return absentFor[bool](err)
	}
	if !efi {
		// In a container the folder is there and empty, and proves nothing.
		list, err := sys.Dir(ctx, "/sys/firmware")
		if err != nil {
			return absentFor[bool](err)
		}
		if len(list) == 0 {
			return unsupported[bool]()
		}
		return posture.Read(false)
	}
	on, err := efiByte(ctx, sys, vars+"SecureBoot"+global)
	if missing(err) {
		return unsupported[bool]() // variables not mounted, or firmware older than secure boot
	}
	if err != nil {
		return absentFor[bool](err)
	}
	setup, err := efiByte(ctx, sys, vars+"SetupMode"+global)
	if err != nil && !missing(err) {
		return absentFor[bool](err)
	}
	return posture.Read(on == 1 && setup != 1)
}

func efiByte(ctx context.Context, sys system.Reader, path string) (byte, error) {
	data, err := sys.File(ctx, path, 64)
	if err != nil {
		return 0, err
	}
	if len(data) != 5 {
		return 0, errUnknown
	}
	return data[4], nil
}

// tpm reports whether the kernel has found a trusted platform module.
func tpm(ctx context.Context, sys system.Reader) posture.Reading[bool] {
	list, err := sys.Dir(ctx, "/sys/class/tpm")
	if err != nil && !missing(err) {
		return absentFor[bool](err)
	}
	for _, e := range list {
		if strings.HasPrefix(e.Name, "tpm") {
			return posture.Read(true)
		}
	}
	// That there is none is only said where the kernel lists its devices.
	classes, err := sys.Dir(ctx, "/sys/class")
	if err != nil {
		return absentFor[bool](err)
	}
	if len(classes) == 0 {
		return unsupported[bool]()
	}
	return posture.Read(false)
}
