// Package shape is what can be known of JSON values before they are there, by the JSON Schemas that describe them, and checks what refers to them:
// names of members, field operations, programs, and bodies that are written in a configuration.
//
// It is for finding slips, and not for validating: where a schema leaves something open, or it is not sure what it means, everything goes. The rules are
// in docs/decisions/0022-what-a-schema-closes.md. All is done when a configuration is loaded. Targets, policies and packages that serve them may import it.
package shape
