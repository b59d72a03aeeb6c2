package redis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// mode is how servers stand together.
type mode string

const (
	single   mode = ""
	cluster  mode = "cluster"
	sentinel mode = "sentinel"
)

// target is what a URL says.
type target struct {
	mode     mode
	hosts    []string // HOST:PORT
	user     string
	password string
	number   int
	timeout  time.Duration
	tls      *files // nil: without TLS

	master                         string // of sentinels
	sentinelUser, sentinelPassword string
}

// files are what TLS needs beyond what the system has.
type files struct{ ca, cert, key, name string }

// syntax is what a URL may be.
const syntax = "redis://HOST:PORT, redis://USER:PASSWORD@HOST:PORT/NUMBER, redis+cluster://HOST:PORT,HOST:PORT or redis+sentinel://HOST:PORT,HOST:PORT?master=NAME, " +
	"and with TLS rediss://, rediss+cluster:// and rediss+sentinel://"

// errURL says that a URL is not one of Redis. The URL is not shown: there may be a password in it.
var errURL = errors.New("the URL is not one of Redis: " + syntax)

// parse reads a URL.
func parse(text string) (*target, error) {
	scheme, rest, _ := strings.Cut(text, "://")
	scheme, kind, composed := strings.Cut(scheme, "+")
	t := &target{mode: mode(kind), timeout: timeout}
	switch {
	case scheme == "rediss" || scheme == "valkeys":
		t.tls = &files{}
	case scheme != "redis" && scheme != "valkey":
		return nil, errURL
	}
	if composed && t.mode != cluster && t.mode != sentinel {
		return nil, errURL
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	at := strings.LastIndexByte(rest[:end], '@') + 1
	hosts := rest[at:end]
	// The hosts are several, which url.Parse does not know.
	u, err := url.Parse("redis://" + rest[:at] + "host" + rest[end:])
	if err != nil || u.Fragment != "" {
		return nil, errURL
	}
	if t.user = u.User.Username(); u.User != nil {
		t.password, _ = u.User.Password()
	}
	if err := t.addHosts(hosts); err != nil {
		return nil, err
	}
	if err := t.setNumber(u.Path); err != nil {
		return nil, err
	}
	return t, t.setOptions(u.RawQuery)
}

// addHosts reads HOST:PORT,HOST:PORT.
func (t *target) addHosts(text string) error {
	port := "6379"
	if t.mode == sentinel {
		port = "26379"
	}
	for host := range strings.SplitSeq(text, ",") {
		u, err := url.Parse("redis://" + host)
		if err != nil || u.Hostname() == "" || u.Host != host || strings.Contains(u.Hostname(), ":") != strings.HasPrefix(host, "[") {
			return errURL
		}
		p := u.Port()
		if p == "" {
			p = port
		}
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return errURL
		}
		t.hosts = append(t.hosts, net.JoinHostPort(u.Hostname(), p))
	}
	if len(t.hosts) > 1 && t.mode == single {
		return errors.New("several servers are a cluster or sentinels: write redis+cluster:// or redis+sentinel://")
	}
	return nil
}

// setNumber reads the number of a database.
func (t *target) setNumber(path string) error {
	text := strings.TrimPrefix(path, "/")
	if text == "" {
		return nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return errURL
	}
	if n != 0 && t.mode == cluster {
		return errors.New("a cluster has one database only: leave its number out")
	}
	t.number = int(n)
	return nil
}

// setOptions reads what stands after the question mark.
func (t *target) setOptions(query string) error {
	options, err := url.ParseQuery(query)
	if err != nil {
		return errURL
	}
	known := map[string]*string{}
	wait := ""
	known["timeout"] = &wait
	if t.mode == sentinel {
		known["master"], known["sentinel_user"], known["sentinel_password"] = &t.master, &t.sentinelUser, &t.sentinelPassword
	}
	if t.tls != nil {
		known["ca"], known["cert"], known["key"], known["server_name"] = &t.tls.ca, &t.tls.cert, &t.tls.key, &t.tls.name
	}
	for name, values := range options {
		value := known[name]
		if value == nil || len(values) != 1 || values[0] == "" {
			return errors.New("an option of the Redis URL is unknown, empty or there twice: there is timeout, with TLS also ca, cert, key and server_name, and for sentinels master, sentinel_user and sentinel_password")
		}
		*value = values[0]
	}
	if t.mode == sentinel && t.master == "" {
		return errors.New("the Redis URL has no ?master=NAME: sentinels know several masters by their names")
	}
	if wait != "" {
		if t.timeout, err = time.ParseDuration(wait); err != nil || t.timeout < time.Millisecond || t.timeout > time.Minute {
			return errors.New("the timeout of the Redis URL is no time from 1ms to 1m")
		}
	}
	if t.tls != nil {
		_, err = t.tls.config("")
	}
	return err
}

// config reads the files, and returns what to speak TLS with to a server.
func (f *files) config(address string) (*tls.Config, error) {
	name := f.name
	if name == "" {
		name, _, _ = net.SplitHostPort(address)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: name}
	if f.ca != "" {
		pem, err := os.ReadFile(f.ca)
		if err != nil {
			return nil, fmt.Errorf("cannot read the CA of Redis: %w", err)
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("there is no certificate in %s", f.ca)
		}
	}
	if (f.cert == "") != (f.key == "") {
		return nil, errors.New("the Redis URL has a cert without a key, or a key without a cert")
	}
	if f.cert != "" {
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return nil, fmt.Errorf("cannot read the certificate for Redis: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// dial connects. Files of TLS are read each time, so that renewed ones hold without a restart.
func (t *target) dial(ctx context.Context, address string, dialer *net.Dialer, _ *tls.Config) (net.Conn, error) {
	if t.tls == nil {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		return newGuard(conn, t.mode == sentinel), nil
	}
	c, err := t.tls.config(address)
	if err != nil {
		return nil, err
	}
	d := tls.Dialer{NetDialer: dialer, Config: c}
	ctx, cancel := context.WithTimeout(ctx, max(dialer.Timeout, t.timeout)) // the dialer's own does not hold for the handshake in all cases
	defer cancel()
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return newGuard(conn, t.mode == sentinel), nil
}

// options are what the library needs to know. Buffers are small: by default each connection would take 1.3 MiB. Pipelining reads all the time: so it
// is noticed at once when the server closes a connection that is idle, and an answer that is late costs no connection.
func (t *target) options() rueidis.ClientOption {
	o := rueidis.ClientOption{
		InitAddress: slices.Clone(t.hosts), Username: t.user, Password: t.password, SelectDB: t.number, DialCtxFn: t.dial,
		ReadBufferEachConn: 32 << 10, WriteBufferEachConn: 32 << 10, RingScaleEachConn: 8, PipelineMultiplex: -1, AlwaysPipelining: true,
		DisableCache: true, DisableRetry: true, ForceSingleClient: t.mode == single, ConnWriteTimeout: t.timeout,
		ShuffleInit: t.mode != single,
		Dialer:      net.Dialer{Timeout: t.timeout},
	}
	switch t.mode {
	case cluster:
		o.ClusterOption = rueidis.ClusterOption{ShardsRefreshInterval: refresh, MaxMovedRedirections: 5}
	case sentinel:
		o.Sentinel = rueidis.SentinelOption{
			MasterSet: t.master, Username: t.sentinelUser, Password: t.sentinelPassword, Dialer: o.Dialer, TopologyRefreshInterval: refresh,
		}
	case single:
	}
	return o
}
