// Package upstream sends requests to services. A Cluster is one service with its endpoints: it finds them, watches their health,
// chooses one for each request, sends the request, tries again where that is safe and helps, and gives a service that fails a rest.
// It is the only place that balances, retries and breaks.
//
// It knows no routes and no policies. Its parts are its subpackages, which know nothing of each other:
//
//	adaptive  how many requests at once
//	balance   which endpoint
//	breaker   whether at all
//	discover  which endpoints there are
//	health    which of them are well, by asking
//	latency   how long answers take
//	outlier   which of them are not, by looking
//	pool      connections, and one round trip
//
// Only package compile makes clusters.
package upstream
