// Package convert holds what the conversions between formats share: the error they make, the bounds they keep, and the reader that keeps
// them. The conversions themselves are in the packages below it, one format each: xml (and xml/soap), form, csv. They know nothing of HTTP
// exchanges; policies and targets may import them.
package convert
