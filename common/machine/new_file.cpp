#include "machine/new_file.hpp"

#include "base/error.hpp"
#include "machine/descriptors.hpp"
#include "machine/paths.hpp"

#include <boost/filesystem.hpp>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>

namespace pvegpu {
namespace {

namespace fs = boost::filesystem;

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

// Synced, or a power cut could leave the name with nothing behind it. Returns an errno.
int write_new_file(const std::string& path, std::string_view text, const FileRights& rights)
{
    const int file =
        open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (file < 0) return errno;
    int error = write_all(file, text);
    if (error == 0) error = set_rights(file, rights);
    if (error == 0 && fsync(file) != 0) error = errno;
    if (close(file) != 0 && error == 0) error = errno;
    return error;
}

void require_private_directory(const std::string& directory)
{
    struct stat facts {};
    if (lstat(directory.c_str(), &facts) != 0) return; // not there, or not to be read either
    const bool ours = facts.st_uid == 0 || facts.st_uid == geteuid();
    if (S_ISDIR(facts.st_mode) && ours && (facts.st_mode & (S_IWGRP | S_IWOTH)) == 0) return;
    throw Error(Reason::failed,
                {"is not a directory that only root can write to",
                 "see who made it and what is in it, then remove it: it is made anew when it is needed"},
                directory);
}

const char* remedy_of(int error)
{
    switch (error) {
    case ENOSPC:
    case EDQUOT:
        return "make room on its file system";
    case EROFS:
        return "its file system is mounted read-only, often after an error: see 'dmesg'";
    default:
        return "";
    }
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
    const auto parent = fs::path(path).parent_path();
    boost::system::error_code ignored; // mkdir says it better
    if (parent.empty() || fs::exists(parent, ignored)) return;
    make_directories_for(parent.string(), mode);
    if (mkdir(parent.c_str(), mode) == 0) {
        chmod(parent.c_str(), mode); // whatever our umask is
        return;
    }
    if (errno != EEXIST) throw Error(Reason::failed, {"cannot make a directory"}, parent.string(), errno);
}

void refuse_link(const std::string& path)
{
    struct stat facts {};
    if (lstat(path.c_str(), &facts) == 0 && S_ISLNK(facts.st_mode))
        throw Error(Reason::failed, {"is a symbolic link, which is not replaced", "put a file in its place"},
                    path);
}

void put_file(const std::string& path, std::string_view text, const FileRights& rights)
{
    const std::string temporary = path + "." + std::to_string(getpid()) + ".tmp";
    unlink(temporary.c_str()); // of a killed run that had our pid
    int error = write_new_file(temporary, text, rights);
    if (error == 0 && rename(temporary.c_str(), path.c_str()) != 0) error = errno;
    if (error == 0) return sync_directory_of(path);
    unlink(temporary.c_str());
    throw Error(Reason::failed, {"cannot write a file", remedy_of(error)}, path, error);
}

void sync_directory_of(const std::string& path)
{
    const Descriptor directory(
        open(fs::path(path).parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory.failed()) fsync(directory.number()); // some file systems cannot; then it is their promise
}

} // namespace pvegpu
