package engine

// RouteListed is a route as operators see it in a list.
type RouteListed struct {
	RouteOut
	Target   string         `json:"target"`
	Policies []PolicyListed `json:"policies"` // in the order in which they run
}

// PolicyListed is a policy of a route.
type PolicyListed struct {
	Policy string `json:"policy"`
	Stage  string `json:"stage"`
	Where  string `json:"where"`
}

// ListRoutes lists the routes of a snapshot.
func ListRoutes(s *Snapshot) []RouteListed {
	out := []RouteListed{}
	for _, r := range s.Routes {
		if r.StandIn {
			continue
		}
		listed := RouteListed{RouteOut: RouteOut{r.Name, r.Match, r.Where}, Target: r.TargetKind, Policies: make([]PolicyListed, len(r.Steps))}
		for i, step := range r.Steps {
			listed.Policies[i] = PolicyListed{step.Kind, step.Stage.String(), step.Where}
		}
		out = append(out, listed)
	}
	return out
}
