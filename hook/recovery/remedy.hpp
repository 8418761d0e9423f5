// What the administrator can do about a device that somebody uses.
#pragma once

#include "base/advice.hpp"
#include "usage/holders.hpp"

namespace pvegpu {

// "'0000:03:00.0' is in use by VM 102 (pid 4711, kvm); stop it first"
Advice in_use_message(const Holder& holder);

} // namespace pvegpu
