package quota

import (
	"net/netip"
	"strings"

	"cardea.dev/cardea/internal/limit"
)

// idText is an ID for the file and for Redis: "a" and the address, "t" and the text, or "*" for all together.
func idText(id limit.ID) string {
	text := id.String()
	if id == (limit.ID{}) {
		return "*"
	}
	if at, ok := addressOf(text); ok && at == id {
		return "a" + text
	}
	return "t" + text
}

// idOf reads what idText wrote.
func idOf(text string) (limit.ID, bool) {
	switch {
	case text == "*":
		return limit.ID{}, true
	case strings.HasPrefix(text, "a"):
		return addressOf(text[1:])
	case strings.HasPrefix(text, "t") && len(text) > 1:
		return limit.NewID(text[1:]), true
	}
	return limit.ID{}, false
}

// addressOf reads an address as an ID shows it.
func addressOf(text string) (limit.ID, bool) {
	addr, err := netip.ParseAddr(strings.TrimSuffix(text, "/64"))
	return limit.AddressID(addr), err == nil
}

// idsOf are the IDs that are shown as a text.
func idsOf(text string) []limit.ID {
	ids := []limit.ID{limit.NewID(text)}
	if id, ok := addressOf(text); ok {
		ids = append(ids, id)
	}
	if text == "all" {
		ids = append(ids, limit.ID{})
	}
	return ids
}
