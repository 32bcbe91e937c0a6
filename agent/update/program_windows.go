package update

// programFile is the name of a program in the folder of its version: what does not
// end so is not started here, and looked at by other means.
const programFile = "caretaker-agent.exe"
