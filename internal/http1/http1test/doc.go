// Package http1test has what the tests of http1, of its server and of its client have in common: connections that say certain bytes,
// endpoints and servers on loopback, and the table of answers that leave a doubt. It is for those tests alone, and imports none of
// what they test.
package http1test
