"""Which address stands for one client, for limits on those who have no identity."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address


@lru_cache(1024)
def address_key(address: str) -> str:
    """Give the part of an IP address that stands for one client: of IPv6 its network, for a host has all of it."""
    try:
        ip: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, IPv4Address):
        return str(ip)
    return str(ip.ipv4_mapped or IPv6Address(int(ip) >> 64 << 64))
