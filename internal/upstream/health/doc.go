// Package health checks from time to time whether an endpoint is fit to be sent requests: that it accepts connections, that it
// answers an HTTP request as it should, or that it says so by the gRPC health protocol (grpc.health.v1).
//
// It checks one endpoint and decides nothing: what an unhealthy endpoint means is for the balancer to say. It judges by requests of
// its own only; how requests of clients fare is the breaker's business. Only package upstream imports it.
package health
