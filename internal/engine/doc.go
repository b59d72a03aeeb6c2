// Package engine runs exchanges: it takes requests from the listeners, finds their route in the current snapshot, takes them
// through policies and target, and writes the answer. It declares Snapshot, the runnable form of a configuration, and swaps it.
//
// It knows no kind of policy or target, reads no configuration file, and opens no upstream connection. Package compile makes its
// snapshots; packages below control tell it which to run.
package engine
