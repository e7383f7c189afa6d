package limit

import "net/netip"

// sitePrefix is the length of the smallest IPv6 prefix that a provider assigns to a
// customer, in bits. The customer can use any address with that prefix (RFC 6177,
// RFC 8981).
const sitePrefix = 64

// Client returns the key by which requests from an address are counted as those of one
// client. For an IPv4 address, mapped to IPv6 or not, it is the IPv4 address. For an
// IPv6 address it is the /64 network, without the zone. Any other text is returned
// unchanged.
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
