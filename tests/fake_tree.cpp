#include "fake_tree.hpp"

#include <algorithm>
#include <stdexcept>

namespace pvegpu::testing {
namespace {

constexpr unsigned most_links = 40; // as in the kernel (MAXSYMLINKS)

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

std::optional<std::string> FakeTree::resolve(std::string_view path, bool follow_last, unsigned links) const
{
    if (path.empty() || path == "/") return "";
    const std::string asked(path);
    if (follow_last)
        if (const auto known = resolved_.find(asked); known != resolved_.end()) return known->second;
    const auto slash = path.rfind('/');
    const auto above = resolve(path.substr(0, slash == std::string_view::npos ? 0 : slash), true, links);
    const auto name = path.substr(slash + 1);
    if (!above || name.empty() || name == ".") return above;
    if (name == "..") return directory_of(*above);
    std::optional<std::string> place = *above + '/' + std::string(name);
    const auto node = nodes_.find(*place);
    if (node == nodes_.end()) return std::nullopt;
    if (!follow_last) return place;
    if (node->second.kind == FakeNode::Kind::link) {
        if (links == most_links) return std::nullopt;
        const auto& target = node->second.text;
        place = resolve(target.starts_with('/') ? target : *above + '/' + target, true, links + 1);
    }
    if (place) resolved_.emplace(asked, *place);
    return place;
}

void FakeTree::add_directory(const std::string& path)
{
    if (!resolve(path)) put(path, {});
}

void FakeTree::put(const std::string& path, FakeNode node)
{
    const auto above = directory_of(path);
    add_directory(above);
    const auto added =
        nodes_.insert_or_assign(resolve(above).value() + '/' + base_name(path), std::move(node));
    if (!added.second) resolved_.clear();
}

void FakeTree::set_file(const std::string& path, std::string_view text)
{
    put(path, {FakeNode::Kind::file, std::string(text), {}});
}

void FakeTree::set_write_only(const std::string& path)
{
    put(path, {FakeNode::Kind::write_only_file, "", {}});
}

void FakeTree::set_link(const std::string& path, std::string_view target, std::optional<DeviceNumber> number)
{
    put(path, {FakeNode::Kind::link, std::string(target), number});
}

void FakeTree::set_device(const std::string& path, DeviceNumber number)
{
    put(path, {FakeNode::Kind::device, "", number});
}

void FakeTree::set_sysfs_link(const std::string& path, const std::string& target)
{
    const auto above = directory_of(path);
    add_directory(above);
    set_link(path, relative(resolve(above).value(), target));
}

FakeNodes FakeTree::extract(const std::string& path)
{
    FakeNodes taken;
    const auto place = resolve(path, false);
    if (!place) return taken;
    resolved_.clear();
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
    resolved_.clear();
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
