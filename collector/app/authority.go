package app

// rollAuthority replaces a school's certificate authority long before it ends.
// Until it does, that it cannot be replaced stops nothing.
func (c *collector) rollAuthority(r *record) {
	if r.found == nil {
		return
	}
	rolled, err := r.found.RollAuthority(c.clock.Now())
	switch {
	case err != nil:
		c.log.Error("a school's certificate authority is due to be replaced, and cannot be", "school", r.id, "reason", err)
	case rolled:
		c.log.Info("a school's certificate authority was replaced; its laptops learn the next one by themselves", "school", r.id, "until", r.found.Authority.Certificate.NotAfter)
	}
}
