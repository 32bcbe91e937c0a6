package policy

import (
	"fmt"

	"github.com/caretaker-school/caretaker/shared/posture"
)

// executable returns the executable that an object is.
func (o *object) executable() (*posture.Executable, bool) {
	if o == nil {
		return nil, false
	}
	e, ok := o.item.(*posture.Executable)
	return e, ok
}

// about says of an executable what a person needs to find it and to know it
// again: who signed it, in what class of place it lies, and its hash. It never
// says more of the place.
func about(e *posture.Executable) string {
	sum := "its SHA-256 is not known"
	if e.SHA256.Known() {
		sum = "its SHA-256 is " + e.SHA256.Value
	}
	return fmt.Sprintf("%s, it lies %s, and %s.", signedBy(e), placed(e.Location), sum)
}

func signedBy(e *posture.Executable) string {
	signer := "somebody whose name is not told"
	if e.Signer.Known() && e.Signer.Value != "" {
		signer = e.Signer.Value
	}
	switch {
	case !e.Signature.Known():
		return "Whether anybody signed it is not known"
	case e.Signature.Value == posture.Unsigned:
		return "Nobody signed it"
	case e.Signature.Value == posture.SignedValid:
		return "It is signed by " + signer
	case e.Signature.Value == posture.SignedInvalid:
		return "Its signature by " + signer + " is not valid"
	}
	return "It names " + signer + " as its signer, which is not proven"
}

func placed(at posture.Location) string {
	switch at {
	case posture.Downloads:
		return "in a Downloads folder"
	case posture.OnDesktop:
		return "on a desktop"
	case posture.Documents:
		return "in a Documents folder"
	case posture.Temp:
		return "in a temporary folder"
	case posture.OnMedia:
		return "on a removable medium"
	}
	return "in a person's folder"
}
