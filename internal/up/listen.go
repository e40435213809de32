package up

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// sockets are the bound listeners; nil for those that this role, or the user, does not open.
type sockets struct {
	public, publicTLS, control net.Listener
}

// AddressInUseError: another program listens there.
type AddressInUseError struct {
	Flag    string // the flag that named the address, such as --listen-public
	Address string
}

// Error names the address and the flag.
func (e *AddressInUseError) Error() string {
	return fmt.Sprintf("another program listens on %s (%s)", e.Address, e.Flag)
}

// bind opens the sockets, all or none. Connections wait in them until something accepts.
func bind(c Config) (s sockets, err error) {
	defer func() {
		if err != nil {
			_ = s.close()
			s = sockets{}
		}
	}()
	for _, l := range []struct {
		flag, address string
		role          Role // the one role that does without it
		to            *net.Listener
	}{
		{"--listen-public", c.ListenPublic, RoleControl, &s.public},
		{"--listen-public-tls", c.ListenPublicTLS, RoleControl, &s.publicTLS},
		{"--listen-control", c.ListenControl, RoleEdge, &s.control},
	} {
		if l.address == "" || l.role == c.Role {
			continue
		}
		socket, err := net.Listen(network(l.address), l.address)
		if errors.Is(err, syscall.EADDRINUSE) {
			return s, &AddressInUseError{Flag: l.flag, Address: l.address}
		}
		if err != nil {
			return s, fmt.Errorf("listening on %s (%s): %w", l.address, l.flag, err)
		}
		*l.to = socket
	}
	if s == (sockets{}) {
		return s, errors.New("nothing to listen on: every listener of this role is turned off")
	}
	return s, nil
}

// network is "tcp4" for an IPv4 address. For 0.0.0.0, plain "tcp" would open IPv6 as well, past a firewall
// that was told of IPv4 only.
func network(address string) string {
	if a, err := netip.ParseAddrPort(address); err == nil && a.Addr().Is4() {
		return "tcp4"
	}
	return "tcp"
}

func (s sockets) all() (open []net.Listener) {
	for _, l := range []net.Listener{s.public, s.publicTLS, s.control} {
		if l != nil {
			open = append(open, l)
		}
	}
	return open
}

// close closes what a server has not closed already.
func (s sockets) close() (err error) {
	for _, l := range s.all() {
		if e := l.Close(); e != nil && !errors.Is(e, net.ErrClosed) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// url is the address of a listener as this machine reaches it; "" for none. A listener on all addresses
// is reached by the loopback one. It is an address and never a name: AWS's clients put a bucket into
// the host of a named endpoint, and bucket.localhost does not resolve.
func urlOf(scheme string, l net.Listener) string {
	if l == nil {
		return ""
	}
	a := l.Addr().(*net.TCPAddr).AddrPort()
	ip := a.Addr().Unmap()
	if ip.IsUnspecified() {
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return scheme + "://" + netip.AddrPortFrom(ip, a.Port()).String()
}

// exposed are sentences about listeners that other machines can reach.
func (s sockets) exposed() (warnings []string) {
	for _, l := range s.all() {
		if a := l.Addr().(*net.TCPAddr); !a.IP.IsLoopback() {
			w := fmt.Sprintf("%s can be reached from other machines", a)
			if l == s.control {
				w += ", and the control listener speaks plain HTTP: put TLS in front of it"
			}
			warnings = append(warnings, w)
		}
	}
	return warnings
}
