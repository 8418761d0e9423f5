// Which interfaces have an IPv4 address. Only netlink tells: /proc/net/route has no address that comes
// without a network of its own (a /32), /proc/net/fib_trie has no interfaces, and SIOCGIFADDR goes by labels,
// which need not be an interface's name.
#pragma once

#include <string>

namespace pvegpu {

// For the child that does it, since the kernel may answer under a lock that somebody else holds for ever
// (rtnl_mutex): the names, a line each, and 0 or an errno.
int list_ipv4_interfaces(std::string& names);

} // namespace pvegpu
