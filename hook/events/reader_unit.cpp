#include "events/reader_unit.hpp"

#include "base/text.hpp"
#include "machine/paths.hpp"

#include <cerrno>

namespace pvegpu {

std::optional<Advice> start_reader(System& system, unsigned vmid)
{
    // A host that starts twenty guests at once keeps systemd busy for some seconds.
    constexpr Milliseconds taken_within{15'000};
    const auto unit = reader_unit(vmid) + ".service";
    const auto outcome =
        system.run({std::string(paths::systemctl_program), "start", "--no-block", unit}, taken_within);
    const bool below_a_root = outcome.refused() && outcome.error_number == ENOSYS;
    if (outcome.done() || below_a_root) return std::nullopt;
    return Advice{"when the guest reboots by itself its card stays as it is: the service " + quote(unit) +
                      " cannot be started",
                  "see 'systemctl status " + unit + "'"};
}

} // namespace pvegpu
