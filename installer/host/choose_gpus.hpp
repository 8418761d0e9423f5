// Which GPUs of the host the words of --gpu name. Pure.
#pragma once

#include "containers/node_facts.hpp"

#include <string>
#include <vector>

namespace pvegpu {

// The GPUs that the words of --gpu name: "0,1" (the numbers of /dev/nvidiaN on a host with NVIDIA's driver,
// elsewhere the place among the GPUs that have device nodes, from 0) or "0000:01:00.0". Without a word: the
// only one that has nodes. Throws Error with the choice that there is.
std::vector<const HostGpu*> choose_gpus(const std::vector<HostGpu>& gpus,
                                        const std::vector<std::string>& words);

} // namespace pvegpu
