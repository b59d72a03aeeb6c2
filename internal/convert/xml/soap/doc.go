// Package soap converts SOAP 1.1 and 1.2 envelopes to JSON and back, in both directions: a REST client before a SOAP service, and a SOAP
// client before a REST service. What stands in an envelope follows the rules of package xml. Faults are values that the caller makes a
// response of. Attachments (MTOM, SOAP with attachments) are refused.
package soap
