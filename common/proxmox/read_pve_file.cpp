#include "proxmox/read_pve_file.hpp"

#include "base/error.hpp"

#include <cerrno>

namespace pvegpu {
namespace {

constexpr const char* remedy = "see 'systemctl status pve-cluster'";

} // namespace

std::optional<std::string> read_pve_file(const SysReader& reader, std::string_view path)
{
    const std::string file(path);
    const auto outcome = reader.read_within(file, pve_file_bytes, pve_answers_within);
    if (outcome.done()) return outcome.text;
    if (outcome.refused() && (outcome.error_number == ENOENT || outcome.error_number == ENOTDIR))
        return std::nullopt;
    if (outcome.refused())
        throw Error(Reason::failed, {"Proxmox's cluster file system refuses this file", remedy}, file,
                    outcome.error_number);
    throw Error(Reason::timed_out, {"Proxmox's cluster file system does not answer", remedy}, file);
}

} // namespace pvegpu
