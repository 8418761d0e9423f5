// What a program reads of a host, written down while it reads.
#pragma once

#include "check/quiet_reader.hpp"

#include <map>
#include <optional>
#include <string>

namespace pvegpu {

// All that was answered about one path; nothing of it: no more than that it is there.
struct Answers {
    std::optional<std::string> text, link;
    std::optional<DeviceNumber> device;
    std::optional<mode_t> mode; // of a regular file
};

// What is absent is not written down, and of a directory the names in it.
class Recorder : public QuietReader {
public:
    using QuietReader::QuietReader;

    const std::map<std::string, Answers>& answers() const { return answers_; } // by path

    std::optional<std::string> read(const std::string& path) const override;
    std::optional<std::string> read_link(const std::string& path) const override;
    std::vector<std::string> list(const std::string& path) const override;
    bool exists(const std::string& path) const override;
    std::optional<DeviceNumber> device_number(const std::string& path) const override;
    std::optional<FileFacts> file_facts(const std::string& path) const override;
    SysResult read_within(const std::string& path, std::size_t bytes, Milliseconds timeout) const override;
    std::optional<std::string> read_records(const std::string& path, std::size_t bytes,
                                            Milliseconds timeout) const override;
    SysResult list_inside(const std::string& root, const std::string& directory, const std::string& prefix,
                          Milliseconds timeout) const override;

private:
    mutable std::map<std::string, Answers> answers_;
};

} // namespace pvegpu
