// Package xml converts XML to JSON and back, by rules that can be undone. It reads XML as data: there are no DTDs, and no entities but the
// five that XML predefines.
//
// An element is a member, named as the element. Its value is a string where it has text only, "" where it has nothing, and an object where
// it has attributes or elements; elements that repeat are a list, which stands where the first of them stood. Comments and processing
// instructions are left out. The manual's page on formats has the rules in full.
//
// ToJSON holds the document in memory, since an element may repeat up to the end of its parent; Limits.Buffer bounds it. FromJSON streams.
package xml
