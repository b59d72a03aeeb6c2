package pace

import (
	"context"
	"io"
)

// Reader returns a body whose bytes wait for their turn once they are read. What is there of a source that is slower than the rate does not
// wait. Close does not end a wait; the context does.
func Reader(ctx context.Context, body io.ReadCloser, t *Transfer) io.ReadCloser {
	return &reader{body, ctx, t}
}

type reader struct {
	io.ReadCloser
	ctx      context.Context
	transfer *Transfer
}

// Read reads a piece, and waits until it may pass.
func (r *reader) Read(p []byte) (int, error) {
	if piece := r.transfer.Piece(); len(p) > piece {
		p = p[:piece]
	}
	n, err := r.ReadCloser.Read(p)
	if stopped := r.transfer.Wait(r.ctx, n); stopped != nil {
		return 0, stopped
	}
	return n, err
}

// Tunnel returns a connection whose bytes wait for their turn: those that are read by one transfer, those that are written by another. Nil: they
// do not wait. Close ends waits.
func Tunnel(conn io.ReadWriteCloser, read, write *Transfer) io.ReadWriteCloser {
	t := &tunnel{ReadWriteCloser: conn, read: read, write: write}
	t.ctx, t.cancel = context.WithCancelCause(context.Background())
	if half, ok := conn.(halfCloser); ok {
		return &halfTunnel{t, half}
	}
	return t
}

type tunnel struct {
	io.ReadWriteCloser
	ctx         context.Context
	cancel      context.CancelCauseFunc
	read, write *Transfer
}

// halfCloser is a connection that can say that nothing more will be sent.
type halfCloser interface{ CloseWrite() error }

type halfTunnel struct {
	*tunnel
	halfCloser
}

// Read reads a piece, and waits until it may pass.
func (t *tunnel) Read(p []byte) (int, error) {
	if t.read == nil {
		return t.ReadWriteCloser.Read(p)
	}
	if piece := t.read.Piece(); len(p) > piece {
		p = p[:piece]
	}
	n, err := t.ReadWriteCloser.Read(p)
	if stopped := t.read.Wait(t.ctx, n); stopped != nil {
		return 0, stopped
	}
	return n, err
}

// Write writes in pieces, each when it may pass.
func (t *tunnel) Write(p []byte) (written int, err error) {
	if t.write == nil {
		return t.ReadWriteCloser.Write(p)
	}
	for written < len(p) {
		piece := p[written:min(len(p), written+t.write.Piece())]
		if err := t.write.Wait(t.ctx, len(piece)); err != nil {
			return written, err
		}
		n, err := t.ReadWriteCloser.Write(piece)
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// Close closes the connection and ends waits.
func (t *tunnel) Close() error {
	t.cancel(io.ErrClosedPipe)
	return t.ReadWriteCloser.Close()
}
