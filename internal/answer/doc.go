// Package answer is an answer that a configuration says: a status, fields, and a body that is fixed or made by a template.
//
// It says nothing about when it is given. The target `respond` and policies that answer with something of the user's import it.
package answer
