#include "machine/rooted_path.hpp"

#include "base/error.hpp"
#include "machine/descriptors.hpp"

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <fcntl.h>
#include <optional>
#include <unistd.h>

namespace pvegpu {
namespace {

// Absolute, because our children do not stay in the directory that we were started in.
std::string absolute(const std::string& directory)
{
    if (directory.empty()) return directory;
    std::array<char, PATH_MAX> path{};
    if (realpath(directory.c_str(), path.data()) == nullptr)
        throw Error(ErrorKind::not_found, {"there is no such root directory"}, directory, errno);
    return path.data();
}

// Nothing if there is no such file. A descriptor that stands for the place opens nothing: no device, FIFO or
// FUSE server is asked.
std::optional<std::string> place_of(const std::string& directory, const std::string& path, int flags)
{
    const Descriptor root(open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (root.failed()) return std::nullopt;
    const Descriptor place(open_in_root(root.number(), path, O_PATH | flags));
    if (place.failed()) return std::nullopt;
    std::array<char, PATH_MAX> name; // NOLINT(*-member-init): filled by readlink
    const auto link = "/proc/self/fd/" + std::to_string(place.number());
    const auto count = readlink(link.c_str(), name.data(), name.size());
    if (count < 0) return std::nullopt;
    return std::string(name.data(), static_cast<std::size_t>(count));
}

} // namespace

RootDirectory::RootDirectory(const std::string& directory) : directory_(absolute(directory)) {}

std::string RootDirectory::resolve(const std::string& path) const
{
    if (is_live_host()) return path;
    if (const auto place = place_of(directory_, path, 0)) return *place;
    // A link to what the tree lacks, which the live host may have.
    if (place_of(directory_, path, O_NOFOLLOW)) return directory_ + "/(dangling link)" + path;
    return resolve_nofollow(path);
}

std::string RootDirectory::resolve_nofollow(const std::string& path) const
{
    if (is_live_host()) return path;
    const auto slash = path.rfind('/');
    if (slash == std::string::npos || path.size() == 1) return directory_;
    const auto above = path.substr(0, slash);
    return (above.empty() ? directory_ : resolve(above)) + path.substr(slash);
}

} // namespace pvegpu
