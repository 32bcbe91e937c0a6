package web

import (
	"strings"

	"github.com/caretaker-school/caretaker/collector/subject"
)

// purposes are why a school keeps this, in the order of importance.
var purposes = []string{
	"to know that every laptop is encrypted, protected and up to date, so that what is on it does not reach others if it is lost",
	"to know who has which device, and that it is handed back and wiped",
	"to show, if a device is lost, what state it was in, and to tell the regulator in time",
	"to record incidents, and to learn from them",
}

// holding is one thing that is held, where and about whom.
type holding struct{ what, about, where, seen, item string }

// holdings are the information assets, each with the item of the school's times.
var holdings = []holding{
	{"State of laptops: encryption, antivirus, updates, settings, and what the rules find", "the laptop, and so whoever has it", "the school's record, on the collector", "administrator, technician, data-protection officer, head", "how a laptop changed"},
	{"Programs on laptops", "the laptop, and so whoever has it", "the school's record, on the collector", "administrator, technician, data-protection officer, head", "which programs"},
	{"Sticks and disks that were in a laptop, with a keyed hash of the serial number", "the laptop, and so whoever has it", "the school's record, on the collector", "administrator, technician, data-protection officer, head", "which sticks"},
	{"When a laptop was in contact", "the laptop", "the school's record, on the collector", "administrator, technician, data-protection officer, head", "contacts"},
	{"Who has, and had, which device; who acknowledged the rules of use", "staff, guests", "the school's register, on the collector", "administrator, technician, data-protection officer, head", "the name of who had a device"},
	{"Incidents: what happened, what was decided and why", "staff, and whoever is named in words", "the school's record, on the collector", "administrator, technician, data-protection officer, head; restricted ones: the two who are named alone", "what was written about an incident"},
	{"Decisions: who decided what, when and why; who looked at whose record", "people with an account", "the school's record, on the collector", "administrator, technician, data-protection officer, head", "who decided"},
	{"What was gathered for somebody who asked for their data", "whoever asked", "the school's record, on the collector", "data-protection officer", "what was gathered"},
	{"Accounts, and how they sign in", "people with an account", "the collector's own file, passwords as hashes", "administrator, data-protection officer, head", ""},
}

// keptFor finds how long something is kept among the school's times.
func (s documentSource) keptFor(item string) string {
	if item == "" {
		return "as long as the account"
	}
	for _, k := range s.kept {
		if strings.HasPrefix(k.What, item) {
			return k.Time + " from " + k.From
		}
	}
	return blank
}

// whoIs is who is responsible and whom to ask.
func (s documentSource) whoIs() documentPart {
	return documentPart{ID: "who", Title: "Who is responsible", Rows: [][]string{
		{"Responsible for the data", saidOr(s.said.Controller)},
		{"Data-protection officer", saidOr(s.said.OfficerLine())},
		{"Tell of a loss", saidOr(s.said.LossLine())},
		{"Registration with the regulator", saidOr(s.said.Registration)},
		{"Regulator", saidOr(s.said.Regulator)},
	}, Columns: []string{"What", "Who"}}
}

// times is how long everything is kept.
func (s documentSource) times() documentPart {
	p := documentPart{ID: "times", Title: "For how long", Columns: []string{"What", "How long", "Counted from"}}
	for _, k := range s.kept {
		p.Rows = append(p.Rows, []string{capital(k.What), k.Time, k.From})
	}
	return p
}

func (s documentSource) policies() documentPart {
	p := documentPart{ID: "policies", Title: "The school's own policies"}
	for _, l := range s.said.Policies {
		p.List = append(p.List, l.Words+": "+l.Address)
	}
	if len(p.List) == 0 {
		p.Words = []string{blank}
	}
	return p
}

// noticeParts is the privacy notice for staff.
func noticeParts(s documentSource) []documentPart {
	what := documentPart{ID: "what", Title: "What is kept", Words: []string{
		"A small service on each school laptop reads the facts below, and nothing else. It only reads: it changes nothing, and shows no pictures of a screen.",
	}, Columns: []string{"What", "In words"}}
	for _, f := range s.fields {
		what.Rows = append(what.Rows, []string{f.Title, f.Words})
	}
	return []documentPart{
		s.whoIs(),
		{ID: "why", Title: "Why, and by what right", Words: []string{"Lawful basis: " + saidOr(s.said.Basis)}, List: purposes},
		what,
		{ID: "beside", Title: "What people write down", Words: []string{"Who has which device and from when to when, that they acknowledged the rules of use, decisions about a laptop with their reasons, and incidents."}},
		{ID: "never", Title: "What is kept of nobody", List: subject.Never()},
		s.times(),
		{ID: "see", Title: "Who can see it", Words: []string{
			"At the school: administrators, technicians, the data-protection officer and the head; governors see counts alone. Whoever looks at the record of a laptop is recorded themselves.",
			"Outside the school: " + s.outside(),
		}},
		{ID: "rights", Title: "What you can ask for", List: []string{
			"a copy of what is kept about you: say so to anybody at the school, in any words; the answer is due within a month",
			"that what is wrong is put right: say so on the page “Your laptop”, or tell the officer which fact of which laptop it is; what you say stands beside it, and is answered within a month",
			"that what need not be kept is erased, or used less, and to object: the school weighs it and tells you why",
			"that no decision about you is made by a machine alone: none is made here; a rule that is not met is looked at by a person",
		}, Words: []string{"Ask " + saidOr(s.said.OfficerLine()) + ". If you are not content, complain to " + saidOr(s.said.Regulator) + "."}},
		s.policies(),
	}
}

func (s documentSource) outside() string {
	if len(s.said.Processors) == 0 {
		return "nobody that the school has named here. The collector itself sends nothing to its makers."
	}
	names := []string{}
	for _, p := range s.said.Processors {
		names = append(names, p.Name+" ("+p.For+"; "+p.Where+")")
	}
	return strings.Join(names, "; ") + ". The collector itself sends nothing to its makers."
}

// processingParts is the record of processing and the register of information
// assets.
func processingParts(s documentSource) []documentPart {
	assets := documentPart{ID: "assets", Title: "What is held", Columns: []string{"What", "About whom", "Where", "Who can see it", "How long"}}
	for _, h := range holdings {
		assets.Rows = append(assets.Rows, []string{h.what, h.about, h.where, h.seen, s.keptFor(h.item)})
	}
	return []documentPart{
		s.whoIs(),
		{ID: "why", Title: "Purposes and lawful basis", Words: []string{"Lawful basis: " + saidOr(s.said.Basis)}, List: purposes},
		assets,
		{ID: "special", Title: "Special categories", Words: []string{
			"None is asked for. The name of a program can say something of somebody's health, faith or union: on a laptop that is its user's own too such names are withheld, and told only when the data-protection officer or the head asks, with a reason that is recorded.",
		}},
		{ID: "outside", Title: "Who receives it", Words: []string{capital(s.outside())}},
		{ID: "abroad", Title: "Transfers to other countries", Words: []string{"By Caretaker: none. By processors: as they are named above. " + blank}},
		{ID: "safe", Title: "How it is kept safe", List: []string{
			"laptops and collector prove who they are to one another, and everything between them is encrypted",
			"each school's data is kept apart from every other's",
			"people sign in with a password and a second step, and see what their role may see",
			"who decided something, and who looked at whose record, is recorded where it cannot be changed without showing",
			"the collector's disk: " + blank,
		}},
		s.times(),
	}
}

// risk is one risk of an assessment. of is what threats.md calls it.
type risk struct{ words, done, remains, of string }

var risks = []risk{
	{"Staff feel watched, or are", "No names, paths or contents of files, no times of signing in, no places and no pictures are read. The list of what is read is one list, on a page that anybody can open. Who looks at a record is recorded.", "That staff were told, and asked what they think", ""},
	{"Somebody reads what they should not", "Roles by school; a second step; sessions end by themselves; what is restricted is encrypted to those who are named.", "Who has an account, and that leavers lose theirs", "A stolen session."},
	{"A laptop is lost, and is still believed", "A certificate names one laptop; once it is marked lost it is given nothing and what it says is kept apart.", "That a loss is reported at once", "A lost laptop whose key still works."},
	{"What is kept is kept too long", "What is due is forgotten every night, with a count of what was.", "That the times fit the school's own policy", "Guessing what was forgotten."},
	{"The record is changed to hide something", "Each report is signed by its laptop; the record is a chain with checkpoints that are given away.", "Who keeps the checkpoints outside the collector", "A rewritten past."},
	{"Serial numbers of sticks tell who has which", "They are hashed with the school's key, and again with one that never leaves the collector.", "", "A stolen stick list."},
	{"Whoever runs the collector misuses it", "Every act is recorded under a name, and a second person is needed for exemptions and what is restricted.", "Who holds the collector's folder, and who checks them", "The collector's administrator."},
	{"The collector is attacked from outside", "Bounds on everything that is read, certificates on both sides, no message that makes a laptop run anything.", "The network that the collector is in, and its updates", "Exhaustion."},
}

// assessmentParts is the data protection impact assessment as far as it can be
// made here.
func assessmentParts(s documentSource) []documentPart {
	list := documentPart{ID: "risks", Title: "Risks, and what is done about them", Columns: []string{"Risk", "What is done", "What the school answers", "How likely and how grave it is then"}}
	for _, r := range risks {
		remains := "nothing more"
		if r.remains != "" {
			remains = r.remains + ": " + blank
		}
		list.Rows = append(list.Rows, []string{r.words, r.done, remains, blank})
	}
	what := documentPart{ID: "what", Title: "What is done", Words: []string{
		"A service on each school laptop reads the facts below about once an hour, judges them by the school's rules and sends what it finds to a collector that the school or its trust runs. People of the school see where a laptop stands, and decide what is done. No decision about a person is made by a machine.",
	}, Columns: []string{"What is read", "In words"}}
	for _, f := range s.fields {
		what.Rows = append(what.Rows, []string{f.Title, f.Words})
	}
	return []documentPart{
		s.whoIs(),
		what,
		{ID: "why", Title: "Why it is needed", Words: []string{"Lawful basis: " + saidOr(s.said.Basis)}, List: purposes},
		{ID: "least", Title: "Why no less would do", Words: []string{
			"Each field that is read has its purpose beside it, on the page What the school can see. Whether a disk is encrypted can be known only by reading it from the laptop; that a laptop was encrypted when it was lost, only if it was read before.",
			"What was weighed against it at this school: " + blank,
		}},
		{ID: "never", Title: "What is left out on purpose", List: subject.Never()},
		{ID: "asked", Title: "Who was asked", Words: []string{"Staff and their representatives: " + blank, "Data-protection officer's advice: " + blank}},
		list,
		s.times(),
		{ID: "outside", Title: "Who receives it", Words: []string{capital(s.outside())}},
		{ID: "end", Title: "What was decided", Columns: []string{"What", "By whom, and when"}, Rows: [][]string{
			{"Measures agreed", blank}, {"Risks that remain accepted", blank}, {"To be looked at again on", blank},
		}},
	}
}

// processorParts is who else handles what is kept.
func processorParts(s documentSource) []documentPart {
	list := documentPart{ID: "processors", Title: "Processors", Columns: []string{"Who", "What for", "Where", "Contract with the clauses of article 28"}}
	for _, p := range s.said.Processors {
		list.Rows = append(list.Rows, []string{p.Name, p.For, p.Where, blank})
	}
	if len(list.Rows) == 0 {
		list.Words = []string{"The school has named none: " + blank}
	}
	return []documentPart{
		s.whoIs(), list,
		{ID: "leaves", Title: "What leaves the collector", List: []string{
			"nothing to its makers: no figures of use, no errors, no check for updates",
			"notices, to the addresses that the school has set: breaches by rule and laptop, without names of people",
			"checkpoints of the record, which hold numbers and hashes alone",
			"what people download, print or read by a key for programs",
		}},
		{ID: "apart", Title: "Several schools on one collector", Words: []string{"Each school's record, keys and pages are apart. Whoever runs the collector for several is a processor of each, and is named above."}},
	}
}
