#include "machine/ipv4_interfaces.hpp"

#include "machine/descriptors.hpp"

#include <array>
#include <cerrno>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <set>
#include <sys/socket.h>

namespace pvegpu {
namespace {

// Those whose address a message tells. False at the end of the answer.
bool read_indices(const nlmsghdr* message, std::size_t left, std::set<unsigned>& indices, int& error)
{
    for (; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
        if (message->nlmsg_type == NLMSG_DONE) return false;
        if (message->nlmsg_type == NLMSG_ERROR) {
            error = -static_cast<const nlmsgerr*>(NLMSG_DATA(message))->error;
            return false;
        }
        if (message->nlmsg_type == RTM_NEWADDR)
            indices.insert(static_cast<const ifaddrmsg*>(NLMSG_DATA(message))->ifa_index);
    }
    return true;
}

} // namespace

int list_ipv4_interfaces(std::string& names)
{
    const Descriptor channel(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    if (channel.failed()) return errno;
    struct {
        nlmsghdr head;
        ifaddrmsg about;
    } request{};
    request.head = {sizeof request, RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, 1, 0};
    request.about.ifa_family = AF_INET;
    if (send(channel.number(), &request, sizeof request, 0) < 0) return errno;
    // rtnetlink(7): what a dump sends at once is at most this, 8192 of old.
    alignas(nlmsghdr) std::array<char, 32768> answer; // NOLINT(*-member-init): filled by recv
    std::set<unsigned> indices;
    int error = 0;
    for (bool more = true; more;) {
        const ssize_t count = recv(channel.number(), answer.data(), answer.size(), 0);
        if (count <= 0) return count < 0 ? errno : EIO;
        // NOLINTNEXTLINE(*-reinterpret-cast): netlink's own way
        const auto* const first = reinterpret_cast<const nlmsghdr*>(answer.data());
        more = read_indices(first, static_cast<std::size_t>(count), indices, error);
    }
    for (const auto index : indices) {
        std::array<char, IF_NAMESIZE> name{};
        if (if_indextoname(index, name.data()) != nullptr) names += std::string(name.data()) + "\n";
    }
    return error;
}

} // namespace pvegpu
