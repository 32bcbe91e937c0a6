package system

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// scrubber replaces what could tell whose machine was recorded. What is equal
// stays equal within one recording and in no other: the key of its pseudonyms
// is random and dies with it.
type scrubber struct {
	on    posture.Platform
	key   []byte
	names map[string]string // by what is replaced; "" for a shape of its own
	order []string          // the same, longest first
	used  map[string]int    // pseudonyms given out, by kind
	// starts are where partitions begin on a disk, by its path.
	starts map[string][]int64
}

// newScrubber learns from the readings of a machine which words to replace
// everywhere.
func newScrubber(on posture.Platform, reads []*reading) (*scrubber, error) {
	s := &scrubber{on: on, key: make([]byte, 32), names: map[string]string{}, used: map[string]int{}, starts: map[string][]int64{}}
	if _, err := rand.Read(s.key); err != nil {
		return nil, fmt.Errorf("draw a key: %w", err)
	}
	for _, r := range reads {
		switch on {
		case posture.Windows:
			s.learnWindows(r)
		case posture.MacOS:
			s.learnOnMac(r)
		default:
			s.learn(r)
		}
	}
	for name := range s.names {
		s.order = append(s.order, name)
	}
	slices.SortFunc(s.order, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return s, nil
}

// call gives a name of some kind a pseudonym such as "user1".
func (s *scrubber) call(kind, name string) {
	if name = strings.TrimSpace(name); len(name) < 2 || s.names[name] != "" || slices.Contains(nobodys, strings.ToLower(name)) {
		return
	}
	if s.on == posture.Windows {
		if name = lower(name); s.names[name] != "" || slices.Contains(windowsWords, name) {
			return
		}
	}
	s.used[kind]++
	s.names[name] = kind + strconv.Itoa(s.used[kind])
}

// nobodys are names that tell nothing and stand in many places for other
// things: the users of freshly installed systems are called so.
var nobodys = []string{
	".ecryptfs", "admin", "administrator", "arch", "debian", "fedora", "home", "linux", "lost+found", "media", "root", "school",
	"student", "teacher", "ubuntu", "user", "users",
}

// windowsWords are names that Windows and its makers give themselves, and so
// stand in many keys.
var windowsWords = []string{
	"acer", "adobe", "all users", "asus", "classes", "classic", "computer", "control", "control panel", "current", "data", "default",
	"default user", "defaultuser0", "dell", "desktop", "documents", "downloads", "edge", "files", "google", "guest", "hewlett-packard",
	"hp", "intel", "laptop", "lenovo", "local", "manager", "microsoft", "name", "network", "office", "owner", "pc", "policies", "program",
	"programs", "public", "security", "service", "services", "session", "software", "system", "system32", "systemprofile",
	"localservice", "networkservice", "teams", "test", "toshiba", "update", "version", "wdagutilityaccount", "windows", "workgroup",
}

// label gives a medium's label a pseudonym wherever it is part of a path, also
// as /proc/self/mountinfo writes it. By itself it may be any word.
func (s *scrubber) label(name string) {
	if name == "" || s.names["/"+name] != "" {
		return
	}
	s.used["label"]++
	by := "/label" + strconv.Itoa(s.used["label"])
	s.names["/"+name] = by
	s.names["/"+strings.NewReplacer(" ", `\040`, "\t", `\011`, "\n", `\012`, `\`, `\134`).Replace(name)] = by
}

// shaped gives a serial number a pseudonym of the same shape.
func (s *scrubber) shaped(serial string) {
	if serial = strings.TrimSpace(serial); len(serial) >= 4 && s.names[serial] == "" {
		s.names[serial] = s.shape(serial, false)
	}
}

// learn takes from a reading the names of people, machines and labels, and
// serial numbers.
func (s *scrubber) learn(r *reading) {
	text := ""
	if r.Text != nil {
		text = *r.Text
	}
	switch {
	case r.File == "/etc/passwd":
		for line := range strings.Lines(text) {
			s.learnUser(strings.Split(strings.TrimSpace(line), ":"))
		}
	case r.File == "/etc/hostname", r.File == "/proc/sys/kernel/hostname":
		s.learnHost(strings.TrimSpace(text))
	case r.File == "/proc/self/mountinfo", r.File == "/proc/self/mounts", r.File == "/proc/mounts":
		for _, m := range parseMounts(text) {
			s.learnPath(m.point)
		}
	case isSerial(r.File):
		s.shaped(text)
	case r.Dir == "/home" && r.Entries != nil:
		for _, e := range *r.Entries {
			s.call("user", e.Name)
		}
	}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimPrefix(line, "E:"), "="); ok && strings.HasPrefix(r.File, "/run/udev/data/") {
			s.learnUdev(key, strings.TrimSpace(value))
		}
	}
	for _, name := range []string{r.File, r.Part, r.Dir, r.Link, r.Stat} {
		s.learnPath(name)
	}
}

func (s *scrubber) learnUser(field []string) {
	if len(field) != 7 {
		return
	}
	uid, err := strconv.ParseUint(field[2], 10, 32)
	if err != nil || uid < firstPerson || uid >= nobody {
		return
	}
	s.call("user", field[0])
	for part := range strings.FieldsFuncSeq(field[4], func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
		s.call("person", part)
	}
	s.learnPath(field[5])
}

func (s *scrubber) learnHost(name string) {
	if name == "localhost" {
		return
	}
	first, domain, _ := strings.Cut(name, ".")
	s.call("host", first)
	s.call("domain", domain)
	// Device-mapper doubles the dashes of a volume group's name.
	if double := strings.ReplaceAll(first, "-", "--"); double != first && s.names[first] != "" {
		s.names[double] = s.names[first]
	}
}

// learnPath takes from a path the user it belongs to and a medium's label.
func (s *scrubber) learnPath(name string) {
	part := strings.Split(name, "/")
	switch {
	case len(part) > 2 && part[1] == "home":
		s.call("user", part[2])
	case len(part) > 3 && part[1] == "media":
		s.call("user", part[2])
		s.label(part[3])
	case len(part) > 2 && part[1] == "media":
		s.label(part[2])
	case len(part) > 4 && part[1] == "run" && part[2] == "media":
		s.call("user", part[3])
		s.label(part[4])
	case len(part) > 2 && part[1] == "mnt":
		s.label(part[2])
	}
}

func (s *scrubber) learnUdev(key, value string) {
	switch key {
	case "ID_SERIAL_SHORT", "ID_SCSI_SERIAL", "ID_WWN", "ID_WWN_WITH_EXTENSION", "ID_FS_UUID", "ID_PART_ENTRY_UUID", "ID_PART_TABLE_UUID":
		s.shaped(value)
	case "ID_FS_LABEL", "ID_PART_ENTRY_NAME":
		s.label(value)
	}
}

// isSerial tells the files of sysfs that hold what makes one piece of hardware
// different from the next.
func isSerial(name string) bool {
	if !below("/sys", name) && !below("/proc", name) {
		return false
	}
	switch path.Base(name) {
	case "serial", "serial_number", "product_serial", "product_uuid", "board_serial", "chassis_serial",
		"board_asset_tag", "chassis_asset_tag", "wwid", "wwn", "nguid", "eui", "unique_id", "cid", "csd", "vpd_pg80", "vpd_pg83", "address":
		return true
	}
	return false
}

// Packages are public, and four-part versions look like addresses.
func isPublic(r *reading) bool {
	switch r.Run {
	case string(RPMPackages), string(APTPending), string(DNFPending), string(DNFSecurity):
		return true
	}
	switch r.File {
	case "/var/lib/dpkg/status":
		return true
	}
	return r.Ask == string(SnapdSnaps)
}

// reading returns a scrubbed copy of a reading, or false if nothing of it may
// be kept.
func (s *scrubber) reading(r reading) (reading, bool) {
	switch s.on {
	case posture.Windows:
		return s.windowsReading(r)
	case posture.MacOS:
		return s.macReading(r)
	}
	if r.File == "/etc/os-release" || r.File == "/usr/lib/os-release" {
		return r, true // the same on every machine of its kind
	}
	public := isPublic(&r)
	text := func(t string) string { return s.text(t, public) }
	if r.Base64 != nil {
		if !s.binary(&r) {
			return reading{}, false
		}
	}
	if r.Text != nil {
		t := *r.Text
		switch {
		case r.File == "/etc/passwd":
			t = scrubPasswd(t)
		case r.File == "/etc/shadow", r.File == "/etc/gshadow":
			t = scrubShadow(t)
		case strings.HasPrefix(r.File, "/run/udev/data/"):
			t = scrubUdev(t)
		case isSerial(r.File) && len(strings.TrimSpace(t)) < 4:
			t = s.shape(t, false)
		}
		t = text(t)
		r.Text = &t
	}
	for _, name := range []*string{&r.File, &r.Part, &r.Dir, &r.Link, &r.Stat} {
		*name = s.text(*name, false)
	}
	if r.Entries != nil {
		list := entries{}
		for _, e := range *r.Entries {
			e.Name = s.text(e.Name, false)
			if strings.HasPrefix(r.Dir, "/dev/disk/by-") {
				e.Name = s.shape(e.Name, false)
			}
			list = append(list, e)
		}
		r.Entries = &list
	}
	if r.Target != nil {
		t := s.text(*r.Target, false)
		r.Target = &t
	}
	if r.Stdout != nil {
		t := text(*r.Stdout)
		r.Stdout, r.Stderr = &t, text(r.Stderr)
	}
	if r.Processes != nil {
		list := names{}
		for _, p := range *r.Processes {
			list = append(list, s.text(p, false))
		}
		r.Processes = &list
	}
	return r, true
}

// Patterns of what identifies machines and people wherever it stands.
var (
	hexadecimal = regexp.MustCompile(`[0-9A-Fa-f]{16,}`)
	uuid        = regexp.MustCompile(`[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}`)
	fatSerial   = regexp.MustCompile(`\b[0-9A-F]{4}-[0-9A-F]{4}\b`)
	years       = regexp.MustCompile(`^(19|20)[0-9]{2}-(19|20)[0-9]{2}$`)
	macAddress  = regexp.MustCompile(`\b[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}\b`)
	address     = regexp.MustCompile(`[0-9A-Za-z:.]*[:.][0-9A-Za-z:.]*`) // candidates: netip decides
	mail        = regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+`)
)

// text scrubs a text. In a public one only names and long numbers are
// replaced.
func (s *scrubber) text(t string, public bool) string {
	for _, name := range s.order {
		t = replaceWord(t, name, s.names[name])
	}
	hex := func(x string) string { return s.shape(x, true) }
	t = uuid.ReplaceAllStringFunc(t, hex)
	if public {
		return t
	}
	t = mail.ReplaceAllString(t, "somebody@example.org")
	t = macAddress.ReplaceAllStringFunc(t, hex)
	t = fatSerial.ReplaceAllStringFunc(t, s.fatSerial)
	t = hexadecimal.ReplaceAllStringFunc(t, hex)
	return address.ReplaceAllStringFunc(t, s.address)
}

// fatSerial replaces the serial number of a FAT. Two years, as in the names of
// programs, stay.
func (s *scrubber) fatSerial(x string) string {
	if years.MatchString(x) {
		return x
	}
	return s.shape(x, true)
}

// address replaces an IP address; what only looks like one stays.
func (s *scrubber) address(x string) string {
	if ap, err := netip.ParseAddrPort(x); err == nil {
		return s.address(ap.Addr().String()) + ":" + strconv.Itoa(int(ap.Port()))
	}
	a, err := netip.ParseAddr(x)
	if rest := strings.TrimRight(x, ".:"); err != nil && rest != "" && rest != x {
		return s.address(rest) + x[len(rest):] // the end of a sentence
	}
	if err != nil || a.IsUnspecified() || a.IsLoopback() {
		return x
	}
	sum := s.sum(x)
	if a.Is4() {
		return netip.AddrFrom4([4]byte{198, 18 | sum[0]&1, sum[1], sum[2]}).String() // for tests: RFC 2544
	}
	b := [16]byte{0x20, 0x01, 0x0d, 0xb8} // for documents: RFC 3849
	copy(b[8:], sum)
	return netip.AddrFrom16(b).String()
}

func (s *scrubber) sum(x string) []byte {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(x))
	return mac.Sum(nil)
}

// shape returns a pseudonym of the same shape: a digit for a digit, a letter
// for a letter of the same case, and all else as it is. The letters of a
// hexadecimal number stay hexadecimal. What differs by its case alone has
// pseudonyms that do.
func (s *scrubber) shape(x string, hex bool) string {
	letters := uint64(26)
	if hex {
		letters = 6
	}
	out, folded := []byte(x), strings.ToLower(x)
	var sum []byte
	for i, c := range out {
		if i%4 == 0 {
			sum = s.sum(folded + "\x00" + strconv.Itoa(i/4))
		}
		n := binary.BigEndian.Uint64(sum[8*(i%4):])
		switch {
		case c >= '0' && c <= '9':
			out[i] = '0' + byte(n%10)
		case c >= 'a' && c <= 'z':
			out[i] = 'a' + byte(n%letters)
		case c >= 'A' && c <= 'Z':
			out[i] = 'A' + byte(n%letters)
		}
	}
	return string(out)
}

// replaceWord replaces a word wherever no letter or digit touches it.
func replaceWord(t, word, by string) string {
	var b strings.Builder
	for {
		i := strings.Index(t, word)
		if i < 0 {
			b.WriteString(t)
			return b.String()
		}
		end := i + len(word)
		if i > 0 && isWord(word[0]) && isWord(t[i-1]) || end < len(t) && isWord(t[end]) {
			b.WriteString(t[:end])
		} else {
			b.WriteString(t[:i])
			b.WriteString(by)
		}
		t = t[end:]
	}
}

func isWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}
