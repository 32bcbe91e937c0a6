package view

import (
	"encoding/binary"
	"time"

	"github.com/caretaker-school/caretaker/collector/breach"
	"github.com/caretaker-school/caretaker/shared/posture"
)

// Keys in the view. Everything here can be made again from the ledger. A key
// begins with its school, so that no question can read another school's rows;
// its parts are separated by a zero byte, written here as a slash. Times are
// milliseconds since 1970 in 8 bytes, "^time" their complement, so that the
// newest comes first.
//
//	(zero byte)version                      → layout, and what it was made from
//	<school>/next                           → first ledger index not folded in, time to which turns are counted, current policy, last forgotten contact
//	<school>/school                         → School
//	<school>/counts                         → Counts: devices, devices by rule and standing, breaches by status and severity
//	<school>/slots                          → rules that were ever judged; a rule's place in this list is its slot
//	<school>/policy/<number>                → Policy
//	<school>/calendar/<entry>               → CalendarRow
//	<school>/assignment/<device>/<number>   → Assigned
//	<school>/lists-last                     → ListsLast: for how long lists of devices count
//	<school>/device/<device>                → DeviceRow
//	<school>/name/<hostname>/<device>       → asset tag, Vector; hostname and tag in lower case
//	<school>/index/<block>                  → names and standings of the devices of a block: see indexed
//	<school>/cover/<what>/<platform>/<retired>/<listed>/<seen>  → how many assets, or devices, are so: see coverKey
//	<school>/heard/<^last contact>/<device> → Vector
//	<school>/proven/<^time>/<device>        → Vector; when the encryption of its system disk was last proven
//	<school>/cohort/<oldest>/<Vector>       → how many devices have this vector, its times rounded; oldest of them
//	<school>/until/<end>/<device>           → Vector, for each device and end of an exemption or loan
//	<school>/asset/<tag>                    → register.Asset; tag in lower case
//	<school>/was/<device>                   → tags of the assets that it was, before they were installed again
//	<school>/maker/<serial number>          → tag of the asset that its maker gave it to
//	<school>/medium/<number>                → register.Medium; number in lower case
//	<school>/serial/<serial>                → number of the medium that has it
//	<school>/sighting/<serial>/<device>     → Sighting: a medium on a device
//	<school>/found/<serial>/<device>        → Sighting: a medium on a machine that was set aside for found ones
//	<school>/attached/<device>              → Attached: the media in it when it last reported
//	<school>/licence/<product>              → register.Licence; product in lower case
//	<school>/products/<device>              → Products
//	<school>/use/<holder>                   → register.Use, by register.HolderKey
//	<school>/loan/<^end>/<device>           → Vector, for each device that is lent until then
//	<school>/state/<device>                 → results of each rule's subjects, and since when
//	<school>/case/<device>/<rule>/<kind>/<subject>  → breach.Breach: the one that is followed
//	<school>/past/<device>/<rule>/<kind>/<subject>/<number>  → breach.Breach: an earlier one of that key
//	<school>/list/<0 or 1>/<^first failed>/<device>/<rule>/<kind>/<subject>/<number>  → gist of the breach; 1 if resolved
//	<school>/turn/<time>/<device>/<rule>/<kind>/<subject>  → status and severity before and after
//	<school>/day/<device>/<day since 1970>  → Heard: the last contact of a day (UTC) that is over
//	<school>/recovery/<tag>/<entry>         → nothing; entries that say whether the school holds an asset's recovery key
//	<school>/event/<device>/<number>        → MediumEvent
//	<school>/gap/<device>/<from>            → Gap
//	<school>/exemption/<id>                 → ExemptionRow
//	<school>/asked/<^entry>/<id>            → nothing; exemptions by when they were asked for
//	<school>/incident/<id>                  → IncidentHead
//	<school>/incident-change/<id>/<entry>   → incident.Taken
//	<school>/incident-number/<^year>/<^number>  → identifier of the incident
//	<school>/lost/<device>/<id>             → Lost: since when a device is lost, by that incident
//	<school>/hardware/<kind>/<hash>/<device>  → nothing; which devices say that they have a number
//	<school>/twice/<device>                 → times in which two machines answered to its name
//	<school>/identity/<device>              → Hardware: all that a device said of its own
//	<school>/same/<device>/<earlier>        → SameRow: what was decided about two enrolments
//	<school>/quarantine/<device>            → Quarantine: of a device that was ever lost
//	<school>/quarantined/<device>/<entry>   → Quarantined: a report that came while it was
//	<school>/term/<first day>/<entry>       → TermReport: a report of the term that began then
//	<school>/signed/<entry>/<role>          → TermSigned: who signed the report of the entry
//	<school>/year/<such as 2026-27>/<entry> → YearReport: a report of that school year
//	<school>/year-signed/<entry>/<role>     → TermSigned: who signed the report of the entry
//	<school>/particulars                    → Particulars: who the school says that it is for data protection
//	<school>/release                        → Release: which release of the agent the school offers
//	<school>/look/<^time>/<^entry>          → viewing.Seen: who looked at what
//	<school>/subject-request/<id>           → subject.Request: somebody asks what is kept about them
//	<school>/look-of/<device>/<^time>/<^entry>  → nothing; looks at a laptop
//	<school>/concern/<reference>            → Concern: what somebody reported without signing in
//	<school>/raised/<^entry>                → reference of it
//	<school>/waiting/<entry>                → the same, of what nobody has looked at yet
//	<school>/address                        → ConcernAddress
//	<school>/dispute/<id>                   → Dispute: somebody says that a recorded fact is wrong
//	<school>/disputed/<0 or 1>/<entry>      → identifier of it, by when it was said; 1, and ^entry, if it is answered
//	<school>/dispute-of/<device>/<^entry>   → the same, of what is about a device
//	<school>/look-by/<by>/<^time>/<^entry>  → nothing; looks by somebody, in lower case
//	<school>/gauge/<heard>/<disks>/<definitions>  → how many devices last said so of their disks and definitions
//	<school>/managed/<tag>                  → nothing; assets of which a list of what manages them tells
//	<school>/counted/<day since 1970>       → CountedDay: a day that is over, on which something was heard
//	<school>/opened/<^received>/<device>/<rule>/<kind>/<subject>/<number>  → nothing; breaches by when they were first heard of
//	<school>/closed/<^resolved>/<device>/<rule>/<kind>/<subject>/<number>  → nothing; breaches by when they were resolved
//	<school>/enrolled/<^enrolled>/<device>  → nothing
//	<school>/damage/<entry>                 → what is wrong with the entry, in words

const separator = 0

// The names of the families of keys.
const (
	famLook   = "look"
	famLookOf = "look-of"
	famLookBy = "look-by"

	famNext       = "next"
	famSchool     = "school"
	famCounts     = "counts"
	famSlots      = "slots"
	famPolicy     = "policy"
	famCalendar   = "calendar"
	famAssignment = "assignment"
	famDevice     = "device"
	famName       = "name"
	famIndex      = "index"
	famCover      = "cover"
	famHeard      = "heard"
	famProven     = "proven"
	famCohort     = "cohort"
	famUntil      = "until"
	famAsset      = "asset"
	famWas        = "was"
	famMaker      = "maker"
	famMedium     = "medium"
	famSerial     = "serial"
	famSighting   = "sighting"
	famFound      = "found"
	famListsLast  = "lists-last"
	famAttached   = "attached"
	famLicence    = "licence"
	famProducts   = "products"
	famUse        = "use"
	famLoan       = "loan"
	famState      = "state"
	famCase       = "case"
	famPast       = "past"
	famList       = "list"
	famTurn       = "turn"
	famDay        = "day"
	famRecovery   = "recovery"
	famEvent      = "event"
	famGap        = "gap"
	famExemption  = "exemption"
	famAsked      = "asked"
	famIncident   = "incident"
	famChange     = "incident-change"
	famNumbered   = "incident-number"
	famLost       = "lost"
	famHardware   = "hardware"
	famTwice      = "twice"
	famIdentity   = "identity"
	famSame       = "same"
	famQuarantine = "quarantine"

	famQuarantined = "quarantined"
	famDamage      = "damage"
	famConcern     = "concern"
	famRaised      = "raised"
	famWaiting     = "waiting"
	famAddress     = "address"
	famDispute     = "dispute"
	famDisputed    = "disputed"
	famDisputeOf   = "dispute-of"
	famTerm        = "term"
	famSigned      = "signed"
	famYear        = "year"
	famYearSigned  = "year-signed"
	famGauge       = "gauge"
	famManaged     = "managed"
	famCounted     = "counted"
	famOpened      = "opened"
	famClosed      = "closed"
	famEnrolled    = "enrolled"
)

func versionKey() []byte { return []byte{separator, 'v', 'e', 'r', 's', 'i', 'o', 'n'} }

func schoolPrefix(school posture.SchoolID) []byte { return text(nil, string(school)) }

// key makes a key of a school's family; parts are added with text and number.
func key(school posture.SchoolID, family string) []byte {
	return text(text(make([]byte, 0, 96), string(school)), family)
}

// text appends a part and its end. Zero and one bytes inside it are written in
// two, so that parts cannot run into each other and keep their order.
func text(k []byte, part string) []byte {
	for i := range len(part) {
		if c := part[i]; c <= 1 {
			k = append(k, 1, c+1)
		} else {
			k = append(k, c)
		}
	}
	return append(k, separator)
}

// part takes the first text off a key; ok is false if there is none.
func part(k []byte) (first string, rest []byte, ok bool) {
	var b []byte
	for i := 0; i < len(k); i++ {
		switch c := k[i]; {
		case c == separator:
			return string(b), k[i+1:], true
		case c == 1 && i+1 < len(k):
			i++
			b = append(b, k[i]-1)
		default:
			b = append(b, c)
		}
	}
	return "", nil, false
}

// number appends a number of fixed length.
func number(k []byte, n uint64) []byte { return binary.BigEndian.AppendUint64(k, n) }

// ms returns a time in milliseconds since 1970; the zero time, and all before
// 1970, as 0.
func ms(t time.Time) uint64 {
	if t.IsZero() || t.Before(time.UnixMilli(0)) {
		return 0
	}
	return uint64(t.UnixMilli())
}

// at returns the time of milliseconds since 1970; 0 is the zero time.
func at(ms uint64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}

func breachParts(k []byte, b breach.Key) []byte {
	return text(text(text(text(k, string(b.Device)), b.Rule), b.Kind), b.ID)
}

func caseKey(school posture.SchoolID, b breach.Key) []byte {
	return breachParts(key(school, famCase), b)
}

func pastKey(school posture.SchoolID, b breach.Breach) []byte {
	return number(breachParts(key(school, famPast), b.Key), uint64(b.Number))
}

func listKey(school posture.SchoolID, b breach.Breach) []byte {
	resolved := byte('0')
	if !b.ResolvedAt.IsZero() {
		resolved = '1'
	}
	k := append(key(school, famList), resolved)
	k = breachParts(number(k, ^ms(b.FirstFailed)), b.Key)
	return number(k, uint64(b.Number))
}

// listed is what the key of a list row says.
type listed struct {
	first  uint64 // milliseconds
	key    breach.Key
	number uint64
}

// parseList reads what follows the family and the digit in the key of a list.
func parseList(k []byte) (listed, bool) {
	var l listed
	if len(k) < 8 {
		return l, false
	}
	l.first = ^binary.BigEndian.Uint64(k)
	rest, ok := parseBreach(k[8:], &l.key)
	if !ok || len(rest) != 8 {
		return l, false
	}
	l.number = binary.BigEndian.Uint64(rest)
	return l, true
}

func parseBreach(k []byte, into *breach.Key) (rest []byte, ok bool) {
	var parts [4]string
	for i := range parts {
		if parts[i], k, ok = part(k); !ok {
			return nil, false
		}
	}
	*into = breach.Key{Device: posture.DeviceID(parts[0]), Rule: parts[1], Kind: parts[2], ID: parts[3]}
	return k, true
}
