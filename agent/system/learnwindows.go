package system

import (
	"context"
	"errors"
	"io/fs"
	"regexp"
	"slices"
	"strings"
)

const computerName = `HKLM\SYSTEM\CurrentControlSet\Control\ComputerName\ComputerName`

// tellingKeys are the keys that hold the names to be scrubbed. They are read
// for that even if no probe asked for them.
var tellingKeys = []string{
	profileList,
	computerName,
	`HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters`,
	`HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion`,
	`HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon`,
	`HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Authentication\LogonUI`,
}

// learnKeys returns the readings of a Windows machine that tell names. If it
// keeps the first two from us it fails: there could be no scrubbing.
func learnKeys(ctx context.Context, r Reader) ([]*reading, error) {
	var reads []*reading
	read := func(name string) ([]string, error) {
		key, err := r.Key(ctx, name)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, ErrNotRecorded), errors.Is(err, errors.ErrUnsupported):
			return nil, nil
		case err != nil && name != computerName && !strings.HasPrefix(name, profileList):
			return nil, nil // what it holds is not recorded either
		case err != nil:
			return nil, err
		}
		reads = append(reads, &reading{Key: name, Holds: &key})
		return key.Keys, nil
	}
	for _, name := range tellingKeys {
		below, err := read(name)
		if err != nil {
			return nil, err
		}
		if name != profileList {
			continue
		}
		for _, profile := range below {
			if _, err := read(name + `\` + profile); err != nil {
				return nil, err
			}
		}
	}
	if rows, err := r.Rows(ctx, MachineRow); err == nil {
		reads = append(reads, &reading{Rows: string(MachineRow), List: &rows})
	}
	if list, err := r.Dir(ctx, "/C:/Users"); err == nil {
		kept := entries(list)
		reads = append(reads, &reading{Dir: "/C:/Users", Entries: &kept})
	}
	return reads, nil
}

// learnWindows takes from a reading of a Windows machine the names of people,
// machines and domains, and serial numbers.
func (s *scrubber) learnWindows(r *reading) {
	s.learnPartitions(r)
	for _, name := range []string{r.File, r.Part, r.Dir, r.Link, r.Stat} {
		s.learnHomes(name)
	}
	if r.Text != nil {
		s.learnHomes(*r.Text)
	}
	if strings.HasSuffix(strings.ToLower(r.Dir), ":/users") && r.Entries != nil {
		for _, e := range *r.Entries {
			s.learnAccount(e.Name)
		}
	}
	if r.Holds != nil {
		s.learnKey(strings.ToLower(r.Key), r.Holds)
	}
	if r.List != nil {
		for _, row := range *r.List {
			s.learnRow(row)
		}
	}
}

// learnHomes takes the users from the paths in a text.
func (s *scrubber) learnHomes(text string) {
	for _, found := range homes.FindAllStringSubmatch(text, -1) {
		s.learnAccount(found[1])
	}
}

// learnAccount takes an account's name, alone or with its domain, and the
// names that it is made of.
func (s *scrubber) learnAccount(name string) {
	name = strings.Trim(strings.TrimSpace(name), `\`)
	if domain, user, ok := strings.Cut(name, `\`); ok {
		s.call("domain", domain)
		name = user
	}
	user, domain, ok := strings.Cut(name, "@")
	if ok {
		s.call("domain", domain)
	}
	s.call("user", user)
	if isService(user) {
		return
	}
	for part := range strings.FieldsFuncSeq(user, func(r rune) bool { return r == ' ' || r == '.' || r == '_' }) {
		if len(part) > 2 && strings.Trim(part, "0123456789") != "" {
			s.call("person", part)
		}
	}
}

// isService tells the accounts that programs make for themselves: what those
// are called by stands in many places.
func isService(user string) bool {
	return strings.HasPrefix(user, ".") || strings.ContainsAny(user, "$") || strings.Contains(lower(user), "apppool")
}

// enumerated tells the keys below which each key is one device, called by its
// serial number.
var enumerated = regexp.MustCompile(`\\enum\\[^\\]+\\[^\\]+$`)

func (s *scrubber) learnKey(name string, key *RegistryKey) {
	if enumerated.MatchString(name) {
		for _, instance := range key.Keys {
			s.learnInstance(instance)
		}
	}
	for value, v := range key.Values {
		texts := v.Texts
		if v.Text != nil {
			texts = []string{*v.Text}
		}
		for _, text := range texts {
			s.learnHomes(text)
			s.learnOwner(strings.ToLower(value), strings.TrimSpace(text))
		}
	}
}

// learnOwner takes names from a value that holds some.
func (s *scrubber) learnOwner(value, text string) {
	switch value {
	case "computername", "hostname", "nv hostname":
		s.learnHost(text)
	case "domain", "nv domain", "dhcpdomain", "userdnsdomain", "cacheprimarydomain", "searchlist":
		for domain := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ' ' }) {
			s.call("domain", domain)
			first, _, _ := strings.Cut(domain, ".")
			s.call("domain", first)
		}
	case "defaultdomainname", "altdefaultdomainname", "userdomain":
		s.call("domain", text)
	case "registeredorganization":
		s.call("organisation", text)
	case "registeredowner", "lastloggedondisplayname", "fullname":
		s.call("person", text)
		for part := range strings.FieldsSeq(text) {
			s.call("person", part)
		}
	case "defaultusername", "altdefaultusername", "lastusedusername", "lastloggedonuser", "lastloggedonsamuser", "username":
		s.learnAccount(text)
	}
}

func (s *scrubber) learnRow(row Values) {
	if serial := row["Serial"].Text; serial != nil {
		s.serial(*serial)
	}
	if host := row["Hostname"].Text; host != nil {
		s.learnHost(strings.TrimSpace(*host))
	}
	instances := row["Parents"].Texts
	if own := row["Instance"].Text; own != nil {
		instances = append(slices.Clone(instances), *own)
	}
	for _, instance := range instances {
		s.learnInstance(instance[strings.LastIndexByte(instance, '\\')+1:])
	}
	for _, v := range row {
		if v.Text != nil {
			s.learnHomes(*v.Text)
		}
	}
}

// learnInstance takes the serial number from the last part of a device's
// instance. One that Windows made up has '&' at its second place.
func (s *scrubber) learnInstance(last string) {
	serial, _, _ := strings.Cut(last, "&")
	if len(serial) >= 6 && !strings.ContainsAny(serial, "{#") && strings.Trim(serial, "0") != "" {
		s.serial(serial)
	}
}

// serial makes a serial number be replaced by one of the same shape, in
// whatever case it stands.
func (s *scrubber) serial(x string) {
	x = strings.TrimSpace(x)
	if _, known := s.names[x]; !known && len(x) >= 4 {
		s.names[x] = ""
	}
}
