#include "fake_tree.hpp"

#include <algorithm>
#include <stdexcept>

namespace pvegpu::testing {
namespace {

// The first name of a path without its leading slash, which is taken off the path.
std::string_view take_name(std::string_view& rest)
{
    const auto slash = std::min(rest.find('/'), rest.size());
    const auto name = rest.substr(0, slash);
    rest.remove_prefix(std::min(slash + 1, rest.size()));
    return name;
}

std::string relative(const std::string& from_directory, const std::string& target)
{
    std::size_t common = 0; // both are the same up to here, at a slash
    for (std::size_t at = 0; at < from_directory.size() && at < target.size(); ++at) {
        if (from_directory[at] != target[at]) break;
        if (target[at] == '/') common = at;
    }
    std::string result;
    for (auto at = common; at < from_directory.size(); ++at)
        if (from_directory[at] == '/') result += "../";
    return result + target.substr(common + 1);
}

} // namespace

std::string directory_of(std::string_view path)
{
    return std::string(path.substr(0, path.rfind('/')));
}

std::string base_name(std::string_view path)
{
    return std::string(path.substr(path.rfind('/') + 1));
}

bool is_below(std::string_view path, std::string_view directory)
{
    return path.starts_with(directory) && (path.size() == directory.size() || path[directory.size()] == '/');
}

std::optional<std::string> FakeTree::resolve(std::string_view path, bool follow_last) const
{
    std::string rest(path.starts_with('/') ? path.substr(1) : path);
    std::string done;
    for (int hops = 0; !rest.empty() && hops < 40;) {
        std::string_view left = rest;
        const auto name = take_name(left);
        if (name.empty() || name == ".") {
            rest = left;
            continue;
        }
        const auto next = name == ".." ? directory_of(done) : done + '/' + std::string(name);
        const auto node = nodes_.find(next);
        if (node == nodes_.end()) return std::nullopt;
        const bool follow = follow_last || !left.empty();
        if (node->second.kind == FakeNode::Kind::link && follow) {
            const auto& target = node->second.text;
            if (target.starts_with('/')) done.clear();
            rest = target + (left.empty() ? "" : '/' + std::string(left));
            ++hops;
            continue;
        }
        done = next;
        rest = left;
    }
    if (!rest.empty()) return std::nullopt;
    return done;
}

void FakeTree::add_directory(const std::string& path)
{
    if (resolve(path)) return;
    const auto above = directory_of(path);
    add_directory(above);
    nodes_.try_emplace(resolve(above).value() + '/' + base_name(path));
}

std::string FakeTree::place_for(const std::string& path)
{
    const auto above = directory_of(path);
    add_directory(above);
    return resolve(above).value() + '/' + base_name(path);
}

void FakeTree::set_file(const std::string& path, std::string_view text)
{
    nodes_[place_for(path)] = {FakeNode::Kind::file, std::string(text), {}};
}

void FakeTree::set_write_only(const std::string& path)
{
    nodes_[place_for(path)] = {FakeNode::Kind::write_only_file, "", {}};
}

void FakeTree::set_link(const std::string& path, std::string_view target, std::optional<DeviceNumber> number)
{
    nodes_[place_for(path)] = {FakeNode::Kind::link, std::string(target), number};
}

void FakeTree::set_device(const std::string& path, DeviceNumber number)
{
    nodes_[place_for(path)] = {FakeNode::Kind::device, "", number};
}

void FakeTree::set_sysfs_link(const std::string& path, const std::string& target)
{
    const auto place = place_for(path);
    set_link(place, relative(directory_of(place), target));
}

FakeNodes FakeTree::extract(const std::string& path)
{
    FakeNodes taken;
    const auto place = resolve(path, false);
    if (!place) return taken;
    // '0' is the character after '/': between the two lies everything below the directory.
    const auto below = nodes_.lower_bound(*place + '/');
    const auto end = nodes_.lower_bound(*place + '0');
    for (auto node = below; node != end; ++node) taken.insert(*node);
    nodes_.erase(below, end);
    taken.insert(nodes_.extract(*place));
    return taken;
}

void FakeTree::erase(const std::string& path)
{
    extract(path);
}

void FakeTree::put_back(const FakeNodes& nodes)
{
    for (const auto& [path, node] : nodes) nodes_.insert_or_assign(path, node);
}

const FakeNode* FakeTree::find(const std::string& path) const
{
    const auto place = resolve(path);
    return place ? &nodes_.find(*place)->second : nullptr;
}

const FakeNode* FakeTree::find_unfollowed(const std::string& path) const
{
    const auto place = resolve(path, false);
    return place ? &nodes_.find(*place)->second : nullptr;
}

std::string FakeTree::text(const std::string& path) const
{
    const auto* node = find(path);
    if (node == nullptr || node->kind != FakeNode::Kind::file) return "";
    return node->text.ends_with('\n') ? node->text.substr(0, node->text.size() - 1) : node->text;
}

std::vector<std::string> FakeTree::list(const std::string& path) const
{
    std::vector<std::string> names;
    const auto place = resolve(path);
    if (!place) return names;
    const auto start = *place + '/';
    for (auto node = nodes_.lower_bound(start); node != nodes_.end() && node->first.starts_with(start);
         ++node)
        if (const auto name = node->first.substr(start.size()); name.find('/') == std::string::npos)
            names.push_back(name);
    std::sort(names.begin(), names.end());
    return names;
}

} // namespace pvegpu::testing
