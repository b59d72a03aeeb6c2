package sharedlimit

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"cardea.dev/cardea/internal/limit"
)

const (
	maxCount = 1_000_000_000 // so that all numbers of the script stay below 2^53
	minPer   = time.Millisecond
	maxPer   = 400 * 24 * time.Hour
	maxLevel = 1 << 50 // units of GCRA
	maxRules = 16
	parts    = 10 // of a sliding window
)

// compiled is a rule as the script takes it.
type compiled struct {
	args [4]string
	most int64 // what passes at once where nothing was counted
}

// gcra returns a rule's units. A request fills a bucket by some units, and some drain in each µs. Both are whole and small, so that the rate is
// exact; only where the bucket would be too large for that are they rounded, to less than a millionth, to the slower side.
func gcra(r limit.Rule) (each, drain, most int64, err error) {
	burst, per := r.Burst, r.Per.Microseconds()
	if burst == 0 {
		burst = r.Count
	}
	divisor := gcd(r.Count, per)
	each, drain = per/divisor, r.Count/divisor
	if each > maxLevel/burst {
		// each / drain = per / count, with each as large as it may be.
		largest := maxLevel / burst
		drain = int64(float64(largest) / float64(per) * float64(r.Count))
		if drain < 1 || largest < 1_000_000 {
			return 0, 0, 0, fmt.Errorf("a burst of %d is too much for %d in %s", burst, r.Count, r.Per)
		}
		each = int64(float64(per)/float64(r.Count)*float64(drain)) + 1
		if each > largest {
			each = largest
		}
	}
	return each, drain, each * burst, nil
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// check says what is wrong with rules.
func check(rules []limit.Rule) error {
	if len(rules) == 0 || len(rules) > maxRules {
		return fmt.Errorf("expected 1 to %d rules", maxRules)
	}
	for _, r := range rules {
		switch {
		case r.Algorithm != limit.GCRA && r.Algorithm != limit.SlidingWindow:
			return fmt.Errorf("%q is no algorithm", r.Algorithm)
		case r.Count < 1 || r.Count > maxCount || r.Burst < 0 || r.Burst > maxCount:
			return fmt.Errorf("expected a count from 1 to %d", maxCount)
		case r.Per < minPer || r.Per > maxPer:
			return fmt.Errorf("expected a time from %s to %d days", minPer, maxPer/(24*time.Hour))
		case r.Per%time.Microsecond != 0:
			return errors.New("times finer than 1µs cannot be shared")
		}
	}
	return nil
}

// compile makes of rules what the script takes. A lease may be used for a while after it was counted: each rule is stricter by
// that, so that it holds all the same.
func compile(rules []limit.Rule, lease time.Duration) ([]compiled, error) {
	if err := check(rules); err != nil {
		return nil, err
	}
	all := make([]compiled, 0, len(rules))
	for _, r := range rules {
		if r.Algorithm == limit.SlidingWindow {
			part := ((r.Per + lease).Microseconds() + parts - 1) / parts
			all = append(all, compiled{[4]string{"w", decimal(r.Count), decimal(part), decimal(parts)}, r.Count})
			continue
		}
		each, drain, most, err := gcra(r)
		if err != nil {
			return nil, err
		}
		most -= lease.Microseconds() * drain
		all = append(all, compiled{[4]string{"g", decimal(each), decimal(drain), decimal(most)}, most / each})
	}
	return all, nil
}

// leaseTime returns for how long leases of rules may last: so long that no rule becomes stricter by more than a tenth. 0: they are too
// short to be worth it, or a rule lets only one pass at once.
func leaseTime(rules []limit.Rule, most time.Duration) time.Duration {
	for _, r := range rules {
		tenth := r.Per / 10
		if r.Algorithm == limit.GCRA {
			burst := r.Burst
			if burst == 0 {
				burst = r.Count
			}
			if burst < 2 {
				return 0
			}
			if full := float64(r.Per) / float64(r.Count) * float64(burst); full < float64(10*most) { // until a bucket is empty again
				tenth = time.Duration(full / 10)
			} else {
				tenth = most
			}
		}
		most = min(most, tenth)
	}
	if most < minLease {
		return 0
	}
	return most.Truncate(time.Microsecond)
}

// minLease is how long a lease must last to be worth asking for.
const minLease = 10 * time.Millisecond

// fingerprint tells rules from others: what was counted by others is not to be read by these.
func fingerprint(all []compiled) string {
	sum := sha256.New()
	for _, c := range all {
		for _, arg := range c.args {
			_, _ = sum.Write([]byte(arg + " "))
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:6])
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }
