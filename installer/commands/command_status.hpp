// What `status` prints.
#pragma once

#include "base/json.hpp"
#include "check/screen.hpp"
#include "host/status.hpp"

#include <string>
#include <vector>

namespace pvegpu {

// Of these guests and of their cards alone; all of it if none is named.
Status narrowed(Status status, const std::vector<unsigned>& vmids);

Json status_json(const Status& status); // "pve-gpu-hook/status/1"
std::string print_status(const Status& status, const Screen& screen = {});

} // namespace pvegpu
