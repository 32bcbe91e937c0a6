package system

import (
	"context"
	"errors"
	"os"
	"sync"
)

// errOnlyVolumes is why disks are looked for: DiskArbitration tells only a
// program that has a run loop of Core Foundation's.
var errOnlyVolumes = errors.New("macOS tells this program of volumes only, and of those when they are mounted")

// Events calls handle for each change to a disk until the context ends, which
// is no error. It begins with an Overrun once it listens. A volume that is
// mounted or ejected is told at once; a disk without one, as one whose password
// nobody gave, is found within a minute. One that came and went between is
// missed.
func Events(ctx context.Context, handle func(Event)) error {
	// Both tell, but one at a time.
	var mu sync.Mutex
	tell := func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		handle(e)
	}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		first := true
		// If that fails, the minute's look remains.
		_ = Watch(ctx, []string{"/Volumes"}, func() {
			if !first {
				tell(Event{Action: Overrun})
			}
			first = false
		})
	}()
	lookForDisks(ctx, errOnlyVolumes, diskNodes, tell)
	<-watched
	return nil
}

// diskNodes lists the disks and partitions that there are, by their nodes:
// disk4, disk4s1.
func diskNodes() ([]string, error) {
	folder, err := os.Open("/dev")
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	entries, err := folder.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	return diskNames(entries), nil
}
