package edge

import (
	"net/http"
	"net/netip"
	"strings"
)

// peer is the address at the other end of the connection, the zero Addr when it has none.
func peer(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

func (e *Edge) trusted(a netip.Addr) bool {
	for _, p := range e.o.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// viewer is who asks and by which scheme. Only a trusted proxy is believed about either: the viewer is
// then the rightmost address in X-Forwarded-For that is not itself a trusted proxy, since everything left
// of it is that viewer's own claim. What cannot be read there leaves the viewer unknown, which satisfies
// no address condition.
func (e *Edge) viewer(r *http.Request) (addr netip.Addr, scheme string) {
	scheme = "http"
	if r.TLS != nil {
		scheme = "https"
	}
	addr = peer(r)
	if len(e.o.TrustedProxies) == 0 || !e.trusted(addr) {
		return addr, scheme
	}
	if v := r.Header["X-Forwarded-Proto"]; len(v) == 1 {
		switch strings.ToLower(v[0]) {
		case "http":
			scheme = "http"
		case "https":
			scheme = "https"
		}
	}
	hops := r.Header["X-Forwarded-For"]
	for i := len(hops) - 1; i >= 0; i-- {
		rest := hops[i]
		for rest != "" {
			var hop string
			if comma := strings.LastIndexByte(rest, ','); comma >= 0 {
				rest, hop = rest[:comma], rest[comma+1:]
			} else {
				rest, hop = "", rest
			}
			a, ok := parseHop(strings.TrimSpace(hop))
			if !ok {
				return netip.Addr{}, scheme
			}
			addr = a
			if !e.trusted(addr) {
				return addr, scheme
			}
		}
	}
	return addr, scheme
}

// parseHop reads an entry of X-Forwarded-For: an address, with or without a port.
func parseHop(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil {
		ap, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}, false
		}
		a = ap.Addr()
	}
	return a.Unmap().WithZone(""), true
}
