package gatewaytest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"cardea.dev/cardea/gatewaytest"
)

// grpcService does what a request says: it answers, fails or waits.
type grpcService struct {
	pb.UnimplementedTestServiceServer
	began, left chan struct{} // a call that waits has begun; it has ended
}

func (s *grpcService) UnaryCall(ctx context.Context, r *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	if string(r.GetPayload().GetBody()) == "wait" {
		s.began <- struct{}{}
		<-ctx.Done()
		s.left <- struct{}{}
		return nil, ctx.Err()
	}
	_ = grpc.SetTrailer(ctx, metadata.Pairs("x-sum", "7", "x-bin", "\x00\xff"))
	if st := r.GetResponseStatus(); st != nil {
		return nil, status.Error(codes.Code(st.GetCode()), st.GetMessage())
	}
	_ = grpc.SetHeader(ctx, metadata.Pairs("x-head", "yes"))
	return &pb.SimpleResponse{Payload: r.GetPayload()}, nil
}

func (s *grpcService) StreamingOutputCall(r *pb.StreamingOutputCallRequest, to grpc.ServerStreamingServer[pb.StreamingOutputCallResponse]) error {
	for _, p := range r.GetResponseParameters() {
		if err := to.Send(&pb.StreamingOutputCallResponse{Payload: &pb.Payload{Body: make([]byte, p.GetSize())}}); err != nil {
			return err
		}
	}
	if st := r.GetResponseStatus(); st != nil {
		return status.Error(codes.Code(st.GetCode()), st.GetMessage())
	}
	return nil
}

func (s *grpcService) StreamingInputCall(from grpc.ClientStreamingServer[pb.StreamingInputCallRequest, pb.StreamingInputCallResponse]) error {
	size := 0
	for {
		r, err := from.Recv()
		if err == io.EOF {
			return from.SendAndClose(&pb.StreamingInputCallResponse{AggregatedPayloadSize: int32(size)})
		}
		if err != nil {
			return err
		}
		size += len(r.GetPayload().GetBody())
	}
}

func (s *grpcService) FullDuplexCall(both grpc.BidiStreamingServer[pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse]) error {
	for {
		r, err := both.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := both.Send(&pb.StreamingOutputCallResponse{Payload: r.GetPayload()}); err != nil {
			return err
		}
	}
}

// startGRPC starts the service, and returns its address.
func startGRPC(t *testing.T) (*grpcService, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, up := &grpcService{began: make(chan struct{}, 8), left: make(chan struct{}, 8)}, grpc.NewServer()
	pb.RegisterTestServiceServer(up, s)
	go func() { _ = up.Serve(l) }()
	t.Cleanup(up.Stop)
	return s, l.Addr().String()
}

// grpcClient is a client of a gateway.
func grpcClient(t *testing.T, g *gatewaytest.Gateway) pb.TestServiceClient {
	t.Helper()
	conn, err := grpc.NewClient(strings.TrimPrefix(g.URL, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return pb.NewTestServiceClient(conn)
}

// policiesBesideGRPC are at the root, for routes of all kinds; those of gRPC inherit them.
const policiesBesideGRPC = `
compress: {min: 1}
coalesce: {}
cache: {ttl: 5m, methods: [POST]}
fallback: {try: [last_good, {json: {items: []}}], on: [4xx, 5xx, upstream], after: 3s}
transform: {response: {set: {seen: true}}}
validate: {response: {type: object}, responses: report}
timeout: 20s
`

func TestGRPCBesidePolicies(t *testing.T) {
	for name, policies := range map[string]string{"none": "", "inherited": policiesBesideGRPC} {
		t.Run(name, func(t *testing.T) {
			s, addr := startGRPC(t)
			g := gatewaytest.New(t, policies+`
upstreams: {u: {endpoints: "h2c://`+addr+`"}, down: {endpoints: "h2c://127.0.0.1:1", retry: off}}
routes:
  - {match: {path: /grpc.testing.TestService/UnaryCall, header: {x-to: down}}, to: down}
  - {match: {path: /grpc.testing.TestService/UnaryCall, header: {x-to: short}}, to: u, timeout: 300ms}
  - {match: /grpc.testing.TestService/*, to: u}
`)
			c := grpcClient(t, g)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			t.Run("unary", func(t *testing.T) { grpcUnary(ctx, t, c) })
			t.Run("streams", func(t *testing.T) { grpcStreams(ctx, t, c) })
			t.Run("ends", func(t *testing.T) { grpcEnds(ctx, t, s, c) })
			t.Run("errors", func(t *testing.T) { grpcErrors(ctx, t, c) })
			if log := g.Log(); strings.Contains(log, "panic") {
				t.Error(log)
			}
		})
	}
}

// grpcUnary are single messages, twice each: nothing is anybody else's answer.
func grpcUnary(ctx context.Context, t *testing.T, c pb.TestServiceClient) {
	for _, body := range []string{"", `{"a": 1}`, strings.Repeat("\x00\xff", 300_000), `{"a": 1}`, `{"b": 2}`} {
		for _, options := range [][]grpc.CallOption{nil, {grpc.UseCompressor(gzip.Name)}} {
			var head, trailer metadata.MD
			got, err := c.UnaryCall(ctx, &pb.SimpleRequest{Payload: &pb.Payload{Body: []byte(body)}}, append(options, grpc.Header(&head), grpc.Trailer(&trailer))...)
			if err != nil || string(got.GetPayload().GetBody()) != body {
				t.Errorf("%.10q: %d bytes, %v", body, len(got.GetPayload().GetBody()), err)
			}
			if len(head["x-head"]) != 1 || len(trailer["x-sum"]) != 1 || len(trailer["x-bin"]) != 1 || trailer["x-bin"][0] != "\x00\xff" || head["cardea-fallback"] != nil {
				t.Errorf("%.10q: %v, %v", body, head, trailer)
			}
		}
	}
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ { // by trailers alone
		var trailer metadata.MD
		_, err := c.UnaryCall(ctx, &pb.SimpleRequest{ResponseStatus: &pb.EchoStatus{Code: int32(code), Message: "so: ü\n%"}}, grpc.Trailer(&trailer))
		if status.Code(err) != code || status.Convert(err).Message() != "so: ü\n%" || len(trailer["x-sum"]) != 1 {
			t.Errorf("%v: %v, %v", code, err, trailer)
		}
	}
}

// grpcStreams are streams either way and both ways, the last with an answer to each message before the next.
func grpcStreams(ctx context.Context, t *testing.T, c pb.TestServiceClient) {
	sizes := []*pb.ResponseParameters{{Size: 0}, {Size: 1}, {Size: 200_000}, {Size: 3}}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := c.StreamingOutputCall(ctx, &pb.StreamingOutputCallRequest{ResponseParameters: sizes, ResponseStatus: &pb.EchoStatus{Code: int32(codes.DataLoss), Message: "after all"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range sizes {
		if got, err := out.Recv(); err != nil || len(got.GetPayload().GetBody()) != int(want.GetSize()) {
			t.Fatalf("%v, %d", err, want.GetSize())
		}
	}
	if _, err = out.Recv(); status.Code(err) != codes.DataLoss || status.Convert(err).Message() != "after all" {
		t.Errorf("the end: %v", err)
	}
	in, err := c.StreamingInputCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if err := in.Send(&pb.StreamingInputCallRequest{Payload: &pb.Payload{Body: make([]byte, 50_000)}}); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := in.CloseAndRecv(); err != nil || got.GetAggregatedPayloadSize() != 250_000 {
		t.Errorf("%v, %v", got, err)
	}
	both, err := c.FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{"one", `{"two": 2}`, ""} {
		if err := both.Send(&pb.StreamingOutputCallRequest{Payload: &pb.Payload{Body: []byte(body)}}); err != nil {
			t.Fatal(err)
		}
		if got, err := both.Recv(); err != nil || string(got.GetPayload().GetBody()) != body {
			t.Fatalf("%v, %v", got, err)
		}
	}
	_ = both.CloseSend()
	if _, err := both.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the end: %v", err)
	}
}

// grpcEnds are calls that end before they are answered; the service learns of it.
func grpcEnds(ctx context.Context, t *testing.T, s *grpcService, c pb.TestServiceClient) {
	wait := &pb.SimpleRequest{Payload: &pb.Payload{Body: []byte("wait")}}
	limited, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if _, err := c.UnaryCall(limited, wait); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("the client's deadline: %v", err)
	}
	<-s.began
	<-s.left
	left, leave := context.WithCancel(ctx)
	go func() { <-s.began; leave() }()
	if _, err := c.UnaryCall(left, wait); status.Code(err) != codes.Canceled {
		t.Errorf("cancelled: %v", err)
	}
	<-s.left
	both, err := c.FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_ = both.CloseSend()
	if _, err := both.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("a stream without a message: %v", err)
	}
}

// grpcErrors are the gateway's own.
func grpcErrors(ctx context.Context, t *testing.T, c pb.TestServiceClient) {
	for to, want := range map[string]struct {
		code codes.Code
		text string
	}{
		"down":  {codes.Unavailable, "(upstream_connect_failed)"},
		"short": {codes.DeadlineExceeded, "(upstream_timeout)"},
	} {
		_, err := c.UnaryCall(metadata.AppendToOutgoingContext(ctx, "x-to", to), &pb.SimpleRequest{Payload: &pb.Payload{Body: []byte("wait")}})
		if status.Code(err) != want.code || !strings.Contains(err.Error(), want.text) {
			t.Errorf("%s: %v", to, err)
		}
	}
}

// TestPoliciesThatTakeNoGRPC say so to its clients in their own way.
func TestPoliciesThatTakeNoGRPC(t *testing.T) {
	_, addr := startGRPC(t)
	for name, test := range map[string]struct {
		route string
		code  codes.Code
		text  string
	}{
		"transform, of requests": {"to: u, transform: {request: {set: {a: 1}}}", codes.Unknown, "(media_type_unsupported)"},
		"validate, of requests":  {"to: u, validate: {request: {type: object}}", codes.Unknown, "(media_type_unsupported)"},
		"validate, of answers":   {"to: u, validate: {response: {type: object}}", codes.Unavailable, "(response_invalid)"},
		"aggregate":              {"aggregate: {a: POST down/x}", codes.Unavailable, "(upstream_connect_failed)"},
	} {
		t.Run(name, func(t *testing.T) {
			g := gatewaytest.New(t, policiesBesideGRPC+`
upstreams: {u: {endpoints: "h2c://`+addr+`"}, down: {endpoints: "h2c://127.0.0.1:1", retry: off}}
routes: [{match: /**, `+test.route+"}]\n")
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			_, err := grpcClient(t, g).UnaryCall(ctx, &pb.SimpleRequest{Payload: &pb.Payload{Body: []byte("hello")}})
			if status.Code(err) != test.code || !strings.Contains(err.Error(), test.text) || strings.Contains(err.Error(), "unexpected") {
				t.Error(err)
			}
		})
	}
}
