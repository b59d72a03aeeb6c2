// Package document is JSON documents as they pass through the gateway: read strictly and within bounds, shaped by field operations,
// and written again.
//
// A document is one value of RFC 8259, in UTF-8, without duplicate names and without anything after it but white space. Numbers keep
// their digits: as values they are json.Number, which is the text that came. Editor shapes documents token by token, in bounded memory and
// without changing the order of fields.
//
// It is not a tokenizer (jsontext is), knows no HTTP, and no policy. Policies and targets that read or write documents import it.
package document
