package upstream

// check is a running health check.
type check interface{ Close() error }

func (c *Cluster) checks() bool           { return false }
func (c *Cluster) startCheck(e *endpoint) {}
func (c *Cluster) countConnections()      {}
