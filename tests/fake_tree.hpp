// Files, directories, symbolic links and device nodes in memory. Paths are absolute; links are followed in
// the middle of a path as the kernel follows them.
#pragma once

#include "machine/system.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pvegpu::testing {

struct FakeNode {
    enum class Kind { directory, file, write_only_file, link, device };

    Kind kind = Kind::directory;
    std::string text = "";                   // a file's text, or where a link points
    std::optional<DeviceNumber> number = {}; // of a device node, or of what a /proc/PID/fd link stands for
};

using FakeNodes = std::map<std::string, FakeNode, std::less<>>;

class FakeTree {
public:
    // Each makes the directories above and replaces what was there. The path may lead through links.
    void add_directory(const std::string& path);
    void set_file(const std::string& path, std::string_view text);
    void set_write_only(const std::string& path);
    void set_link(const std::string& path, std::string_view target, std::optional<DeviceNumber> number = {});
    void set_device(const std::string& path, DeviceNumber number);

    // A link as sysfs makes them: relative, by way of the nearest directory that both have in common.
    void set_sysfs_link(const std::string& path, const std::string& target);

    void erase(const std::string& path);        // with all below; nothing happens if it is absent
    FakeNodes extract(const std::string& path); // the same, and hands back what was there
    void put_back(const FakeNodes& nodes);

    // The path with every link in it followed (the last one only if asked); nothing if it is absent.
    std::optional<std::string> resolve(std::string_view path, bool follow_last = true) const
    {
        return resolve(path, follow_last, 0);
    }

    const FakeNode* find(const std::string& path) const;            // links followed
    const FakeNode* find_unfollowed(const std::string& path) const; // the link itself
    std::string text(const std::string& path) const; // of a file without its line end, "" if it is absent
    std::vector<std::string> list(const std::string& path) const;
    const FakeNodes& nodes() const { return nodes_; }

private:
    std::optional<std::string> resolve(std::string_view path, bool follow_last, unsigned links) const;
    void put(const std::string& path, FakeNode node);
    FakeNodes nodes_{{"", {}}};
    // What was resolved already, links followed: most of what the tests do is a look at a path of this tree.
    // Forgotten as soon as anything that was there is replaced or goes.
    mutable std::unordered_map<std::string, std::string> resolved_;
};

std::string directory_of(std::string_view path);
std::string base_name(std::string_view path);
bool is_below(std::string_view path, std::string_view directory); // or the directory itself

} // namespace pvegpu::testing
