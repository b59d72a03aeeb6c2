package quota

import (
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/limit"
	"cardea.dev/cardea/internal/quota"
)

// maxCost is the most that one request costs.
const maxCost = quota.Most >> 8

// override is another amount for some requests.
type override struct {
	amount int64
	who    *limit.Who
}

// amountFor is how much may be used of a quota by a request's key.
func (r *rule) amountFor(ex *filter.Exchange) int64 {
	for i := range r.overrides {
		if o := &r.overrides[i]; o.who.Fits(ex) {
			return o.amount
		}
	}
	return r.amount
}
