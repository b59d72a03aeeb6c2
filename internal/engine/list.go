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
	out := make([]RouteListed, len(s.Routes))
	for i, r := range s.Routes {
		out[i] = RouteListed{RouteOut: RouteOut{r.Name, r.Match, r.Where}, Target: r.TargetKind, Policies: make([]PolicyListed, len(r.Steps))}
		for j, step := range r.Steps {
			out[i].Policies[j] = PolicyListed{step.Kind, step.Stage.String(), step.Where}
		}
	}
	return out
}
