#include "machine_reader.hpp"

#include "base/text.hpp"
#include "fuzz.hpp"

#include <cerrno>
#include <functional>

namespace pvegpu::fuzz {
namespace {

using testing::FakeNode;
using testing::FakeTree;

// The tree is a stand-in for a kernel, which has no other paths.
bool is_path(std::string_view path)
{
    const auto whole = std::string(path) + '/';
    return path.starts_with('/') && whole.find("//") == std::string::npos &&
           whole.find("/./") == std::string::npos && whole.find("/../") == std::string::npos;
}

std::string unescaped(std::string_view text)
{
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool escape = text[i] == '\\' && i + 1 < text.size();
        if (escape) ++i;
        result += escape && text[i] == 'n' ? '\n' : text[i];
    }
    return result;
}

std::string bytes_of(std::string_view hex)
{
    std::string bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
        bytes += static_cast<char>(parse_hex(hex.substr(i, 2)).value_or(0));
    return bytes;
}

std::optional<DeviceNumber> number_in(std::string_view text)
{
    const auto parts = split_once(text.substr(std::min<std::size_t>(1, text.size())), ':');
    const auto major = parts ? parse_decimal(parts->first) : std::nullopt;
    const auto minor = parts ? parse_decimal(parts->second) : std::nullopt;
    if (!major || !minor) return std::nullopt;
    return DeviceNumber{*major, *minor, text.front() == 'b'};
}

void add_node(FakeTree& tree, const std::string& path, std::string_view number)
{
    const auto device = number_in(number);
    const auto* link = tree.find_unfollowed(path);
    if (link != nullptr && link->kind == FakeNode::Kind::link)
        tree.set_link(path, std::string(link->text), device);
    else if (device)
        tree.set_device(path, *device);
}

void add_fact(FakeTree& tree, std::string_view line)
{
    const auto words = split_once(line, ' ');
    if (!words || !is_path(words->first)) return;
    const std::string path(words->first);
    const auto fact = words->second;
    if (fact.starts_with("-> ")) tree.set_link(path, fact.substr(3));
    if (fact.starts_with("= hex ")) return tree.set_file(path, bytes_of(fact.substr(6)));
    if (fact.starts_with("= ")) tree.set_file(path, unescaped(fact.substr(2)));
    if (fact.starts_with("node ")) add_node(tree, path, fact.substr(5));
    if (fact == "has file") tree.set_write_only(path);
}

// As in tests/fake_system.cpp.
bool can_block(std::string_view path)
{
    for (const std::string_view name : {"/config", "/driver_override", "/sriov_numvfs", "/cmdline"})
        if (path.ends_with(name) && path != "/proc/cmdline" && !path.starts_with("/etc/")) return true;
    return path.starts_with("/etc/pve/");
}

} // namespace

MachineReader::MachineReader(std::string_view text)
{
    for (LineReader lines(text); lines.next();) {
        try {
            add_fact(tree_, lines.line());
        } catch (const std::bad_optional_access&) { // below a link that leads nowhere
        }
    }
}

std::optional<std::string> MachineReader::read(const std::string& path) const
{
    require(!can_block(path));
    const auto* node = tree_.find(path);
    if (node == nullptr || node->kind != FakeNode::Kind::file) return std::nullopt;
    return node->text;
}

std::optional<std::string> MachineReader::read_link(const std::string& path) const
{
    const auto* node = tree_.find_unfollowed(path);
    if (node == nullptr || node->kind != FakeNode::Kind::link) return std::nullopt;
    return node->text;
}

std::vector<std::string> MachineReader::list_directories(const std::string& path) const
{
    auto names = tree_.list(path);
    std::erase_if(names, [&](const std::string& name) {
        const auto* node = tree_.find_unfollowed(path + '/' + name);
        return node == nullptr || node->kind != FakeNode::Kind::directory;
    });
    return names;
}

std::optional<DeviceNumber> MachineReader::device_number(const std::string& path) const
{
    const auto* node = tree_.find_unfollowed(path);
    if (node != nullptr && node->number) return node->number;
    node = tree_.find(path);
    return node == nullptr ? std::nullopt : node->number;
}

std::optional<FileFacts> MachineReader::file_facts(const std::string& path) const
{
    const auto place = tree_.resolve(path);
    if (!place) return std::nullopt;
    FileFacts facts{tree_.find(*place)->kind == FakeNode::Kind::file, 0, 0, 0644, {8, 1, true}, 0};
    facts.inode = std::hash<std::string>{}(*place);
    facts.size = tree_.list(*place).size();
    return facts;
}

SysResult MachineReader::read_within(const std::string& path, std::size_t bytes, Milliseconds) const
{
    const auto* node = tree_.find(path);
    if (node == nullptr || node->kind != FakeNode::Kind::file)
        return {SysResult::Kind::refused, ENOENT, "", 0, ""};
    return {SysResult::Kind::done, 0, node->text.substr(0, bytes), 0, ""};
}

std::optional<std::string> MachineReader::read_records(const std::string& path, std::size_t,
                                                       Milliseconds) const
{
    return read(path);
}

// A container's own tree is no file of the host's.
SysResult MachineReader::list_inside(const std::string&, const std::string&, const std::string&,
                                     Milliseconds) const
{
    return {SysResult::Kind::refused, ENOENT, "", 0, ""};
}

SysResult MachineReader::try_claim_within(const std::string& path, Milliseconds) const
{
    if (tree_.find(path) == nullptr) return {SysResult::Kind::refused, ENOENT, "", 0, ""};
    return {};
}

} // namespace pvegpu::fuzz
