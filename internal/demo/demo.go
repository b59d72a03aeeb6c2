package demo

import (
	_ "embed"
	"strings"
)

//go:embed cardea.yaml
var template string

// Config is the demo's configuration, for services that run.
func Config(s *Services, listen, admin string) string {
	pairs := []string{"{{listen}}", listen, "{{admin}}", admin}
	for name, address := range s.addresses {
		pairs = append(pairs, "{{"+name+"}}", address)
	}
	return strings.NewReplacer(pairs...).Replace(template)
}

// IsConfig reports whether a text is a configuration of the demo, perhaps of an earlier one.
func IsConfig(text string) bool {
	first, _, _ := strings.Cut(template, "\n")
	return strings.HasPrefix(text, first)
}

// Try are commands to try on a gateway that listens at an address, for who called the program by a name.
func Try(program, listen, admin string) []string {
	url := "http://" + listen
	return []string{
		"curl -i " + url + "/home/1",
		"curl -i " + url + "/users/1",
		"curl -i " + url + "/orders/7",
		"curl -i -X POST " + url + "/orders -d '{\"user\": 1, \"item\": \"bolt\"}'",
		"curl -s " + url + "/catalog --compressed -H 'X-Preview: true' | head -c 80",
		"curl -N " + url + "/events",
		"curl -i '" + url + "/flaky?delay=5s'",
		"curl -i " + url + "/nowhere",
		"curl -s http://" + admin + "/upstreams",
		program + " explain --running --admin " + admin + " GET " + url + "/orders/7",
	}
}
