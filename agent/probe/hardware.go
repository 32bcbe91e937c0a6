package probe

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/caretaker-school/caretaker/agent/system"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// What tells one computer from all others, by which the same one is known again
// after it was set up anew: what its maker wrote into its firmware. A disk's
// number is not among it, for disks move. Each leaves the laptop only as a hash
// with the school's key.

// identity are the numbers themselves.
type identity struct{ uuid, system, board, chassis posture.Reading[string] }

// withHardware adds the hashes to what is known of the computer, if the school
// has given a key to hash with.
func withHardware(ctx context.Context, sys system.Reader, q Question, answer posture.Answer[posture.System]) posture.Answer[posture.System] {
	if len(q.MediaKey) == 0 || len(answer.Items) != 1 {
		return answer
	}
	item := &answer.Items[0]
	if n, ok := HardwareNumbers(ctx, sys, q.MediaKey); ok {
		item.SystemUUID, item.SystemSerial, item.BoardSerial, item.ChassisSerial = n[0], n[1], n[2], n[3]
	}
	return answer
}

// HardwareNumbers returns the hashes of the numbers in this computer's firmware with
// the school's key: the system's UUID, and the serial numbers of system, board and
// chassis. ok is false if this program cannot ask such a machine.
func HardwareNumbers(ctx context.Context, sys system.Reader, key []byte) (n [4]posture.Reading[string], ok bool) {
	found, ok := identityOf(ctx, sys)
	if !ok {
		return n, false
	}
	return [4]posture.Reading[string]{
		hashHardware(key, "system-uuid", found.uuid), hashHardware(key, "system-serial", found.system),
		hashHardware(key, "board-serial", found.board), hashHardware(key, "chassis-serial", found.chassis),
	}, true
}

// identityOf asks a machine for its own numbers; ok is false if this program
// cannot ask such a machine.
func identityOf(ctx context.Context, sys system.Reader) (found identity, ok bool) {
	switch on := sys.Platform(); {
	case system.JudgesLinux && on == posture.Linux:
		return linuxIdentity(ctx, sys), true
	case system.JudgesWindows && on == posture.Windows:
		return windowsIdentity(ctx, sys), true
	case system.JudgesMacOS && on == posture.MacOS:
		return macIdentity(ctx, sys), true
	}
	return identity{}, false
}

// SerialNumber returns the serial number that this computer's maker gave it,
// normalised; "" if there is none that tells it from others, or it cannot be read.
// It is for whoever hides it before it leaves the laptop.
func SerialNumber(ctx context.Context, sys system.Reader) string {
	found, ok := identityOf(ctx, sys)
	if !ok || !found.system.Known() {
		return ""
	}
	if normal := posture.NormaliseSerial(found.system.Value); posture.TellsComputer(normal) {
		return normal
	}
	return ""
}

// linuxIdentity asks the files that only root may read; without such firmware
// the device tree has a number.
func linuxIdentity(ctx context.Context, sys system.Reader) identity {
	number := func(file string) posture.Reading[string] { return cleaned(firstLine(ctx, sys, dmi+file)) }
	found := identity{uuid: number("product_uuid"), system: number("product_serial"), board: number("board_serial"), chassis: number("chassis_serial")}
	if found.system.Absent == posture.Unsupported && found.uuid.Absent == posture.Unsupported {
		found.system = cleaned(firstLine(ctx, sys, "/sys/firmware/devicetree/base/serial-number"))
	}
	return found
}

func windowsIdentity(ctx context.Context, sys system.Reader) identity {
	row, err := onlyRow(ctx, sys, system.Firmware)
	if err != nil {
		why := absentFor[string](err)
		return identity{why, why, why, why}
	}
	return identity{row.Text("SystemUUID"), row.Text("SystemSerial"), row.Text("BoardSerial"), row.Text("ChassisSerial")}
}

// macIdentity asks what tells the model too. A Mac has one serial number.
func macIdentity(ctx context.Context, sys system.Reader) identity {
	none := unsupported[string]()
	found := identity{board: none, chassis: none}
	out, err := sys.Run(ctx, system.MacHardware)
	var list []dictionary
	if err == nil {
		var root dictionary
		if root, err = parseJSON(out.Stdout); err == nil {
			if list, err = root.list("SPHardwareDataType"); err == nil && len(list) != 1 {
				err = errUnknown
			}
		}
	}
	if err != nil {
		found.uuid, found.system = posture.Unread[string](macAbsence(err)), posture.Unread[string](macAbsence(err))
		return found
	}
	found.uuid, found.system = cleaned(list[0].text("platform_UUID"), nil), cleaned(list[0].text("serial_number"), nil)
	return found
}

// sharedUUIDs are those that makers of boards left in all of them.
var sharedUUIDs = []string{
	"03000200040005000006000700080009", "00020003000400050006000700080009", "12345678123456789012345678901234",
	"123456781234123412341234567890AB", "1234567812345678123456789ABCDEF0", "123456781234567890ABCDDEEFAABBCC",
	"4C4C454400002010802080C04F202020", "FEFEFEFEFEFEFEFEFEFEFEFEFEFEFEFE", "0123456789ABCDEF0123456789ABCDEF",
}

// identifies reports whether a number can tell one computer from another: it
// was written for this one, and not left as all have it.
func identifies(kind, number string) bool {
	if kind == "system-uuid" {
		hex := strings.ReplaceAll(number, "-", "")
		return len(hex) == 32 && strings.Trim(hex, "0123456789ABCDEF") == "" && strings.Trim(hex, hex[:1]) != "" &&
			!slices.Contains(sharedUUIDs, hex)
	}
	return posture.TellsComputer(number)
}

// hashHardware hashes a number with the school's key. What sort of number it is
// is hashed with it, so that a serial number is never taken for another's.
func hashHardware(key []byte, kind string, number posture.Reading[string]) posture.Reading[string] {
	if !number.Known() {
		return number
	}
	normal := posture.NormaliseSerial(number.Value)
	if !identifies(kind, normal) {
		return posture.Unread[string](posture.Unsupported)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("hardware\x00" + kind + "\x00" + normal))
	return posture.Read(hex.EncodeToString(mac.Sum(nil))[:hashedDigits])
}

// hashedDigits is how much of a hash is told: enough that no two computers of a
// school have the same.
const hashedDigits = 32
