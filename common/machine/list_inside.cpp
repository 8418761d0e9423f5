#include "machine/list_inside.hpp"

#include "base/text.hpp"
#include "machine/descriptors.hpp"

#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <memory>
#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace pvegpu {
namespace {

// A /dev has some dozens of names, a directory of libraries some thousands. Somebody else decides how many
// there are and how long, and what is beyond these is not worth our time and memory.
constexpr std::size_t most_names = 65536;
constexpr std::size_t most_text = 1U << 20U;

char kind_of(mode_t mode)
{
    if (S_ISCHR(mode)) return 'c';
    if (S_ISBLK(mode)) return 'b';
    if (S_ISDIR(mode)) return 'd';
    return S_ISLNK(mode) ? 'l' : '-';
}

bool is_plain(std::string_view name)
{
    return std::ranges::none_of(name, [](char c) { return c < ' ' || c == '\x7f'; });
}

void add_line(int directory, const char* name, std::string& lines)
{
    struct stat facts {};
    if (fstatat(directory, name, &facts, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0) return;
    const char kind = kind_of(facts.st_mode);
    const bool node = kind == 'c' || kind == 'b';
    const dev_t number = node ? facts.st_rdev : 0;
    lines += std::string(1, kind) + " " + std::to_string(major(number)) + ":" +
             std::to_string(minor(number)) + " " + name + "\n";
}

} // namespace

std::vector<InsideEntry> parse_inside(std::string_view lines)
{
    std::vector<InsideEntry> entries;
    for (LineReader reader(lines); reader.next();) {
        const auto kind = split_once(reader.line(), ' ');
        const auto rest = kind ? split_once(kind->second, ' ') : std::nullopt;
        const auto numbers = rest ? split_once(rest->first, ':') : std::nullopt;
        if (!numbers || kind->first.size() != 1) continue;
        entries.push_back({kind->first.front(),
                           {parse_decimal(numbers->first).value_or(0),
                            parse_decimal(numbers->second).value_or(0), kind->first == "b"},
                           std::string(rest->second)});
    }
    return entries;
}

int list_inside(const std::string& root, const std::string& directory, const std::string& prefix,
                std::string& lines)
{
    const Descriptor root_file(open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (root_file.failed()) return errno;
    const int file = open_in_root(root_file.number(), directory,
                                  O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_NOCTTY, RESOLVE_NO_MAGICLINKS);
    if (file < 0) return errno;
    const std::unique_ptr<DIR, int (*)(DIR*)> open_directory(fdopendir(file), closedir);
    if (!open_directory) return errno;
    for (std::size_t seen = 0; seen < most_names && lines.size() < most_text; ++seen) {
        const dirent* entry = readdir(open_directory.get()); // NOLINT(concurrency-mt-unsafe): one thread
        if (entry == nullptr) break;
        const std::string_view name = entry->d_name;
        if (name != "." && name != ".." && name.starts_with(prefix) && is_plain(name))
            add_line(file, entry->d_name, lines);
    }
    return 0;
}

} // namespace pvegpu
