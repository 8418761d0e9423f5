// Which of a host's GPUs a container is given, through which of its nodes, and what gives it more. Pure.
#pragma once

#include "containers/node_facts.hpp"
#include "host/container_survey.hpp"

#include <string>
#include <vector>

namespace pvegpu {

struct GivenGpu {
    const HostGpu* gpu = nullptr; // of the survey
    bool nvidia = false;          // through NVIDIA's own node
    std::string render;           // its path in the container; empty if it has none of this GPU
};

// In the order of the survey's GPUs. With the whole of /dev/dri those that have nodes in it now.
std::vector<GivenGpu> gpus_given_to(const ContainerSurvey& container);

// The GPUs that the words of --gpu name: "0,1" (the numbers of /dev/nvidiaN on a host with NVIDIA's driver,
// elsewhere the place among the GPUs that have device nodes, from 0) or "0000:01:00.0". Without a word: the
// only one that has nodes. Throws Error with the choice that there is.
std::vector<const HostGpu*> choose_gpus(const std::vector<HostGpu>& gpus,
                                        const std::vector<std::string>& words);

// The capabilities of MIG instances that the container is to have, of each divided GPU among these. The words
// of --mig name GPU instances and compute instances as nvidia-smi does: "1" (all of GPU instance 1), "1/0".
// Without a word those that the container names already, else the only one. Throws Error with the choice.
std::vector<NvidiaCapability> choose_instances(const std::vector<const HostGpu*>& gpus,
                                               const ContainerSurvey& container,
                                               const std::vector<std::string>& words);

// All that a program in the container needs to use the GPU, by the driver that it has on the host.
std::vector<std::string> node_paths_of(const HostGpu& gpu, const ContainerSurvey& container,
                                       const std::vector<NvidiaCapability>& instances);

// A devN entry's path and its whole value: "/dev/dri/renderD128", "/dev/dri/renderD128,mode=0666". `rights`
// are those that it has on the host, of a node that is mounted today.
struct NewDevice {
    std::string path, value;
};
NewDevice device_for(const std::string& path, const ContainerSurvey& container,
                     const std::optional<FileFacts>& rights = std::nullopt);

} // namespace pvegpu
