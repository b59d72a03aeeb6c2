// Package discover turns the endpoints that a user wrote into addresses, and keeps them up to date: names are looked up in the
// hosts file and in DNS (A, AAAA, SRV), and again when their time to live is over.
//
// It does not connect, check health or balance. Only package upstream imports it.
package discover
