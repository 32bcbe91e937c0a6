package breach

// Leaves reports whether a subject of this kind that a complete answer no
// longer has is gone for good, so that its breach is resolved.
//
// A program that was uninstalled, an executable that was deleted and an
// antivirus product that was removed are gone: what the rule objected to is
// there no more. A medium that was pulled out is somewhere, as unencrypted as
// it was, and a volume that is not there any more may be a disk in a drawer:
// both stand until they are seen to be met, or a person decides.
func Leaves(kind string) bool {
	switch kind {
	case "program", "executable", "antivirus":
		return true
	}
	return false
}
