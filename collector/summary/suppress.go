package summary

// Least is the smallest count that is shown. What is less could be somebody.
const Least = 5

// Cell is a count as it is published: the count, or only on which side of Least
// it is. Nothing else of it is in a report.
type Cell struct {
	Count *int `json:"count,omitempty"` // nil if it is held back
	Few   bool `json:"few,omitempty"`   // held back, and fewer than Least; otherwise held back so that no other count follows
}

func exactly(n int) Cell { return Cell{Count: &n} }

func banded(n int) Cell { return Cell{Few: n < Least} }

// alone is a count that nothing else adds up to.
func alone(n int) Cell {
	if n < Least {
		return banded(n)
	}
	return exactly(n)
}

// room is how far what is held back of a row must be able to move: as far as a
// count that is fewer than Least can.
const room = Least - 1

// row is a row of counts that add up to a total which other rows have too.
type row struct {
	counts []int
	order  []int // in which counts that need not be held back are, so that the others do not follow
	coarse bool  // an earlier report of the same time held something of it back: all of it is
}

// publish returns what may be told of rows that share a total. A count under
// Least is held back, and with it as many others of its row, in an order that
// does not depend on the counts, as it takes that each count held back can be
// anything that it may look like. Where that cannot be had the total is held
// back too, and every row with it.
func publish(total int, rows []row, coarse bool) (of Cell, out [][]Cell) {
	plans := make([][]bool, len(rows))
	for i, r := range rows {
		var ok bool
		if plans[i], ok = r.hidden(total); !ok {
			coarse = true
		}
	}
	if total < Least+room {
		coarse = true
	}
	of = exactly(total)
	if coarse {
		of = banded(total)
	}
	for i, r := range rows {
		cells := make([]Cell, len(r.counts))
		for j, n := range r.counts {
			if coarse || plans[i][j] {
				cells[j] = banded(n)
			} else {
				cells[j] = exactly(n)
			}
		}
		out = append(out, cells)
	}
	return of, out
}

// hidden says which counts of a row are held back while its total is told; ok is
// false if the total cannot be.
func (r row) hidden(total int) (hide []bool, ok bool) {
	hide = make([]bool, len(r.counts))
	small, large := 0, 0
	sum := 0 // of what is held back
	for j, n := range r.counts {
		if n < Least {
			hide[j] = true
			small++
			sum += n
		}
	}
	if small == 0 && !r.coarse {
		return hide, true
	}
	if small == len(r.counts) {
		return hide, total <= room*(small-1)
	}
	for _, j := range r.order {
		if hide[j] {
			continue
		}
		hide[j] = true
		large++
		sum += r.counts[j]
		if !r.coarse && sum-large*Least >= room {
			return hide, true
		}
	}
	return hide, sum-large*Least >= room
}

// heldBack reports whether anything of cells is.
func heldBack(cells []Cell) bool {
	for _, c := range cells {
		if c.Count == nil {
			return true
		}
	}
	return false
}
