package app

// handOver does nothing: what is made in a folder has the folder's rights.
func handOver(string) error { return nil }
