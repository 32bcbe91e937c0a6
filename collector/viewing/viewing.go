// Package viewing is who looked at whose record: what a look is, how looks are
// recorded so that they can be forgotten, and that they are recorded before
// anything is shown.
//
// It never shows what somebody searched for, decides nothing about who may look,
// and knows nothing of incidents that are restricted: those record by whom they
// are read themselves, sealed to the people they name.
package viewing

// What is what somebody looked at. Nobody reads the zero value: whatever shows
// something says what that is, or that it is Nobody's record.
type What string

// Nobody is what shows nothing of a person: figures, forms, words, what is the
// reader's own.
const Nobody What = "nobody"

// What is about one laptop or thing, and by which name it is known. A laptop
// that nobody has today may be recorded tomorrow as somebody's since last week,
// so that every laptop counts.
const (
	Device   What = "device"   // what is known about a laptop, by its identifier
	Evidence What = "evidence" // what is proven about a laptop, by its identifier
	Incident What = "incident" // by its number or identifier, and the laptops that it names
	Asset    What = "asset"    // an item of the register, by its tag
	Medium   What = "medium"   // a medium of the register, by its number
	Person   What = "person"   // everything that is kept about one person
)

// What lists many, of whom any page, part or filter counts as the whole.
const (
	Devices    What = "devices"
	Breaches   What = "breaches"
	Exemptions What = "exemptions"
	Incidents  What = "incidents"
	Position   What = "position" // where the whole school stood on a day, laptop by laptop
	Register   What = "register" // who has what, and who had it
	Media      What = "media"
	Uses       What = "uses"     // who acknowledged the rules of use
	SignIns    What = "sign-ins" // how people sign in
	Record     What = "record"   // the entries of the school's record, as they are
	Requests   What = "requests" // of people who ask what is kept about them
	Disputes   What = "disputes" // recorded facts of which people say that they are wrong
	Looks      What = "looks"    // this: who looked at what
)
