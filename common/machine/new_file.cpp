#include "machine/new_file.hpp"

#include "base/error.hpp"
#include "machine/descriptors.hpp"
#include "machine/paths.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>

namespace pvegpu {
namespace {

// "/etc" of "/etc/file", "/" of "/file".
std::string directory_of(const std::string& path)
{
    const auto slash = path.rfind('/');
    return slash == std::string::npos ? "." : path.substr(0, std::max<std::size_t>(slash, 1));
}

// Returns an errno.
int write_all(int file, std::string_view text)
{
    while (!text.empty()) {
        const ssize_t written = ::write(file, text.data(), text.size());
        if (written < 0 && errno != EINTR) return errno;
        if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
    }
    return 0;
}

// The mode at last: changing the owner takes set-id bits away.
int set_rights(int file, const FileRights& rights)
{
    const bool ours = rights.owner == geteuid() && rights.group == getegid();
    if (!ours && fchown(file, rights.owner, rights.group) != 0) return errno;
    return fchmod(file, rights.mode) != 0 ? errno : 0;
}

// Synced where it is kept, or a power cut could leave the name with nothing behind it. Returns an errno.
int write_new_file(const std::string& path, std::string_view text, const FileRights& rights, Keeps keeps)
{
    const int file =
        open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (file < 0) return errno;
    int error = write_all(file, text);
    if (error == 0) error = set_rights(file, rights);
    if (error == 0 && keeps == Keeps::for_good && fsync(file) != 0) error = errno;
    if (close(file) != 0 && error == 0) error = errno;
    return error;
}

void require_private_directory(const std::string& directory)
{
    struct stat facts {};
    if (lstat(directory.c_str(), &facts) != 0) return; // not there, or not to be read either
    const bool ours = facts.st_uid == 0 || facts.st_uid == geteuid();
    if (S_ISDIR(facts.st_mode) && ours && (facts.st_mode & (S_IWGRP | S_IWOTH)) == 0) return;
    throw Error(ErrorKind::failed,
                {"is not a directory that only root can write to",
                 "see who made it and what is in it, then remove it: it is made anew when it is needed"},
                directory);
}

const char* remedy_of(int error)
{
    if (error == ENOSPC || error == EDQUOT) return "make room on its file system";
    return error == EROFS ? "its file system is mounted read-only, often after an error: see 'dmesg'" : "";
}

// flock(2) with a deadline: asked again this often.
constexpr int ask_again_after_milliseconds = 10;

int take_lock(const Descriptor& file, std::chrono::milliseconds within)
{
    const auto deadline = std::chrono::steady_clock::now() + within;
    while (flock(file.number(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) return errno;
        if (std::chrono::steady_clock::now() >= deadline) return EWOULDBLOCK;
        poll(nullptr, 0, ask_again_after_milliseconds);
    }
    return 0;
}

// Returns an errno: ESTALE unless the file holds that text and no more.
int compare(const std::string& path, const std::string& expected)
{
    const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    std::string text;
    const int error = read_up_to(expected.size() + 1, file, text);
    return error == 0 && text != expected ? ESTALE : error;
}

int put(const std::string& path, const std::string& text)
{
    struct stat facts {};
    if (stat(path.c_str(), &facts) != 0) return errno;
    try {
        put_file(path, text, {facts.st_mode & ~static_cast<mode_t>(S_IFMT), facts.st_uid, facts.st_gid},
                 Keeps::for_good);
    } catch (const Error& error) {
        return error.error_number() != 0 ? error.error_number() : EIO;
    }
    return 0;
}

} // namespace

void require_private_directories(const RootDirectory& root, const std::string& path)
{
    for (const auto top : {paths::run, paths::install_state}) {
        if (!path.starts_with(paths::join(top, ""))) continue;
        for (auto end = top.size(); end != std::string::npos; end = path.find('/', end + 1))
            require_private_directory(root.resolve_nofollow(path.substr(0, end)));
    }
}

void make_directories_for(const std::string& path, mode_t mode)
{
    const auto parent = directory_of(path);
    if (access(parent.c_str(), F_OK) == 0) return; // what else is wrong mkdir says
    make_directories_for(parent, mode);
    if (mkdir(parent.c_str(), mode) == 0) {
        chmod(parent.c_str(), mode); // whatever our umask is
        return;
    }
    if (errno != EEXIST) throw Error(ErrorKind::failed, {"cannot make a directory"}, parent, errno);
}

void refuse_link(const std::string& path)
{
    struct stat facts {};
    if (lstat(path.c_str(), &facts) == 0 && S_ISLNK(facts.st_mode))
        throw Error(ErrorKind::failed,
                    {"is a symbolic link, which is not replaced", "put a file in its place"}, path);
}

void put_file(const std::string& path, std::string_view text, const FileRights& rights, Keeps keeps)
{
    const std::string temporary = path + "." + std::to_string(getpid()) + ".tmp";
    unlink(temporary.c_str()); // of a killed run that had our pid
    int error = write_new_file(temporary, text, rights, keeps);
    if (error == 0 && rename(temporary.c_str(), path.c_str()) != 0) error = errno;
    if (error == 0 && keeps == Keeps::for_good) sync_directory_of(path);
    if (error == 0) return;
    unlink(temporary.c_str());
    throw Error(ErrorKind::failed, {"cannot write a file", remedy_of(error)}, path, error);
}

bool create_file(const std::string& path, std::string_view text)
{
    const Descriptor file(
        open(directory_of(path).c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, S_IRUSR | S_IWUSR));
    int error = file.failed() ? errno : write_all(file.number(), text);
    if (error == 0) {
        const auto without_name = "/proc/self/fd/" + std::to_string(file.number());
        if (linkat(AT_FDCWD, without_name.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0)
            return true;
        error = errno;
    }
    if (error == EEXIST) return false;
    throw Error(ErrorKind::failed, {"cannot make a file", remedy_of(error)}, path, error);
}

void sync_directory_of(const std::string& path)
{
    const Descriptor directory(open(directory_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory.failed()) fsync(directory.number()); // some file systems cannot; then it is their promise
}

std::string pack(const LockedReplacement& replacement)
{
    const auto& [lock, before, after] = replacement;
    return std::to_string(lock.size()) + " " + std::to_string(before.size()) + " " + lock + before + after;
}

LockedReplacement unpack_locked_replacement(const std::string& packed)
{
    std::size_t end = 0;
    const auto lock = std::stoul(packed, &end);
    const auto rest = packed.substr(end + 1);
    const auto before = std::stoul(rest, &end);
    const auto texts = rest.substr(end + 1);
    return {texts.substr(0, lock), texts.substr(lock, before), texts.substr(lock + before)};
}

int replace_locked(const std::string& path, const LockedReplacement& replacement,
                   std::chrono::milliseconds lock_free_within)
{
    const Descriptor lock(open(replacement.lock.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
                               S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH));
    if (lock.failed()) return errno;
    int error = take_lock(lock, lock_free_within);
    if (error == 0) error = compare(path, replacement.before);
    return error == 0 ? put(path, replacement.after) : error;
}

} // namespace pvegpu
