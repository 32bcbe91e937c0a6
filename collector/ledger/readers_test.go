package ledger

import (
	"fmt"
	"sync"
	"testing"
)

// counted is a file that counts how often it is closed.
type counted struct {
	file
	mu    *sync.Mutex
	open  map[string]int
	name  string
	close int
}

func (c *counted) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[c.name]--
	if c.close++; c.close > 1 {
		return fmt.Errorf("%s was closed twice", c.name)
	}
	return nil
}

// TestFilesStayOpenForReading reads many files from many goroutines: each is
// opened once as long as there are few, never more than a bound are open at
// rest, none is closed while it is read, and all are at the end.
func TestFilesStayOpenForReading(t *testing.T) {
	var mu sync.Mutex
	open := map[string]int{}
	opened := 0
	rs := newReaders(func(name string) (file, error) {
		mu.Lock()
		defer mu.Unlock()
		open[name]++
		opened++
		return &counted{mu: &mu, open: open, name: name}, nil
	})
	read := func(name string) {
		r, err := rs.take(name)
		if err != nil {
			t.Error(err)
			return
		}
		mu.Lock()
		if open[name] == 0 {
			t.Errorf("%s was closed while it was read", name)
		}
		mu.Unlock()
		if err := rs.give(r); err != nil {
			t.Error(err)
		}
	}
	for range 100 {
		read("a")
		read("b")
	}
	if opened != 2 {
		t.Errorf("two files were opened %d times", opened)
	}
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for i := range 200 {
				read(fmt.Sprint((n*31 + i) % (2 * mostReaders)))
				if i%50 == 0 {
					if err := rs.drop("1", "2", "3"); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	total := func() (n int) {
		for _, count := range open {
			n += count
		}
		return n
	}
	if n := total(); n > mostReaders+8 {
		t.Errorf("%d files are open, of at most %d", n, mostReaders)
	}
	held, err := rs.take("held")
	if err != nil {
		t.Fatal(err)
	}
	if err := rs.close(); err != nil {
		t.Error(err)
	}
	if n := total(); n != 1 || open["held"] != 1 {
		t.Errorf("after closing, %d files are open: %v", n, open)
	}
	if err := rs.give(held); err != nil {
		t.Error(err)
	}
	read("late")
	if n := total(); n != 0 {
		t.Errorf("%d files stay open: %v", n, open)
	}
}
