#include "machine/locked_file.hpp"

#include "base/error.hpp"
#include "machine/descriptors.hpp"
#include "machine/new_file.hpp"

#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>

namespace pvegpu {
namespace {

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
        put_file(path, text, {facts.st_mode & ~static_cast<mode_t>(S_IFMT), facts.st_uid, facts.st_gid});
    } catch (const Error& error) {
        return error.error_number() != 0 ? error.error_number() : EIO;
    }
    return 0;
}

} // namespace

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
