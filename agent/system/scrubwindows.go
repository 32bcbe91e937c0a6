package system

import (
	"encoding/binary"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// How much of a text may be replaced.
type scrubbing uint8

const (
	// asValue replaces all that could tell whose machine it is.
	asValue scrubbing = iota
	// asVersion leaves alone what looks like an address or a long number:
	// versions and times.
	asVersion
	// asName, for names and paths, leaves GUIDs alone and what looks like an
	// address: most GUIDs in the name of a key are the same on every machine,
	// and a probe looks for some of them.
	asName
)

// whose finds the identifiers of Windows' that are of one account, machine or
// volume wherever they stand, and GUIDs, of which only some are.
var whose = regexp.MustCompile(`(?i)S-1-5-21(?:-[0-9]+){3}|S-1-12-1(?:-[0-9]+){4}|` +
	`Volume\{[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}|\{[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}#|` +
	`[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

var (
	productKey = regexp.MustCompile(`\b[0-9A-Z]{5}(-[0-9A-Z]{5}){4}\b`)
	// webHost and share find another machine in an address.
	webHost   = regexp.MustCompile(`(?i)\b(https?|ftp|ldaps?)://[^/\s"'<>]+`)
	share     = regexp.MustCompile(`\\\\[^\\/?.\s"'<>]+(\\[^\\/?\s"'<>]+)?`)
	productID = regexp.MustCompile(`\b[0-9]{5}-([0-9]{5}|OEM)-[0-9]{5,7}-[0-9A-Z]{5}\b`)
	// homes finds the folder of a user in any path.
	homes = regexp.MustCompile(`(?i)(?:[a-z]:|%systemdrive%)[\\/]+(?:Users|Dokumente und Einstellungen|Documents and Settings)[\\/]+([^\\/:*?"<>|\r\n\t;,%]+)`)
)

// windowsText scrubs a text of Windows'.
func (s *scrubber) windowsText(t string, how scrubbing) string {
	var b strings.Builder
	for t != "" {
		found := whose.FindStringIndex(t)
		if found == nil {
			b.WriteString(s.windowsWords(t, how))
			break
		}
		b.WriteString(s.windowsWords(t[:found[0]], how))
		id := t[found[0]:found[1]]
		brace := strings.IndexByte(id, '{') + 1
		switch {
		case strings.HasPrefix(strings.ToUpper(id), "S-1-"):
			b.WriteString(s.sid(id))
		case brace > 0 || how != asName:
			b.WriteString(id[:brace] + s.shape(id[brace:brace+36], true) + id[brace+36:])
		default:
			b.WriteString(id)
		}
		t = t[found[1]:]
	}
	return b.String()
}

// windowsWords scrubs what stands between identifiers.
func (s *scrubber) windowsWords(t string, how scrubbing) string {
	for _, name := range s.order {
		t = s.replaceFolded(t, name)
	}
	shape := func(x string) string { return s.shape(x, false) }
	hex := func(x string) string { return s.shape(x, true) }
	t = productKey.ReplaceAllStringFunc(t, shape)
	t = productID.ReplaceAllStringFunc(t, shape)
	t = mail.ReplaceAllString(t, "somebody@example.org")
	t = webHost.ReplaceAllString(t, "${1}://host.example")
	t = share.ReplaceAllStringFunc(t, shape)
	if how == asVersion {
		return t
	}
	t = hexadecimal.ReplaceAllStringFunc(t, hex)
	if how == asName {
		return t
	}
	t = macAddress.ReplaceAllStringFunc(t, hex)
	t = fatSerial.ReplaceAllStringFunc(t, s.fatSerial)
	return s.addresses(t)
}

// addresses replaces IP addresses. A version in the name of a package has '_'
// beside it.
func (s *scrubber) addresses(t string) string {
	var b strings.Builder
	done := 0
	for _, found := range address.FindAllStringIndex(t, -1) {
		if found[0] > 0 && t[found[0]-1] == '_' || found[1] < len(t) && t[found[1]] == '_' {
			continue
		}
		b.WriteString(t[done:found[0]])
		b.WriteString(s.address(t[found[0]:found[1]]))
		done = found[1]
	}
	return b.String() + t[done:]
}

// replaceFolded replaces a word as replaceWord does, whatever its case, as
// Windows compares names.
func (s *scrubber) replaceFolded(t, word string) string {
	if len(word) > len(t) {
		return t
	}
	low, search := lower(t), lower(word)
	var b strings.Builder
	for {
		i := strings.Index(low, search)
		if i < 0 {
			b.WriteString(t)
			return b.String()
		}
		end := i + len(search)
		switch {
		case i > 0 && isWord(search[0]) && isWord(low[i-1]), end < len(low) && isWord(search[len(search)-1]) && isWord(low[end]):
			b.WriteString(t[:end])
		case s.names[word] == "":
			b.WriteString(t[:i])
			b.WriteString(s.shape(t[i:end], false))
		default:
			b.WriteString(t[:i])
			b.WriteString(s.names[word])
		}
		t, low = t[end:], low[end:]
	}
}

// lower makes small letters of ASCII's capitals, and so keeps every place.
func lower(t string) string {
	b := []byte(t)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// sid replaces, of an account's identifier, what says which machine or domain
// it is of. The number of the account in it stays; one of Microsoft's cloud is
// replaced as a whole.
func (s *scrubber) sid(x string) string {
	part := strings.Split(x, "-")
	from := 4
	sum := s.sum(strings.ToUpper(x))
	for i := from; i < len(part); i++ {
		part[i] = strconv.FormatUint(uint64(binary.BigEndian.Uint32(sum[4*(i-from):])), 10)
	}
	return strings.Join(part, "-")
}

// windowsReading returns a scrubbed copy of a reading of a Windows machine, or
// false if nothing of it may be kept.
func (s *scrubber) windowsReading(r reading) (reading, bool) {
	device := below("/device", r.Part)
	if r.Base64 != nil && (!device || !s.binary(&r)) {
		return reading{}, false
	}
	value := func(t string) string { return s.windowsText(t, asValue) }
	if isInstalled(r.File + r.Part) {
		value = func(t string) string { return s.windowsText(t, asName) }
	}
	for _, text := range []*string{&r.File, &r.Part, &r.Dir, &r.Link, &r.Stat} {
		*text = s.windowsText(*text, asName)
	}
	for _, text := range []**string{&r.Text, &r.Target, &r.Stdout} {
		if *text != nil {
			clean := value(**text)
			*text = &clean
		}
	}
	r.Stderr = value(r.Stderr)
	if r.Entries != nil {
		list := entries{}
		for _, e := range *r.Entries {
			e.Name = s.windowsText(e.Name, asName)
			list = append(list, e)
		}
		r.Entries = &list
	}
	if r.Processes != nil {
		list := names{}
		for _, p := range *r.Processes {
			list = append(list, s.windowsText(p, asName))
		}
		r.Processes = &list
	}
	if r.Key != "" {
		s.keyReading(&r)
	}
	s.rowsReading(&r)
	return r, true
}

// isInstalled reports whether a file came with Windows or with a program.
func isInstalled(name string) bool {
	name = strings.ToLower(name)
	return len(name) > 4 && slices.ContainsFunc([]string{"/windows", "/program files", "/program files (x86)", "/programdata/microsoft"},
		func(dir string) bool { return below(dir, name[3:]) })
}

// keyReading scrubs a reading of the registry.
func (s *scrubber) keyReading(r *reading) {
	asked := r.Key
	r.Key = s.keyPath(asked)
	if r.Holds == nil {
		return
	}
	clean := RegistryKey{Values: Values{}}
	for name, value := range r.Holds.Values {
		clean.Values[s.windowsText(name, asName)] = s.keyValue(name, value)
	}
	own := hasOwnNames(asked)
	for _, name := range r.Holds.Keys {
		clean.Keys = append(clean.Keys, s.keyName(name, own))
	}
	slices.Sort(clean.Keys)
	clean.Keys = slices.Compact(clean.Keys)
	r.Holds = &clean
}

// keyPath scrubs the path of a key, each name as the key above it lists it.
func (s *scrubber) keyPath(name string) string {
	part := strings.Split(name, `\`)
	for i := len(part) - 1; i > 0; i-- {
		part[i] = s.keyName(part[i], hasOwnNames(strings.Join(part[:i], `\`)))
	}
	return strings.Join(part, `\`)
}

func (s *scrubber) keyName(name string, own bool) string {
	if own {
		return s.windowsText(name, asValue)
	}
	return s.windowsText(name, asName)
}

// hasOwnNames tells the keys below which names are GUIDs and numbers of this
// machine, of its school or of its people.
func hasOwnNames(key string) bool {
	key = strings.ToLower(key)
	return slices.ContainsFunc([]string{
		`\enrollments`, `\enrollments\status`, `\enterpriseresourcemanager\tracked`, `\provisioning\omadm\accounts`,
		`\clouddomainjoin\joininfo`, `\clouddomainjoin\tenantinfo`, `\identitystore\cache`, `\identitystore\logoncache`,
		`\policymanager\providers`, `\networklist\profiles`, `\networklist\signatures\managed`, `\networklist\signatures\unmanaged`,
		`\tcpip\parameters\interfaces`, `\tcpip6\parameters\interfaces`, `\mounteddevices`,
	}, func(end string) bool { return strings.HasSuffix(key, end) })
}

// Names of values that hold what must go, in small letters. Those of owners
// hold names of people, machines and domains, which are replaced even where
// they could not be learned.
var (
	secretWords = []string{"password", "secret", "credential", "productkey", "digitalproductid", "token"}
	serialWords = []string{"serial", "assettag", "productid"}
	ownerValues = []string{
		"registeredowner", "registeredorganization", "defaultusername", "defaultdomainname", "altdefaultusername",
		"altdefaultdomainname", "lastusedusername", "lastloggedonuser", "lastloggedonsamuser", "lastloggedondisplayname",
		"username", "userdomain", "userdnsdomain", "logonserver", "fullname", "owner", "contact", "helptelephone", "computername",
		"hostname", "nv hostname", "domain", "nv domain", "dhcpdomain", "dhcpnameserver", "nameserver", "searchlist", "email",
		"emailaddress", "useremail", "upn", "cacheprimarydomain", "homepath", "homeshare", "legalnoticecaption", "legalnoticetext",
	}
)

func holdsOne(name string, words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(name, w) })
}

// keyValue scrubs a value of a key. That it is there, and whether it is empty,
// stays.
func (s *scrubber) keyValue(name string, v Value) Value {
	name = strings.ToLower(name)
	how := asValue
	if holdsOne(name, []string{"version", "time", "date"}) {
		how = asVersion
	}
	switch {
	case v.Bytes != nil:
		return BytesValue(shortBytes(v.Bytes))
	case v.Texts != nil:
		list := make([]string, 0, len(v.Texts))
		for _, text := range v.Texts {
			list = append(list, s.keyText(name, text, how))
		}
		v.Texts = list
	case v.Text != nil:
		text := s.keyText(name, *v.Text, how)
		v.Text = &text
	}
	return v
}

func (s *scrubber) keyText(name, text string, how scrubbing) string {
	switch {
	case strings.TrimSpace(text) == "":
		return text
	case strings.Contains(text, `\`):
		how = asName // of a file or a key, as it is called elsewhere
	}
	switch {
	case holdsOne(name, secretWords):
		return "scrubbed"
	case holdsOne(name, serialWords):
		return s.shape(text, false)
	}
	clean := s.windowsText(text, how)
	if clean == text && slices.Contains(ownerValues, name) {
		return "somebody"
	}
	return clean
}

// shortBytes keeps times and numbers. Whatever is longer may hold a key, an
// identifier or a text: of that, its length stays.
func shortBytes(b []byte) []byte {
	if len(b) <= 4 || len(b) == 8 {
		return b
	}
	return make([]byte, len(b))
}

// rowsReading scrubs the answer to a structured question.
func (s *scrubber) rowsReading(r *reading) {
	if r.List == nil {
		return
	}
	list := make([]Values, 0, len(*r.List))
	for _, row := range *r.List {
		clean := make(Values, len(row))
		for name, value := range row {
			clean[name] = s.rowValue(name, value)
		}
		list = append(list, clean)
	}
	r.List = &list
}

// publicValues are of a kind, not of one machine.
var publicValues = []string{"Type", "instanceGuid", "Categories", "Severity", "Filesystem", "Service"}

func (s *scrubber) rowValue(name string, v Value) Value {
	if slices.Contains(publicValues, name) {
		return v
	}
	scrub := func(t string) string {
		if strings.Contains(t, `\`) {
			return s.windowsText(t, asName)
		}
		return s.windowsText(t, asValue)
	}
	switch lowered := strings.ToLower(name); {
	case strings.HasSuffix(name, "Serial"):
		scrub = func(t string) string { return s.shape(t, false) }
	case name == "SystemUUID":
		scrub = func(t string) string { return s.shape(t, true) }
	case name == "Mounts":
		scrub = s.mount
	case name == "Hostname":
		scrub = func(t string) string { return s.keyText("hostname", t, asValue) }
	case holdsOne(lowered, []string{"version", "time", "date", "last", "deployed", "updated"}):
		scrub = func(t string) string { return s.windowsText(t, asVersion) }
	}
	switch {
	case v.Bytes != nil:
		v.Bytes = shortBytes(v.Bytes)
	case v.Text != nil:
		text := scrub(*v.Text)
		v.Text = &text
	case v.Texts != nil:
		list := make([]string, 0, len(v.Texts))
		for _, text := range v.Texts {
			list = append(list, scrub(text))
		}
		v.Texts = list
	}
	return v
}

// mount keeps a drive's letter. The folder in which a volume is mounted has
// whatever name somebody gave it.
func (s *scrubber) mount(t string) string {
	if len(t) <= 3 {
		return t
	}
	return t[:3] + s.shape(strings.TrimSuffix(t[3:], `\`), false) + `\`
}
