package compile

import "cardea.dev/cardea/config"

// clientCertificates warns of the policy mtls where no listener asks clients for a certificate: no request could pass it.
func (c *compiler) clientCertificates(flat []*flatRoute) {
	for i := range c.cfg.Listen {
		if l := &c.cfg.Listen[i]; l.Secure() && (l.TLS.ClientCertificate == "optional" || l.TLS.ClientCertificate == "required") {
			return
		}
	}
	warned := map[config.Node]bool{}
	for _, f := range flat {
		p, ok := f.policies["mtls"]
		if !ok || warned[p.node] {
			continue
		}
		warned[p.node] = true
		c.warnings = append(c.warnings, c.asksNobody(p.node))
	}
}

// asksNobody is the warning at a policy.
func (c *compiler) asksNobody(node config.Node) *config.Error {
	w := node.Errorf("no listener asks clients for a certificate, so that no request has one: set `tls.client_certificate` of a listener to optional or required")
	w.Warning = true
	return w
}
