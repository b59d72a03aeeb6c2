package limit

import (
	"net/http"
	"strconv"
	"time"
)

// The fields that tell clients how they stand (draft-ietf-httpapi-ratelimit-headers-10), as http.Header has them. They are lists, whose members
// each have the name of a limit.
const (
	PolicyField = "Ratelimit-Policy" // what may be used in which time
	LeftField   = "Ratelimit"        // what is left, and until when
)

// AppendMember begins a member of a list: its name, to which parameters are added. A name has no quotes and no backslashes.
func AppendMember(b []byte, name string) []byte {
	if len(b) > 0 {
		b = append(b, ", "...)
	}
	return append(append(append(b, '"'), name...), '"')
}

// AppendParameter adds a parameter to a member.
func AppendParameter(b []byte, name string, value int64) []byte {
	return strconv.AppendInt(append(append(append(b, ';'), name...), '='), value, 10)
}

// AppendPolicy appends a member of RateLimit-Policy: so much may be used, requests or bytes, in a window. A window is told in whole seconds; one
// that is shorter is left out.
func AppendPolicy(b []byte, name string, most int64, bytes bool, window time.Duration) []byte {
	b = AppendParameter(AppendMember(b, name), "q", most)
	if bytes {
		b = append(b, `;qu="content-bytes"`...)
	}
	if window >= time.Second {
		b = AppendParameter(b, "w", Seconds(window))
	}
	return b
}

// AppendLeft appends a member of RateLimit: so much is left, and there is more in a time.
func AppendLeft(b []byte, name string, left int64, reset time.Duration) []byte {
	return AppendParameter(AppendParameter(AppendMember(b, name), "r", left), "t", Seconds(reset))
}

// AddField adds values to a field that is a list: what is there stays. Neither slice is changed, now or by who appends to the field: answers may
// share them.
func AddField(h http.Header, name string, values []string) {
	if own := h[name]; len(own) > 0 {
		values = append(own[:len(own):len(own)], values...)
	}
	h[name] = values[:len(values):len(values)]
}

// Seconds is a time in whole seconds, rounded up: who waits so long does not come too early. It is not below 0.
func Seconds(d time.Duration) int64 { return max(0, int64((d+time.Second-1)/time.Second)) }
