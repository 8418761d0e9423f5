#include "containers/nvidia_nodes.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "machine/deadlines.hpp"
#include "machine/paths.hpp"

namespace pvegpu {
namespace {

// Of the tree of capabilities: gpu0/mig/gi1/ci0/access is the deepest there is.
constexpr unsigned deepest = 6;

// "DeviceFileMinor: 1"
std::optional<unsigned> minor_in(const SysReader& reader, const std::string& file)
{
    const auto text = reader.read_within(file, 4096, driver_answers_within).text;
    const auto minor = value_in(text, "DeviceFileMinor");
    return minor ? parse_decimal(*minor) : std::nullopt;
}

void add_files(const SysReader& reader, const std::string& directory, unsigned depth,
               std::map<unsigned, std::string>& files)
{
    const auto directories = reader.list_directories(directory);
    for (const auto& name : reader.list(directory)) {
        const auto path = paths::join(directory, name);
        if (!contains(directories, name)) {
            if (const auto minor = minor_in(reader, path)) files.try_emplace(*minor, path);
        } else if (depth < deepest) {
            add_files(reader, path, depth + 1, files);
        }
    }
}

// "gi1" and "ci0" are instances; the tree has them two deep.
void add_access(const SysReader& reader, const std::string& directory,
                std::vector<NvidiaCapability>& capabilities)
{
    const auto file = paths::join(directory, "access");
    if (const auto minor = reader.exists(file) ? minor_in(reader, file) : std::nullopt)
        capabilities.push_back({*minor, file});
}

std::vector<std::string> run_with(std::vector<std::string> arguments)
{
    arguments.insert(arguments.begin(), std::string(paths::nvidia_modprobe_program));
    return arguments;
}

} // namespace

std::vector<std::string> nvidia_modprobe_arguments(const SysReader& reader, const GpuNode& node)
{
    if (node.kind != NodeKind::nvidia_cap) return nvidia_modprobe_arguments(node, "");
    const auto files = capability_files(reader);
    const auto file = files.find(node.number.value_or(0));
    return nvidia_modprobe_arguments(node, file == files.end() ? "" : file->second);
}

std::map<unsigned, std::string> capability_files(const SysReader& reader)
{
    std::map<unsigned, std::string> files;
    add_files(reader, std::string(paths::nvidia_capabilities), 0, files);
    return files;
}

std::vector<NvidiaCapability> mig_capabilities(const SysReader& reader, unsigned gpu)
{
    std::vector<NvidiaCapability> capabilities;
    const auto mig = paths::join(paths::nvidia_capabilities, "gpu" + std::to_string(gpu)) + "/mig";
    for (const auto& instance : reader.list_directories(mig)) {
        const auto directory = paths::join(mig, instance);
        add_access(reader, directory, capabilities);
        for (const auto& compute : reader.list_directories(directory))
            add_access(reader, paths::join(directory, compute), capabilities);
    }
    return capabilities;
}

std::vector<std::string> nvidia_modprobe_arguments(const GpuNode& node, const std::string& capability_file)
{
    constexpr unsigned control = 255; // the minor of /dev/nvidiactl (NV_CTL_DEVICE_NUM)
    using enum NodeKind;
    if (node.kind == nvidia_gpu) return run_with({"-c", std::to_string(node.number.value_or(0))});
    if (node.kind == nvidia_control) return run_with({"-c", std::to_string(control)});
    if (node.kind == nvidia_modeset) return run_with({"-m"});
    if (node.kind == nvidia_uvm || node.kind == nvidia_uvm_tools)
        return run_with({"-u", "-c", "0"}); // makes both
    const bool offered = node.kind == nvidia_cap && !capability_file.empty();
    return offered ? run_with({"-f", capability_file}) : std::vector<std::string>();
}

} // namespace pvegpu
