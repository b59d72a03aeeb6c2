// Package control runs a gateway: it loads the configuration, has it compiled, gives listeners and engine what they need, and
// does so again on every reload; it ends them in order. The packages below it are what operators see and where configuration
// comes from. Nothing of it is on the request path.
package control
