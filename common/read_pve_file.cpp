#include "read_pve_file.hpp"

#include "error.hpp"

#include <cerrno>

namespace pvegpu {
namespace {

// pmxcfs answers from memory. If it does not within seconds it has lost its quorum file system or hangs, and
// Proxmox itself, which has just read the same file, could not go on either.
constexpr Milliseconds answers_within{10'000};

// The largest file that pmxcfs keeps (memdb.h).
constexpr std::size_t largest_file = 1U << 20U;

constexpr const char* remedy = "; see 'systemctl status pve-cluster'";

} // namespace

std::optional<std::string> read_pve_file(const SysReader& reader, std::string_view path)
{
    const std::string file(path);
    const auto outcome = reader.read_within(file, largest_file, answers_within);
    if (outcome.done()) return outcome.text;
    if (outcome.refused() && (outcome.error_number == ENOENT || outcome.error_number == ENOTDIR))
        return std::nullopt;
    if (outcome.refused())
        throw Error(Reason::failed, std::string("Proxmox's cluster file system refuses this file") + remedy,
                    file, outcome.error_number);
    throw Error(Reason::timed_out, std::string("Proxmox's cluster file system does not answer") + remedy,
                file);
}

} // namespace pvegpu
