package viewing

import "strings"

// words says what can be looked at.
var words = map[What]string{
	Device: "A laptop", Evidence: "Evidence about a laptop", Incident: "An incident", Asset: "An item of the register",
	Medium: "A medium of the register", Person: "Everything kept about a person",
	Devices: "The list of laptops", Breaches: "The list of policy breaches", Exemptions: "The list of exemptions",
	Incidents: "The list of incidents", Position: "Evidence about the whole school", Register: "The register of who has what",
	Media: "The list of media", Uses: "Who acknowledged the rules of use", SignIns: "How people sign in",
	Record: "Entries of the record", Looks: "Who looked at what", Requests: "Who asked what is kept about them",
	Disputes: "What is said to be recorded wrongly",
}

// Words says what it is.
func (w What) Words() string {
	if said, ok := words[w]; ok {
		return said
	}
	return "Something that this version does not know: " + strings.ReplaceAll(string(w), "-", " ")
}

// Shown says what somebody looked at. What a laptop is called stands elsewhere.
func (l Look) Shown() string {
	if l.Name == "" || l.What == Device || l.What == Evidence {
		return l.What.Words()
	}
	return l.What.Words() + ": " + l.Name
}

// How says in which way they did.
func (l Look) How() string {
	switch l.Way {
	case Page:
		return "On a page"
	case Command:
		return "By a command on the collector"
	case Program:
		if l.Key != "" {
			return "By a program, with the key " + l.Key
		}
		return "By a program"
	}
	return "In a way that this version does not know: " + string(l.Way)
}
