// Whether the running kernel can have NVIDIA's driver at all: its module is built for each kernel anew.
#pragma once

#include "base/advice.hpp"
#include "machine/system.hpp"

#include <optional>

namespace pvegpu {

// Why no module of NVIDIA's can be loaded into the running kernel, and what gives it one: DKMS has not built
// it, or it is there for another kernel only, or nowhere. Nothing where one is there, or where the host does
// not say. The fact goes on from a sentence that has named a node.
std::optional<Advice> no_nvidia_module(const SysReader& reader);

} // namespace pvegpu
