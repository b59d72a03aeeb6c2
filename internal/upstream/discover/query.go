package discover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/miekg/dns"
)

// ask sends a question to the servers in turn, until one gives an answer that says something: records, or that there are none.
func (l *lookup) ask(ctx context.Context, full string, kind uint16) (*dns.Msg, error) {
	q := new(dns.Msg)
	q.SetQuestion(dns.CanonicalName(full), kind)
	q.SetEdns0(1232, false)
	var last error
	for range l.conf.Attempts {
		for _, server := range l.conf.Servers {
			msg, err := l.exchange(ctx, q, l.address(server))
			if err == nil {
				return msg, nil
			}
			last = err
			if ctx.Err() != nil {
				return nil, &Error{Name: full, Err: last}
			}
		}
	}
	return nil, &Error{Name: full, Err: last}
}

// exchange asks one server, and over TCP if the answer does not fit.
func (l *lookup) exchange(ctx context.Context, q *dns.Msg, server string) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, l.patience())
	defer cancel()
	q = q.Copy()
	q.Id = dns.Id()
	msg, err := l.over(ctx, "udp", q, server)
	if err == nil && msg.Truncated {
		msg, err = l.over(ctx, "tcp", q, server)
	}
	if err != nil {
		return nil, fmt.Errorf("server %s: %w", server, err)
	}
	if !answers(q, msg) {
		return nil, fmt.Errorf("server %s answered another question", server)
	}
	switch msg.Rcode {
	case dns.RcodeSuccess, dns.RcodeNameError:
		return msg, nil
	case dns.RcodeFormatError, dns.RcodeNotImplemented: // an old server that does not know EDNS
		if q.IsEdns0() != nil {
			q.Extra = nil
			return l.exchange(ctx, q, server)
		}
	}
	return nil, fmt.Errorf("server %s answered %s", server, dns.RcodeToString[msg.Rcode])
}

// over asks a server over a network. The library looks at a context's deadline only; closing the connection makes it heed the rest.
func (l *lookup) over(ctx context.Context, network string, q *dns.Msg, server string) (*dns.Msg, error) {
	client := &dns.Client{Net: network, Timeout: l.patience()}
	c, err := client.DialContext(ctx, server)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	msg, _, err := client.ExchangeWithConnContext(ctx, q, c)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return msg, err
}

func answers(q, msg *dns.Msg) bool {
	return msg.Response && len(msg.Question) == 1 && msg.Question[0].Qtype == q.Question[0].Qtype &&
		dns.CanonicalName(msg.Question[0].Name) == q.Question[0].Name
}

// patience is how long one server is waited for: as resolv.conf says, but so that each has its turn before Options.Timeout.
func (l *lookup) patience() time.Duration {
	turns := time.Duration(len(l.conf.Servers) * l.conf.Attempts)
	return max(100*time.Millisecond, min(time.Duration(l.conf.Timeout)*time.Second, l.o.Timeout/turns))
}

func (l *lookup) address(server string) string {
	if _, _, err := net.SplitHostPort(server); err == nil {
		return server
	}
	return net.JoinHostPort(server, l.conf.Port)
}

// services returns the SRV records of a name, with the whole answer, which may hold addresses too.
func (l *lookup) services(ctx context.Context, name string) ([]*dns.SRV, []dns.RR, time.Duration, error) {
	if l.conf == nil {
		return l.systemServices(ctx, name)
	}
	var extra []dns.RR
	records, ttl, err := search(l, name, func(full string) ([]*dns.SRV, time.Duration, error) {
		msg, err := l.ask(ctx, full, dns.TypeSRV)
		if err != nil {
			return nil, 0, err
		}
		names, ttl := aliases(msg.Answer, full)
		var found []*dns.SRV
		for _, rr := range msg.Answer {
			if srv, ok := rr.(*dns.SRV); ok && dns.CanonicalName(srv.Hdr.Name) == names[len(names)-1] {
				found = append(found, srv)
				ttl = min(ttl, seconds(srv.Hdr.Ttl))
			}
		}
		if len(found) == 0 {
			return nil, negativeTTL(msg), missing(full, msg)
		}
		extra = msg.Extra
		return found, ttl, nil
	})
	if err == nil && len(records) == 1 && records[0].Target == "." { // RFC 2782
		return nil, nil, ttl, &Error{Name: name, NotFound: true, Err: errNoService}
	}
	return records, extra, ttl, err
}

func (l *lookup) systemServices(ctx context.Context, name string) ([]*dns.SRV, []dns.RR, time.Duration, error) {
	_, found, err := net.DefaultResolver.LookupSRV(ctx, "", "", name)
	if err != nil && len(found) == 0 {
		return nil, nil, 0, systemError(name, err)
	}
	var records []*dns.SRV
	for _, s := range found {
		records = append(records, &dns.SRV{Target: s.Target, Port: s.Port, Priority: s.Priority, Weight: s.Weight})
	}
	if len(records) == 0 {
		return nil, nil, 0, &Error{Name: name, NotFound: true, Err: errors.Join(errNoRecords, err)}
	}
	return records, nil, fixedTTL, nil
}
