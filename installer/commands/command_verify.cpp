#include "base/error.hpp"
#include "commands/commands.hpp"
#include "commands/guest_verification.hpp"
#include "commands/instances.hpp"

#include <algorithm>

namespace pvegpu {

int verify(Session& session)
{
    const auto& options = session.options;
    require_host_of(session.system, options);
    std::vector<GuestVerification> guests;
    for (const auto vmid : options.vms) guests.push_back(verify_vm(session.system, vmid));
    for (const auto vmid : options.containers) guests.push_back(verify_container(session.system, vmid));
    for (const auto& name : options.instances) guests.push_back(verify_instance(session.system, name));
    session.document = verification_json(guests);
    for (const auto& guest : guests) session.console.print(print_verification(guest));
    return std::ranges::all_of(guests, &GuestVerification::good) ? exit_done : exit_failed;
}

} // namespace pvegpu
