package http1

// common are names and methods that most messages have. A head's own bytes are new to the processor's cache when its header is made;
// these are not, and are hashed and compared sooner.
var common = makeWords(
	"GET", "POST", "PUT", "HEAD", "PATCH", "DELETE", "OPTIONS",
	"Accept", "Accept-Encoding", "Accept-Language", "Accept-Ranges", "Age", "Authorization", "Cache-Control", "Connection",
	"Content-Encoding", "Content-Language", "Content-Length", "Content-Type", "Cookie", "Date", "Etag", "Expect", "Expires", "Host",
	"If-Modified-Since", "If-None-Match", "Last-Modified", "Link", "Location", "Origin", "Pragma", "Referer", "Sec-Fetch-Dest",
	"Sec-Fetch-Mode", "Sec-Fetch-Site", "Server", "Set-Cookie", "Strict-Transport-Security", "Te", "Traceparent", "Tracestate", "Trailer",
	"Transfer-Encoding", "Upgrade", "User-Agent", "Vary", "Via", "X-Content-Type-Options", "X-Forwarded-For", "X-Forwarded-Host",
	"X-Forwarded-Proto", "X-Frame-Options", "X-Powered-By", "X-Real-Ip", "X-Request-Id",
)

// words is a table of strings that no two of have the same place in.
type words struct {
	slots  [1024]string
	factor uint32
}

// makeWords looks for a table without collisions. Of words that collide in all that it tries, the first stays; a test sees that.
func makeWords(all ...string) *words {
	var w *words
	for factor := uint32(0x9e3779b1); factor < 0x9e3779b1+2000; factor += 2 {
		w = &words{factor: factor}
		placed := 0
		for _, word := range all {
			if slot := &w.slots[w.place([]byte(word))]; *slot == "" {
				*slot = word
				placed++
			}
		}
		if placed == len(all) {
			break
		}
	}
	return w
}

// place is where a word stands, by its length and four of its bytes.
func (w *words) place(b []byte) uint32 {
	n := len(b)
	key := uint32(b[0]) | uint32(b[n/2])<<8 | uint32(b[max(0, n-2)])<<16 | uint32(b[n-1])<<24
	return (key ^ uint32(n)<<5) * w.factor >> 22
}

// find returns the word that b is, or "". B has at least one byte.
func (w *words) find(b []byte) string {
	if word := w.slots[w.place(b)]; word == string(b) {
		return word
	}
	return ""
}
