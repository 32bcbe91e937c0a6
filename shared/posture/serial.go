package posture

import (
	"slices"
	"strings"
)

// NormaliseSerial writes a serial number the way every system gives it: in
// upper case, without blanks and what cannot be printed.
func NormaliseSerial(s string) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' || r == '_' {
			return -1
		}
		return r
	}, s)
	return strings.ToUpper(s)
}

// TellsApart reports whether a normalised serial number can tell things apart: it
// is long enough and not one of those that makers leave unchanged.
func TellsApart(number string) bool {
	if len(number) < 4 || strings.Trim(number, number[:1]) == "" {
		return false
	}
	switch number {
	case "0123456789ABCDEF", "123456789ABCDEF", "1234567890ABCDEF", "123456789012", "1234567890", "123456789", "0123456789", "12345678", "000000000001":
		return false
	}
	return true
}

// sharedSerials are what makers of computers leave in place of a number,
// normalised.
var sharedSerials = []string{
	"TOBEFILLEDBYO.E.M.", "TOBEFILLEDBYOEM", "DEFAULTSTRING", "SYSTEMSERIALNUMBER", "BASEBOARDSERIALNUMBER", "BOARDSERIALNUMBER",
	"CHASSISSERIALNUMBER", "SERIALNUMBER", "SERIAL", "NOTAPPLICABLE", "NOTSPECIFIED", "NOTAVAILABLE", "NOTDEFINED", "INVALID", "NONE", "N/A",
	"UNKNOWN", "O.E.M.", "OEM", "EMPTY", "UNDEFINED", "STANDARD", "NUMBER", "TYPE1PRODUCTCONFIGID", "SN12345678", "XXXXXXXXXX",
	"MB-1234567890", "1234567890ABCDEF", "0987654321", "87654321", "ABCDEFGHIJ", "VMWARE", "PARALLELS",
}

// TellsComputer reports whether a normalised serial number can tell one computer
// from another: it was written for this one, and not left as all have it.
func TellsComputer(number string) bool {
	return TellsApart(number) && strings.ContainsAny(number, "0123456789") && !slices.Contains(sharedSerials, number) &&
		strings.Trim(number, "0.-/:X") != ""
}
