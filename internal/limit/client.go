package limit

import "net/netip"

// sitePrefix is how many bits of an IPv6 address a provider gives to one customer at
// least: such a customer has all addresses behind them, and takes another at will
// (RFC 6177, RFC 8981).
const sitePrefix = 64

// Client is the key by which the requests of a client address are counted as one
// client's: an IPv4 address by itself, also where it is mapped to IPv6, and an IPv6
// address by its /64, whatever its zone. What is no address is its own key.
func Client(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if ip.Is4() {
		return address
	}
	if ip = ip.Unmap().WithZone(""); ip.Is4() {
		return ip.String()
	}
	return netip.PrefixFrom(ip, sitePrefix).Masked().String()
}
