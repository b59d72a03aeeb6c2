package http1test

import "strings"

// Verdict is what becomes of an answer.
type Verdict struct {
	Status int
	Body   string
	Kind   string // of the error; "": none
	Phase  string // of the error: "header" or "body"; "": none
	Reuse  bool   // of the connection
}

// Case is an answer of an endpoint in which there could be a doubt, and what the client makes of it.
type Case struct {
	Name   string
	RFC    string // what the RFCs say, where that is not what they say of the group
	Method string // of the request
	Answer string
	Want   Verdict
}

// Group are cases of one topic.
type Group struct {
	Title, RFC string
	Cases      []Case
}

// Meanwhile stands in an answer before what the endpoint says without being asked, once the client has the answer.
const Meanwhile = "<meanwhile>"

// Answers are the cases of all groups that are said in one go.
func Answers() (all []Case) {
	for _, g := range AnswerGroups() {
		for _, c := range g.Cases {
			if !strings.Contains(c.Answer, Meanwhile) {
				all = append(all, c)
			}
		}
	}
	return all
}

// OK is how a good answer begins.
const OK = "HTTP/1.1 200 OK\r\n"

// AnswerGroups are answers, good and hostile ones. In what is not HTTP no byte is passed on as part of a body.
func AnswerGroups() []Group {
	bad := Verdict{Kind: "malformed", Phase: "header"}
	badBody := Verdict{Status: 200, Kind: "malformed", Phase: "body"}
	cut := Verdict{Kind: "reset", Phase: "header"}
	large := Verdict{Kind: "too large", Phase: "header"}
	good := func(body string, reuse bool) Verdict { return Verdict{Status: 200, Body: body, Reuse: reuse} }
	broken := func(body, kind string) Verdict {
		return Verdict{Status: 200, Body: body, Kind: kind, Phase: "body"}
	}
	chunked := OK + "Transfer-Encoding: chunked\r\n\r\n"
	return []Group{
		{"How messages end", "right: taken (9112 §4 to §7)", []Case{
			{"length", "", "GET", OK + "Content-Length: 5\r\n\r\nhello", good("hello", true)},
			{"no body", "", "GET", OK + "Content-Length: 0\r\n\r\n", good("", true)},
			{"chunks", "", "GET", chunked + "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", good("hello!", true)},
			{"chunk extension", "right; ignored when unknown (9112 §7.1.1)", "GET", chunked + "5;a=b\r\nhello\r\n0\r\n\r\n", good("hello", true)},
			{"trailer", "right (9112 §7.1.2)", "GET", chunked + "0\r\nX-A: 1\r\n\r\n", good("", true)},
			{"until it closes", "right: no telling whether it is whole (9112 §8)", "GET", OK + "\r\nhello", good("hello", false)},
			{"204", "", "GET", "HTTP/1.1 204 No Content\r\n\r\n", Verdict{Status: 204, Reuse: true}},
			{"304 with a length", "", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", Verdict{Status: 304, Reuse: true}},
			{"HEAD with a length", "", "HEAD", OK + "Content-Length: 5\r\n\r\n", good("", true)},
			{"HEAD with chunks announced", "", "HEAD", OK + "Transfer-Encoding: chunked\r\n\r\n", good("", true)},
			{"interim answers", "any number (9110 §15.2)", "GET", "HTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + OK + "Content-Length: 1\r\n\r\nx", good("x", true)},
			{"no reason", "may be empty (9112 §4)", "GET", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", good("", true)},
			{"same length twice in one field", "502, or taken as one (9110 §8.6)", "GET", OK + "Content-Length: 1, 1\r\n\r\nx", bad},
			{"no reason and no space", "a space must be there (9112 §4)", "GET", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", good("", true)},
			{"204 with a length of nought", "must not be sent (9110 §8.6)", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", Verdict{Status: 204, Reuse: true}},
			{"205 with a length of nought", "has none (9110 §15.3.6)", "GET", "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", Verdict{Status: 205, Reuse: true}},
		}},
		{"What may follow on the connection", "what comes after the end is no answer: the connection ends (9112 §9.2)", []Case{
			{"HTTP/1.0", "ends the connection where nothing else is said (9112 §9.3)", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", good("hello", false)},
			{"HTTP/1.0 kept", "persists (9112 §9.3)", "GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", good("hello", true)},
			{"HTTP/1.0 in chunks", "framing is faulty: the connection ends (9112 §6.1)", "GET", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", bad},
			{"to be closed", "ends the connection (9112 §9.6)", "GET", OK + "Connection: close\r\nContent-Length: 5\r\n\r\nhello", good("hello", false)},
			{"surplus bytes", "", "GET", OK + "Content-Length: 5\r\n\r\nhello!", good("hello", false)},
			{"an answer too many", "", "GET", OK + "Content-Length: 5\r\n\r\nhello" + OK + "Content-Length: 4\r\n\r\nevil", good("hello", false)},
			{"surplus after chunks", "", "GET", chunked + "0\r\n\r\nx", good("", false)},
			{"body after HEAD", "has none; what follows is no answer (9112 §6.3, §9.2)", "HEAD", OK + "Content-Length: 5\r\n\r\nhello", good("", false)},
			{"body after 304", "has none; what follows is no answer (9112 §6.3, §9.2)", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello", Verdict{Status: 304}},
			{"body after 204", "has none; what follows is no answer (9112 §6.3, §9.2)", "GET", "HTTP/1.1 204 No Content\r\n\r\nhello", Verdict{Status: 204}},
			{"answer to no request, while idle", "no answer: the connection ends (9112 §9.2)", "GET", OK + "Content-Length: 5\r\n\r\nhello" + Meanwhile + OK + "Content-Length: 4\r\n\r\nevil", good("hello", false)},
			{"408 to no request, while idle", "no answer: the connection ends (9112 §9.2)", "GET", OK + "Content-Length: 5\r\n\r\nhello" + Meanwhile + "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n", good("hello", false)},
			{"one byte, while idle", "no answer: the connection ends (9112 §9.2)", "GET", OK + "Content-Length: 5\r\n\r\nhello" + Meanwhile + "\n", good("hello", false)},
			{"answer after 304 and a length", "has none; what follows is no answer (9112 §6.3, §9.2)", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n" + OK + "Content-Length: 4\r\n\r\nevil", Verdict{Status: 304}},
		}},
		{"Doubts about where a message ends", "502, and the connection ends (9112 §6.3)", []Case{
			{"both lengths", "may be an error; else the coding wins, and Content-Length goes (9112 §6.3)", "GET", OK + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", bad},
			{"both lengths, other order", "may be an error; else the coding wins, and Content-Length goes (9112 §6.3)", "GET", OK + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", bad},
			{"two lengths", "", "GET", OK + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", bad},
			{"one length twice", "502, or taken as one (9110 §8.6)", "GET", OK + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", bad},
			{"negative length", "", "GET", OK + "Content-Length: -1\r\n\r\n", bad},
			{"signed length", "", "GET", OK + "Content-Length: +1\r\n\r\nx", bad},
			{"hexadecimal length", "", "GET", OK + "Content-Length: 0x1\r\n\r\nx", bad},
			{"length with a blank", "", "GET", OK + "Content-Length: 1 1\r\n\r\nx", bad},
			{"empty length", "", "GET", OK + "Content-Length: \r\n\r\n", bad},
			{"endless length", "must not overflow (9110 §8.6)", "GET", OK + "Content-Length: 99999999999999999999\r\n\r\nx", bad},
			{"unknown coding", "not chunked last: until the connection ends (9112 §6.3)", "GET", OK + "Transfer-Encoding: gzip\r\n\r\n", bad},
			{"coding after chunked", "not chunked last: until the connection ends (9112 §6.3)", "GET", OK + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", bad},
			{"chunked twice", "must not be applied twice (9112 §6.1)", "GET", OK + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", bad},
			{"chunked in two fields", "must not be applied twice (9112 §6.1)", "GET", OK + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", bad},
			{"chunked, sort of", "", "GET", OK + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", bad},
			{"chunked with a tab", "", "GET", OK + "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n", bad},
			{"chunks in 204", "must not be sent (9112 §6.1)", "GET", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", bad},
			{"length in 103", "must not be sent (9110 §8.6)", "GET", "HTTP/1.1 103 Hints\r\nContent-Length: 5\r\n\r\nhello" + OK + "\r\n", bad},
			{"length in 204", "must not be sent (9110 §8.6)", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", bad},
			{"length in 100", "must not be sent (9110 §8.6)", "GET", "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\nhello" + OK + "\r\n", bad},
			{"length behind a bare CR", "malformed, or replaced by a space (9112 §2.2)", "GET", OK + "X-A: 1\rContent-Length: 1\r\n\r\nx", bad},
			{"two lengths, one after a fold", "502, or replaced by a space (9112 §5.2)", "GET", OK + "Content-Length: 1\r\n 0\r\n\r\nx", bad},
			{"blank before the colon of a coding", "whitespace is removed (9112 §5.1)", "GET", OK + "Transfer-Encoding : chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", bad},
		}},
		{"Heads", "malformed: no answer to pass on (9112 §4, §5)", []Case{
			{"bare LF after the status", "may be taken as the end of a line (9112 §2.2)", "GET", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", bad},
			{"bare LF after a field", "may be taken as the end of a line (9112 §2.2)", "GET", OK + "X-A: 1\nContent-Length: 0\r\n\r\n", bad},
			{"bare LF at the end", "may be taken as the end of a line (9112 §2.2)", "GET", OK + "Content-Length: 0\r\n\n", bad},
			{"bare CR in a value", "malformed, or replaced by a space (9112 §2.2)", "GET", OK + "X-A: 1\rX-B: 2\r\nContent-Length: 0\r\n\r\n", bad},
			{"NUL in a value", "malformed, or replaced by a space (9110 §5.5)", "GET", OK + "X-A: \x00\r\nContent-Length: 0\r\n\r\n", bad},
			{"control character in a value", "invalid; may be kept where it is safe (9110 §5.5)", "GET", OK + "X-A: \x01\r\nContent-Length: 0\r\n\r\n", bad},
			{"folded line", "502, or replaced by a space (9112 §5.2)", "GET", OK + "X-A: 1\r\n b\r\nContent-Length: 0\r\n\r\n", bad},
			{"blank before the colon", "whitespace is removed (9112 §5.1)", "GET", OK + "Content-Length : 0\r\n\r\n", bad},
			{"blank before the name", "refused, or the line is skipped (9112 §2.2)", "GET", OK + " Content-Length: 0\r\n\r\n", bad},
			{"no colon", "", "GET", OK + "no colon\r\n\r\n", bad},
			{"no name", "", "GET", OK + ": x\r\n\r\n", bad},
			{"name that is none", "", "GET", OK + "X(A): x\r\n\r\n", bad},
			{"empty line first", "", "GET", "\r\n" + OK + "Content-Length: 0\r\n\r\n", bad},
			{"status of letters", "", "GET", "HTTP/1.1 abc OK\r\n\r\n", bad},
			{"status of two digits", "", "GET", "HTTP/1.1 20 OK\r\n\r\n", bad},
			{"status of four digits", "", "GET", "HTTP/1.1 2000 OK\r\n\r\n", bad},
			{"status below 100", "three digits, the first from 1 to 5 (9110 §15)", "GET", "HTTP/1.1 099 OK\r\n\r\n", bad},
			{"HTTP/2.0", "", "GET", "HTTP/2.0 200 OK\r\n\r\n", bad},
			{"HTTP/1.2", "to be taken as 1.1 (9110 §2.5)", "GET", "HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n", bad},
			{"http in lower case", "", "GET", "http/1.1 200 OK\r\n\r\n", bad},
			{"two blanks", "", "GET", "HTTP/1.1  200 OK\r\n\r\n", bad},
			{"another protocol", "", "GET", "SSH-2.0-OpenSSH_9.2\r\n", bad},
			{"TLS", "", "GET", "\x15\x03\x01\x00\x02\x02\x0a", bad},
			{"a request", "", "GET", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", bad},
			{"unasked switch", "must not be sent unasked (9110 §15.2.2)", "GET", "HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", bad},
			{"endless interim answers", "any number; a client may give up (9110 §15.2)", "GET", strings.Repeat("HTTP/1.1 102 Wait\r\n\r\n", 200), bad},
			{"large head", "to be bounded (9110 §5.4)", "GET", OK + "X-A: " + strings.Repeat("a", 8<<10) + "\r\n\r\n", large},
			{"endless head", "to be bounded (9110 §5.4)", "GET", OK + strings.Repeat("X-A: aaaaaaaaaaaaaaaa\r\n", 1000), large},
			{"endless reason", "to be bounded (9110 §5.4)", "GET", "HTTP/1.1 200 " + strings.Repeat("a", 8<<10), large},
			{"status with a sign", "", "GET", "HTTP/1.1 +20 OK\r\n\r\n", bad},
			{"ICY", "", "GET", "ICY 200 OK\r\n\r\n", bad},
			{"NUL in the reason", "", "GET", "HTTP/1.1 200 O\x00K\r\nContent-Length: 0\r\n\r\n", bad},
			{"NUL in a name", "a token (9110 §5.1)", "GET", OK + "X-\x00A: 1\r\nContent-Length: 0\r\n\r\n", bad},
		}},
		{"Chunks", "malformed, so incomplete (9112 §7.1, §8)", []Case{
			{"size that is none", "", "GET", chunked + "zz\r\n", badBody},
			{"size with a sign", "", "GET", chunked + "+5\r\nhello\r\n0\r\n\r\n", badBody},
			{"size with 0x", "", "GET", chunked + "0x5\r\nhello\r\n0\r\n\r\n", badBody},
			{"size with a blank before", "", "GET", chunked + " 5\r\nhello\r\n0\r\n\r\n", badBody},
			{"size with a blank after", "malformed; whitespace is for extensions, and bad (9112 §7.1.1)", "GET", chunked + "5 \r\nhello\r\n0\r\n\r\n", badBody},
			{"no size", "", "GET", chunked + "\r\nhello\r\n0\r\n\r\n", badBody},
			{"endless size", "must not overflow (9112 §7.1)", "GET", chunked + "fffffffffffffffff\r\nx", badBody},
			{"size that overflows", "must not overflow (9112 §7.1)", "GET", chunked + "ffffffffffffffff\r\nx", badBody},
			{"bare LF after the size", "", "GET", chunked + "5\nhello\r\n0\r\n\r\n", badBody},
			{"bare LF after the data", "", "GET", chunked + "5\r\nhello\n0\r\n\r\n", broken("hello", "malformed")},
			{"data too long", "", "GET", chunked + "5\r\nhello!\r\n0\r\n\r\n", broken("hello", "malformed")},
			{"bare CR in an extension", "", "GET", chunked + "5;a\rb\r\nhello\r\n0\r\n\r\n", badBody},
			{"length in the trailer", "must not be sent, nor merged (9110 §6.5.1)", "GET", chunked + "0\r\nContent-Length: 5\r\n\r\n", badBody},
			{"length announced as a trailer", "must not be sent (9110 §6.5.1)", "GET", OK + "Transfer-Encoding: chunked\r\nTrailer: content-length\r\n\r\n0\r\n\r\n", bad},
			{"bare LF in the trailer", "may be taken as the end of a line (9112 §2.2)", "GET", chunked + "0\r\nX-A: 1\n\r\n", badBody},
			{"large trailer", "to be bounded (9110 §5.4)", "GET", chunked + "0\r\nX-A: " + strings.Repeat("a", 32<<10) + "\r\n\r\n", badBody},
			{"bare CR behind a backslash", "malformed (9112 §7.1.1)", "GET", chunked + "5;a=\"\\\r\"\r\nhello\r\n0\r\n\r\n", badBody},
		}},
		{"Ends too soon", "incomplete; to be marked as such (9112 §8)", []Case{
			{"nothing", "", "GET", "", cut},
			{"half a version", "", "GET", "HTT", cut},
			{"half a status line", "", "GET", "HTTP/1.1 20", cut},
			{"half a head", "", "GET", OK + "Content-Le", cut},
			{"only an interim answer", "", "GET", "HTTP/1.1 103 Hints\r\n\r\n", cut},
			{"short of its length", "", "GET", OK + "Content-Length: 10\r\n\r\nhello", broken("hello", "truncated")},
			{"no body at all", "", "GET", OK + "Content-Length: 10\r\n\r\n", broken("", "truncated")},
			{"no last chunk", "", "GET", chunked + "5\r\nhello\r\n", broken("hello", "truncated")},
			{"half a chunk", "", "GET", chunked + "5\r\nhel", broken("hel", "truncated")},
			{"half a size", "", "GET", chunked + "5", broken("", "truncated")},
			{"no end of the trailer", "", "GET", chunked + "5\r\nhello\r\n0\r\n", broken("hello", "truncated")},
			{"half a trailer", "", "GET", chunked + "5\r\nhello\r\n0\r\nX-A: 1\r\n", broken("hello", "truncated")},
		}},
	}
}
