package filter

// Fallback is what stood in for an answer that failed, for those who look on.
type Fallback struct {
	Kind   string // "json", "file", "to", "last_good", …; "none": nothing could; "": nothing had to
	Reason string // why: the code of the error, or the status of the answer: "upstream_timeout", "503"
	Failed string // what was tried before, or in vain, and why it was not to be had
	Cause  string // of the error, for operators
	Common bool   // what stood in is for all who asked for the same at that time, though it says no-store so that nobody keeps it
}
