package discover

import (
	"bufio"
	"net/netip"
	"os"
	"strings"
)

// readHosts returns the addresses that a hosts file gives a name, or none.
func readHosts(file, name string) []netip.Addr {
	f, err := os.Open(file)
	if err != nil {
		return nil // as libc: without the file there are no such names
	}
	defer f.Close()
	name = strings.TrimSuffix(name, ".")
	var addrs []netip.Addr
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		addr, err := netip.ParseAddr(fields[0])
		if err != nil {
			continue
		}
		for _, alias := range fields[1:] {
			if strings.EqualFold(strings.TrimSuffix(alias, "."), name) {
				addrs = append(addrs, addr.Unmap())
				break
			}
		}
	}
	return addrs
}
