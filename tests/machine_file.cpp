#include "machine_file.hpp"

#include "base/text.hpp"
#include "machine/paths.hpp"

#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <stdexcept>

namespace pvegpu::testing {
namespace {

std::string unescaped(std::string_view text)
{
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool escape = text[i] == '\\' && i + 1 < text.size();
        if (!escape) {
            result += text[i];
            continue;
        }
        ++i;
        result += text[i] == 'n' ? '\n' : text[i];
    }
    return result;
}

std::string bytes_of(std::string_view hex)
{
    std::string bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
        bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
    return bytes;
}

std::string content(std::string_view written)
{
    return written.starts_with("hex ") ? bytes_of(written.substr(4)) : unescaped(written);
}

// "c226:0"
DeviceNumber number_of(std::string_view text)
{
    const auto colon = text.find(':');
    return {parse_decimal(text.substr(1, colon - 1)).value(), parse_decimal(text.substr(colon + 1)).value(),
            text.front() == 'b'};
}

void add_node(FakeSystem& system, const std::string& path, const std::vector<std::string_view>& words)
{
    system.tree().set_device(path, number_of(words.at(0)));
    if (words.size() > 1)
        system.set_rights(path, 0, static_cast<mode_t>(std::stoul(std::string(words[1]), nullptr, 8)));
}

void add_file_with_mode(FakeSystem& system, const std::string& path, const std::string& octal)
{
    system.file(path, "");
    system.set_rights(path, 0, static_cast<mode_t>(std::stoul(octal, nullptr, 8)));
}

using Words = std::map<std::string, std::string, std::less<>>;

// "group=11 driver=i915", from the first of the words on.
Words properties_in(const std::vector<std::string_view>& words, std::size_t first)
{
    Words properties;
    for (std::size_t i = first; i < words.size(); ++i) {
        const auto pair = split_once(words[i], '=').value();
        properties.emplace(pair.first, pair.second);
    }
    return properties;
}

std::string taken(Words& words, std::string_view name)
{
    const auto found = words.find(name);
    if (found == words.end()) return "";
    auto value = found->second;
    words.erase(found);
    return value;
}

std::optional<unsigned> decimal_in(Words& words, std::string_view name)
{
    return parse_decimal(taken(words, name));
}

std::string attribute_of(const std::string& address, const std::string& name)
{
    return paths::function(address_of(address), name);
}

void add_error_counters(FakeSystem& system, const std::string& address)
{
    system.file(attribute_of(address, "aer_dev_correctable"), "RxErr 0\nTOTAL_ERR_COR 0\n");
    system.file(attribute_of(address, "aer_dev_fatal"), "Undefined 0\nTOTAL_ERR_FATAL 0\n");
    system.file(attribute_of(address, "aer_dev_nonfatal"), "Undefined 0\nTOTAL_ERR_NONFATAL 0\n");
}

bool add_told_function(FakeSystem& system, const std::vector<std::string_view>& words)
{
    if (words.size() < 4) return false;
    auto more = properties_in(words, 4);
    const std::string address(words[1]);
    FunctionFacts facts;
    facts.vendor = static_cast<std::uint16_t>(parse_hex(words[2].substr(0, 4)).value());
    facts.device = static_cast<std::uint16_t>(parse_hex(words[2].substr(5)).value());
    facts.class_code = static_cast<std::uint32_t>(parse_hex(words[3]).value());
    facts.driver = taken(more, "driver");
    facts.group = decimal_in(more, "group");
    if (facts.class_code >> 16U == 3) { // a GPU's memory lies above 4 GiB
        const auto place = 0x60 + system.list(std::string(paths::pci_functions)).size();
        facts.bars = {{0, std::uint64_t{place} << 32U, 0x10000000, true}};
    }
    if (const auto boot = decimal_in(more, "boot_vga")) facts.boot_vga = *boot == 1;
    if (const auto methods = taken(more, "reset"); !methods.empty()) {
        facts.reset_methods.clear();
        for (const auto method : split(methods, ','))
            if (method != "none") facts.reset_methods.emplace_back(method);
    }
    if (const auto parent = taken(more, "of"); !parent.empty())
        system.add_virtual_function(parent, address, facts);
    else
        system.add_function(taken(more, "below"), address, facts);
    if (!address.starts_with("0000:00:")) add_error_counters(system, address); // what is integrated has none
    return more.empty();
}

bool add_told_bridge(FakeSystem& system, const std::vector<std::string_view>& words)
{
    if (words.size() < 2) return false;
    auto more = properties_in(words, 2);
    BridgeFacts facts;
    if (const auto bus = taken(more, "bus"); !bus.empty())
        facts.secondary_bus = static_cast<std::uint8_t>(parse_hex(bus).value());
    facts.pciehp = decimal_in(more, "pciehp") == 1U;
    facts.group = decimal_in(more, "group");
    const std::string address(words[1]);
    system.add_bridge(taken(more, "below"), address, facts);
    add_error_counters(system, address);
    for (const auto* end : {"current_link", "max_link"}) {
        system.file(attribute_of(address, end + std::string("_width")), "16\n");
        system.file(attribute_of(address, end + std::string("_speed")), "16.0 GT/s PCIe\n");
    }
    return more.empty();
}

bool load_line(FakeSystem& system, std::string_view line)
{
    if (line.starts_with("function ")) return add_told_function(system, words_of(line));
    if (line.starts_with("bridge ")) return add_told_bridge(system, words_of(line));
    auto& tree = system.tree();
    const auto end = line.find(' ');
    if (line.empty() || line.front() != '/' || end == std::string_view::npos) return false;
    const std::string path(line.substr(0, end));
    const auto fact = line.substr(end + 1);
    if (fact.starts_with("-> "))
        tree.set_link(path, fact.substr(3));
    else if (fact == "has file")
        tree.set_write_only(path);
    else if (fact.starts_with("node "))
        add_node(system, path, words_of(fact.substr(5)));
    else if (fact.starts_with("has mode "))
        add_file_with_mode(system, path, std::string(fact.substr(9)));
    else if (fact == "is absent")
        tree.erase(path);
    else if (fact.starts_with("="))
        tree.set_file(path, content(fact.substr(fact.size() > 1 ? 2 : 1)));
    else
        return false;
    return true;
}

} // namespace

void load_machine(FakeSystem& system, std::string_view text)
{
    std::istringstream lines{std::string(text)};
    std::string line;
    for (unsigned number = 1; std::getline(lines, line); ++number) {
        if (line.empty() || line.front() == '#') continue;
        if (!load_line(system, line))
            throw std::runtime_error("line " + std::to_string(number) +
                                     " of the machine is no fact: " + line);
    }
    system.learn_drivers();
}

void load_machine_file(FakeSystem& system, const std::string& file)
{
    std::ifstream in(file);
    if (!in) throw std::runtime_error("cannot read '" + file + "'");
    load_machine(system, std::string(std::istreambuf_iterator<char>(in), {}));
}

} // namespace pvegpu::testing
