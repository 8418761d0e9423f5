#include "machine_file.hpp"

#include "base/text.hpp"

#include <fstream>
#include <iterator>
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

void add_file_with_mode(FakeSystem& system, const std::string& path, const std::string& octal)
{
    system.file(path, "");
    system.set_rights(path, 0, static_cast<mode_t>(std::stoul(octal, nullptr, 8)));
}

bool load_line(FakeSystem& system, std::string_view line)
{
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
        tree.set_device(path, number_of(fact.substr(5)));
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
