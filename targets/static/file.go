package static

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"os"
	"path"
	"strconv"

	"cardea.dev/cardea/filter"
)

// file answers with a file, or a part of it, or the news that the client has it already. What these are is net/http's to decide: it
// is handed a writer that notes what it would copy, and the copying is left to who reads the response's body.
func (s *static) file(ex *filter.Exchange, root *os.Root, file found) *http.Response {
	h := http.Header{}
	if t := mime.TypeByExtension(path.Ext(file.name)); t != "" {
		h["Content-Type"] = []string{t}
	}
	encoding := ""
	if s.precompressed {
		file, encoding = variant(root, file, ex.Request.Header["Accept-Encoding"], h)
	}
	h["Etag"] = []string{etag(file, encoding)}
	switch {
	case file.fallback && s.cacheControl != "":
		h["Cache-Control"] = []string{"no-cache"}
	case s.cacheControl != "":
		h["Cache-Control"] = []string{s.cacheControl}
	}
	w := &capture{header: h}
	r, ranges := prepareRanges(ex.Request, file.info.Size())
	http.ServeContent(w, r, file.name, file.info.ModTime(), file.f)
	return w.response(ex, file, ranges)
}

// etag is a tag made of a file's time and size.
func etag(file found, encoding string) string {
	b := append(make([]byte, 0, 48), '"')
	b = strconv.AppendInt(b, file.info.ModTime().UnixNano(), 36)
	b = append(b, '-')
	b = strconv.AppendInt(b, file.info.Size(), 36)
	if encoding != "" {
		b = append(append(b, '-'), encoding...)
	}
	return string(append(b, '"'))
}

// capture is a http.ResponseWriter that notes what would be written.
type capture struct {
	header http.Header
	status int
	body   *io.LimitedReader // what would be copied from the file
	text   []byte            // what was written otherwise
}

func (w *capture) Header() http.Header { return w.header }

func (w *capture) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *capture) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.text = append(w.text, p...)
	return len(p), nil
}

// ReadFrom notes the part of the file that is to be sent, and says that it was.
func (w *capture) ReadFrom(r io.Reader) (int64, error) {
	if part, ok := r.(*io.LimitedReader); ok {
		w.WriteHeader(http.StatusOK)
		w.body = part
		return part.N, nil
	}
	return io.Copy(struct{ io.Writer }{w}, r)
}

// response makes a response of what was noted. It owns the file from here on.
func (w *capture) response(ex *filter.Exchange, file found, ranges []byteRange) *http.Response {
	resp := &http.Response{StatusCode: w.status, ProtoMajor: 1, ProtoMinor: 1, Request: ex.Request, Header: w.header, Body: http.NoBody}
	head := ex.Request.Method == http.MethodHead
	length := int64(len(w.text))
	switch {
	case len(ranges) > 1 && w.status == http.StatusPartialContent:
		w.body = multipartBody(w.header, file, ranges)
		length = w.body.N
	case w.body != nil:
		length = w.body.N
	case w.status == http.StatusNotModified, w.status == http.StatusPreconditionFailed && len(w.text) == 0:
		length = 0
	case head && w.status == http.StatusOK:
		length = file.info.Size()
	case head && w.status == http.StatusPartialContent:
		length, _ = strconv.ParseInt(w.header.Get("Content-Length"), 10, 64)
	}
	resp.ContentLength = length
	if w.status != http.StatusNotModified {
		w.header["Content-Length"] = []string{strconv.FormatInt(length, 10)}
	}
	switch {
	case w.body != nil && !head:
		resp.Body = &fileBody{part: w.body, f: file.f}
		return resp
	case len(w.text) > 0 && !head:
		resp.Body = io.NopCloser(bytes.NewReader(w.text))
	}
	file.close()
	return resp
}

// fileBody reads a part of a file.
type fileBody struct {
	part *io.LimitedReader
	f    *os.File
}

// Read reads on. A file that has become shorter in the meantime does not end well: its length was promised.
func (b *fileBody) Read(p []byte) (int, error) {
	n, err := b.part.Read(p)
	if err == io.EOF && b.part.N > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Close closes the file.
func (b *fileBody) Close() error { return b.f.Close() }
