// What a LinuxSystem does with files in the process itself; linux_system.cpp has what a child does for it.
#include "base/error.hpp"
#include "machine/descriptors.hpp"
#include "machine/linux_system.hpp"
#include "machine/new_file.hpp"
#include "machine/paths.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

namespace pvegpu {
namespace {

// No file that is read whole comes near it: a link to an endless device does not fill the memory.
constexpr std::size_t largest_file = 16U << 20U;

// `visit` gets each entry but "." and "..", and a descriptor of the directory; none of a directory that is
// not there.
template <typename Visit> void for_each_entry(const std::string& path, Visit visit)
{
    const std::unique_ptr<DIR, int (*)(DIR*)> open(opendir(path.c_str()), closedir);
    if (!open) return;
    while (const auto* entry = readdir(open.get())) {
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") visit(*entry, dirfd(open.get()));
    }
}

// Sorted, those that are wanted.
template <typename Wanted> std::vector<std::string> names_in(const std::string& path, Wanted wanted)
{
    std::vector<std::string> names;
    for_each_entry(path, [&](const dirent& entry, int directory) {
        if (wanted(entry, directory)) names.emplace_back(entry.d_name);
    });
    std::ranges::sort(names);
    return names;
}

// Of a path, or of a name in the directory that `from` is open on.
std::optional<struct statx> facts_of(const char* path, unsigned wanted, int from = AT_FDCWD)
{
    constexpr int without_asking_a_server = AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT;
    struct statx facts {};
    if (statx(from, path, without_asking_a_server, wanted, &facts) != 0) return std::nullopt;
    return facts;
}

std::optional<DeviceNumber> number_in(const std::optional<struct statx>& facts)
{
    if (!facts || (!S_ISCHR(facts->stx_mode) && !S_ISBLK(facts->stx_mode))) return std::nullopt;
    return DeviceNumber{facts->stx_rdev_major, facts->stx_rdev_minor, S_ISBLK(facts->stx_mode)};
}

} // namespace

std::optional<std::string> LinuxSystem::read(const std::string& path) const
{
    require_private_directories(root_, path);
    const Descriptor file(open(root_.resolve(path).c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    std::string text;
    if (read_up_to(largest_file + 1, file, text) != 0 || text.size() > largest_file) return std::nullopt;
    return text;
}

std::optional<std::string> LinuxSystem::read_link(const std::string& path) const
{
    std::array<char, 4096> buffer; // NOLINT(*-member-init): filled by readlink
    const ssize_t count = readlink(root_.resolve_nofollow(path).c_str(), buffer.data(), buffer.size());
    if (count < 0) return std::nullopt;
    return std::string(buffer.data(), static_cast<std::size_t>(count));
}

std::vector<std::string> LinuxSystem::list(const std::string& path) const
{
    return names_in(root_.resolve(path), [](const dirent&, int) { return true; });
}

std::vector<std::string> LinuxSystem::list_directories(const std::string& path) const
{
    // The kind comes with the name, so this asks the kernel no more than list() does; but for a file system
    // that does not tell it.
    return names_in(root_.resolve(path), [](const dirent& entry, int directory) {
        if (entry.d_type != DT_UNKNOWN) return entry.d_type == DT_DIR;
        struct stat facts {};
        return fstatat(directory, entry.d_name, &facts, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(facts.st_mode);
    });
}

bool LinuxSystem::exists(const std::string& path) const
{
    return access(root_.resolve(path).c_str(), F_OK) == 0;
}

std::optional<DeviceNumber> LinuxSystem::device_number(const std::string& path) const
{
    return number_in(facts_of(root_.resolve(path).c_str(), STATX_TYPE));
}

std::vector<SysReader::NamedDevice> LinuxSystem::device_numbers_in(const std::string& directory) const
{
    // Below another root each name is a path of its own: a link there leads elsewhere than it says.
    if (!root_.is_live_host()) return System::device_numbers_in(directory);
    std::vector<NamedDevice> devices;
    for_each_entry(directory, [&](const dirent& entry, int from) {
        if (const auto number = number_in(facts_of(entry.d_name, STATX_TYPE, from)))
            devices.push_back({entry.d_name, *number});
    });
    return devices;
}

std::optional<FileFacts> LinuxSystem::file_facts(const std::string& path) const
{
    const auto facts = facts_of(root_.resolve(path).c_str(), STATX_BASIC_STATS);
    if (!facts) return std::nullopt;
    return FileFacts{S_ISREG(facts->stx_mode),
                     facts->stx_uid,
                     facts->stx_gid,
                     static_cast<mode_t>(facts->stx_mode & ~static_cast<mode_t>(S_IFMT)),
                     {facts->stx_dev_major, facts->stx_dev_minor, true},
                     facts->stx_ino,
                     facts->stx_size,
                     facts->stx_nlink};
}

// /dev/kmsg (the kernel's Documentation/ABI/testing/dev-kmsg): a record each read, EAGAIN behind the last,
// EPIPE where records were overwritten, EINVAL if the buffer is smaller than a record.
std::optional<std::string> LinuxSystem::read_records(const std::string& path, std::size_t bytes,
                                                     Milliseconds timeout) const
{
    const Descriptor file(open(root_.resolve(path).c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (file.failed()) return std::nullopt;
    const auto deadline = now() + timeout;
    std::array<char, 16384> buffer; // twice the longest record; NOLINT(*-member-init): filled by read
    std::string text;
    while (now() < deadline) {
        const ssize_t count = ::read(file.number(), buffer.data(), buffer.size());
        if (count < 0 && (errno == EPIPE || errno == EINTR)) continue;
        if (count < 0 && errno != EAGAIN) return std::nullopt;
        if (count <= 0) break;
        text.append(buffer.data(), static_cast<std::size_t>(count));
        if (text.size() > 2 * bytes) text.erase(0, text.size() - bytes);
    }
    if (text.size() > bytes) text.erase(0, text.size() - bytes);
    return text;
}

void LinuxSystem::replace_file(const std::string& path, std::string_view text)
{
    make_directories_for(root_.resolve_nofollow(path), S_IRWXU);
    require_private_directories(root_, path);
    const bool in_memory = path.starts_with(paths::join(paths::run, ""));
    put_file(root_.resolve_nofollow(path), text, {}, in_memory ? Keeps::until_boot : Keeps::for_good);
}

void LinuxSystem::install_file(const std::string& path, std::string_view text, mode_t mode_if_new)
{
    refuse_link(root_.resolve_nofollow(path));
    make_directories_for(root_.resolve_nofollow(path), mode_for_all);
    const auto old = file_facts(path);
    put_file(root_.resolve_nofollow(path), text,
             old ? FileRights{old->mode, old->owner, old->group}
                 : FileRights{mode_if_new, geteuid(), getegid()},
             Keeps::for_good);
}

void LinuxSystem::make_link(const std::string& path, const std::string& target)
{
    make_directories_for(root_.resolve_nofollow(path), mode_for_all);
    if (symlink(target.c_str(), root_.resolve_nofollow(path).c_str()) != 0)
        throw Error(ErrorKind::failed, {"cannot make a symbolic link"}, root_.resolve_nofollow(path), errno);
    sync_directory_of(root_.resolve_nofollow(path));
}

void LinuxSystem::remove_file(const std::string& path)
{
    if (unlink(root_.resolve_nofollow(path).c_str()) != 0 && errno != ENOENT)
        throw Error(ErrorKind::failed, {"cannot remove a file"}, root_.resolve_nofollow(path), errno);
}

bool LinuxSystem::create_file(const std::string& path, std::string_view text)
{
    require_private_directories(root_, path);
    return pvegpu::create_file(root_.resolve_nofollow(path), text);
}

void LinuxSystem::move_file(const std::string& from, const std::string& to)
{
    if (rename(root_.resolve_nofollow(from).c_str(), root_.resolve_nofollow(to).c_str()) != 0)
        throw Error(ErrorKind::failed, {"cannot be given the name '" + to + "'"},
                    root_.resolve_nofollow(from), errno);
    sync_directory_of(root_.resolve_nofollow(to));
}

void LinuxSystem::remove_empty_directory(const std::string& path)
{
    const bool removed = rmdir(root_.resolve_nofollow(path).c_str()) == 0;
    // EBUSY: a file system is mounted there.
    if (!removed && errno != ENOENT && errno != ENOTEMPTY && errno != EEXIST && errno != EBUSY)
        throw Error(ErrorKind::failed, {"cannot remove a directory"}, root_.resolve_nofollow(path), errno);
}

} // namespace pvegpu
