// Package memory keeps stored responses in memory, bounded by the bytes that they take there with all that finds them. What it lets go is
// garbage: who reads it goes on reading. It knows nothing of HTTP, of age, nor of purges. The cache imports it, and nobody else.
package memory
