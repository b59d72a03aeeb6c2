package jq

import (
	"encoding/json"
	"math/big"
)

// maxDepth is how deep an output may nest.
const maxDepth = 10_000

// size estimates how long a value is as JSON. It stops soon after the limit, which matters since values may share their parts: what is
// small in memory may be huge when written.
func size(v any, limit int64, depth int) int64 {
	if depth > maxDepth {
		return limit + 1
	}
	switch v := v.(type) {
	case string:
		return int64(len(v)) + 2
	case json.Number:
		return int64(len(v))
	case *big.Int:
		return int64(v.BitLen())*100/332 + 2
	case []any:
		n := int64(2)
		for _, item := range v {
			if n += size(item, limit-n, depth+1) + 1; n > limit {
				break
			}
		}
		return n
	case map[string]any:
		n := int64(2)
		for name, item := range v {
			if n += size(item, limit-n, depth+1) + int64(len(name)) + 4; n > limit {
				break
			}
		}
		return n
	}
	return 4
}
