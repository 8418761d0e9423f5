#include "nvidia_nodes.hpp"

#include "paths.hpp"
#include "text.hpp"

namespace pvegpu {
namespace {

constexpr Milliseconds answers_within{2'000};

// Of the tree of capabilities: gpu0/mig/gi1/ci0/access is the deepest there is.
constexpr unsigned deepest = 6;

// "DeviceFileMinor: 1"
bool has_minor(const SysReader& reader, const std::string& file, unsigned minor)
{
    const auto text = reader.read_within(file, 4096, answers_within).text;
    for (LineReader lines(text); lines.next();) {
        const auto parts = split_once(lines.line(), ':');
        if (parts && parts->first == "DeviceFileMinor") return parse_decimal(trim(parts->second)) == minor;
    }
    return false;
}

// The file below /proc/driver/nvidia/capabilities that stands for /dev/nvidia-caps/nvidia-capN; empty if none
// does.
std::string capability_file(const SysReader& reader, const std::string& directory, unsigned minor,
                            unsigned depth = 0)
{
    const auto directories = reader.list_directories(directory);
    for (const auto& name : reader.list(directory)) {
        auto path = paths::join(directory, name);
        const bool below = std::find(directories.begin(), directories.end(), name) != directories.end();
        if (!below && has_minor(reader, path, minor)) return path;
        if (!below || depth == deepest) continue;
        if (auto found = capability_file(reader, path, minor, depth + 1); !found.empty()) return found;
    }
    return "";
}

std::vector<std::string> run_with(std::vector<std::string> arguments)
{
    arguments.insert(arguments.begin(), std::string(paths::nvidia_modprobe_program));
    return arguments;
}

} // namespace

std::vector<std::string> nvidia_modprobe_arguments(const SysReader& reader, const GpuNode& node)
{
    constexpr unsigned control = 255; // the minor of /dev/nvidiactl (NV_CTL_DEVICE_NUM)
    switch (node.kind) {
    case NodeKind::nvidia_gpu:
        return run_with({"-c", std::to_string(node.number.value_or(0))});
    case NodeKind::nvidia_control:
        return run_with({"-c", std::to_string(control)});
    case NodeKind::nvidia_modeset:
        return run_with({"-m"});
    case NodeKind::nvidia_uvm:
    case NodeKind::nvidia_uvm_tools:
        return run_with({"-u", "-c", "0"}); // makes both
    case NodeKind::nvidia_cap: {
        const auto file =
            capability_file(reader, std::string(paths::nvidia_capabilities), node.number.value_or(0));
        return file.empty() ? std::vector<std::string>() : run_with({"-f", file});
    }
    default:
        return {};
    }
}

} // namespace pvegpu
