package system

// User ids, as every Linux distribution numbers them.
const (
	firstPerson = 1000  // the first that belongs to a person
	nobody      = 65534 // the user without rights
)
