// Package router finds the route of a request: by host, path, method, headers, query, cookies, client
// address and condition.
//
// A Table is built once from the rules of one configuration and never changes. Looking up a request in it
// allocates nothing and takes no more steps for a hundred thousand routes than for ten. The package also holds what
// routing must agree on before it can be safe: the normal form of a request's path (Normalize) and of a
// pattern (ParsePath), so that one resource has one spelling.
//
// It is not a place for policies, upstreams or configuration syntax: a rule comes in already parsed and with
// its condition compiled, and what goes out is the index of a route. It imports no other package of the
// project. Only compile builds tables; engine looks requests up; control explains them.
package router
