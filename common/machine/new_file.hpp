// Putting a file in its place whole or not at all. Paths are those of the machine itself, its root included.
#pragma once

#include "machine/rooted_path.hpp"

#include <chrono>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

namespace pvegpu {

inline constexpr mode_t mode_for_all = S_IRWXU | S_IRGRP | S_IXGRP | S_IROTH | S_IXOTH;

struct FileRights {
    mode_t mode = S_IRUSR | S_IWUSR;
    uid_t owner = geteuid();
    gid_t group = getegid();
};

// The directories above a path, those that are missing with this mode. Throws Error.
void make_directories_for(const std::string& path, mode_t mode);

// Throws Error unless each directory of our own that is there on the way to `path` (/run/pve-gpu-hook,
// /var/lib/pve-gpu-hook and what is below) is a directory of root's or ours that nobody else can write to:
// what lies in them says what root writes to the kernel and which programs it runs.
void require_private_directories(const RootDirectory& root, const std::string& path);

// Throws Error if a symbolic link is there: replacing it would change another file's place.
void refuse_link(const std::string& path);

// What is below /run is gone with a power cut in any case; anything else is on the disk.
enum class Keeps { until_boot, for_good };

// A temporary file beside it, renamed. Throws Error; then the file is as it was.
void put_file(const std::string& path, std::string_view text, const FileRights& rights, Keeps keeps);

// A file without a name, written, then given its name: whoever finds the name finds all of the text (open(2),
// O_TMPFILE). False if the name is taken. Throws Error.
bool create_file(const std::string& path, std::string_view text);

// A power cut does not take back what was done in it.
void sync_directory_of(const std::string& path);

// --- a file that others change too, replaced while their lock of it is held; for the child that does it: the
// file may be on a file system that never answers ---

struct LockedReplacement {
    std::string lock;   // its path; the file is made if it is not there
    std::string before; // what has to be there
    std::string after;
};

std::string pack(const LockedReplacement& replacement);
LockedReplacement unpack_locked_replacement(const std::string& packed);

// 0 or an errno: EWOULDBLOCK if somebody else has the lock for so long, ESTALE if something else is there.
// The file keeps its owner and mode.
int replace_locked(const std::string& path, const LockedReplacement& replacement,
                   std::chrono::milliseconds lock_free_within);

} // namespace pvegpu
