#include "commands/recorder.hpp"

#include "machine/list_inside.hpp"
#include "machine/paths.hpp"

namespace pvegpu {

std::optional<std::string> Recorder::read(const std::string& path) const
{
    auto text = QuietReader::read(path);
    if (text) answers_[path].text = text;
    return text;
}

// A process's open file is its link, and the node that it leads to has the number.
std::optional<std::string> Recorder::read_link(const std::string& path) const
{
    auto target = QuietReader::read_link(path);
    if (!target) return target;
    answers_[path].link = target;
    if (path.starts_with(paths::proc) && target->starts_with(paths::dev))
        if (const auto number = QuietReader::device_number(path)) answers_[*target].device = number;
    return target;
}

std::vector<std::string> Recorder::list(const std::string& path) const
{
    auto names = QuietReader::list(path);
    if (path != paths::proc) // its names are processes, and files that are there on every host
        for (const auto& name : names) answers_.try_emplace(paths::join(path, name));
    return names;
}

bool Recorder::exists(const std::string& path) const
{
    const bool there = QuietReader::exists(path);
    if (there) answers_.try_emplace(path);
    return there;
}

std::optional<DeviceNumber> Recorder::device_number(const std::string& path) const
{
    const auto number = QuietReader::device_number(path);
    if (number) answers_[path].device = number;
    return number;
}

std::optional<FileFacts> Recorder::file_facts(const std::string& path) const
{
    const auto facts = QuietReader::file_facts(path);
    if (facts && facts->regular) answers_[path].mode = facts->mode;
    return facts;
}

SysResult Recorder::read_within(const std::string& path, std::size_t bytes, Milliseconds timeout) const
{
    auto outcome = QuietReader::read_within(path, bytes, timeout);
    if (outcome.done()) answers_[path].text = outcome.text;
    return outcome;
}

std::optional<std::string> Recorder::read_records(const std::string& path, std::size_t bytes,
                                                  Milliseconds timeout) const
{
    auto records = QuietReader::read_records(path, bytes, timeout);
    if (records) answers_[path].text = records;
    return records;
}

SysResult Recorder::list_inside(const std::string& root, const std::string& directory,
                                const std::string& prefix, Milliseconds timeout) const
{
    auto outcome = QuietReader::list_inside(root, directory, prefix, timeout);
    for (const auto& entry : parse_inside(outcome.text)) {
        auto& answers = answers_[paths::join(root + directory, entry.name)];
        if (entry.kind == 'c' || entry.kind == 'b') answers.device = entry.number;
    }
    return outcome;
}

} // namespace pvegpu
