package health

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// grpcProber asks grpc.health.v1.Health/Check. The two messages have one field each, so that they are written and read by hand:
//
//	message HealthCheckRequest  { string service = 1; }
//	message HealthCheckResponse { ServingStatus status = 1; }
func grpcProber(o Options, d *dialer) prober {
	t := d.transport("http2")
	u := url.URL{Scheme: d.scheme(), Host: d.host(), Path: "/grpc.health.v1.Health/Check"}
	host := o.Host
	if host == "" {
		host = u.Host
	}
	message := checkRequest(o.Service)
	header := o.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Set("Content-Type", "application/grpc")
	header.Set("Te", "trailers")
	header.Set("Grpc-Timeout", fmt.Sprintf("%dm", max(1, o.Timeout.Milliseconds())))
	header.Set("User-Agent", "cardea-health")
	return func(ctx context.Context) (string, error) {
		defer t.CloseIdleConnections()
		req := (&http.Request{
			Method: http.MethodPost, URL: &u, Host: host, Header: header,
			Body: io.NopCloser(bytes.NewReader(message)), ContentLength: int64(len(message)),
		}).WithContext(ctx)
		resp, err := t.RoundTrip(req)
		if err != nil {
			return "", brief(err)
		}
		defer resp.Body.Close()
		return readCheck(resp)
	}
}

// checkRequest is the request in its frame: not compressed, the length, the message.
func checkRequest(service string) []byte {
	var m []byte
	if service != "" {
		m = append(m, 1<<3|2) // field 1, with a length
		m = binary.AppendUvarint(m, uint64(len(service)))
		m = append(m, service...)
	}
	frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(m)))
	return append(frame, m...)
}

var servingStatus = [...]string{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"}

func readCheck(resp *http.Response) (string, error) {
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d", resp.StatusCode)
	}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/grpc") {
		return "", errors.New("the answer is not gRPC")
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return "", fmt.Errorf("cannot read the answer: %w", err)
	}
	if err := callStatus(resp); err != nil {
		return "", err
	}
	status, err := checkResponse(body)
	if err != nil {
		return "", err
	}
	name := fmt.Sprintf("serving status %d", status)
	if status < uint64(len(servingStatus)) {
		name = servingStatus[status]
	}
	if status != 1 {
		return "", errors.New(name)
	}
	return name, nil
}

// callStatus reads how the call went: from the trailers, or from the header of an answer that has nothing else.
func callStatus(resp *http.Response) error {
	from := resp.Trailer
	if from.Get("Grpc-Status") == "" {
		from = resp.Header
	}
	switch status := from.Get("Grpc-Status"); status {
	case "0":
		return nil
	case "":
		return errors.New("the answer has no grpc-status")
	case "5":
		return errors.New("grpc-status 5: the service is not known")
	case "12":
		return errors.New("grpc-status 12: the health service is not implemented")
	default:
		message, err := url.PathUnescape(from.Get("Grpc-Message"))
		if err != nil || len(message) > 200 {
			message = ""
		}
		return fmt.Errorf("grpc-status %.10s: %s", status, message)
	}
}

var errBadMessage = errors.New("the answer's message is not well formed")

// checkResponse takes the status out of the response in its frame. A field that is left out is 0; fields that are not known are
// passed over.
func checkResponse(frame []byte) (uint64, error) {
	if len(frame) < 5 || frame[0] != 0 || uint64(binary.BigEndian.Uint32(frame[1:])) != uint64(len(frame)-5) {
		return 0, errBadMessage
	}
	status, m := uint64(0), frame[5:]
	for len(m) > 0 {
		tag, n := binary.Uvarint(m)
		if n <= 0 {
			return 0, errBadMessage
		}
		m = m[n:]
		skip := uint64(0)
		switch tag & 7 {
		case 0:
			v, n := binary.Uvarint(m)
			if n <= 0 {
				return 0, errBadMessage
			}
			if tag>>3 == 1 {
				status = v
			}
			skip = uint64(n)
		case 1:
			skip = 8
		case 2:
			size, n := binary.Uvarint(m)
			if n <= 0 || size > uint64(len(m)) {
				return 0, errBadMessage
			}
			skip = uint64(n) + size
		case 5:
			skip = 4
		default:
			return 0, errBadMessage
		}
		if skip > uint64(len(m)) {
			return 0, errBadMessage
		}
		m = m[skip:]
	}
	return status, nil
}
