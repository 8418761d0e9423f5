// A machine that can only be looked at, read from the fuzzer's text. One fact a line, as in tests/machines:
//   PATH = text      a file, with \n for each line's end
//   PATH = hex 8680  a file of bytes
//   PATH -> target   a symbolic link
//   PATH node c226:1 a device node (b: of a block device), or what a link of /proc/PID/fd stands for
//   PATH has file    a file without a text
// A line that is none of these is no fact. Reading what can block with plain read() is a finding.
#pragma once

#include "fake_tree.hpp"
#include "machine/system.hpp"

namespace pvegpu::fuzz {

class MachineReader : public SysReader {
public:
    explicit MachineReader(std::string_view text);

    std::optional<std::string> read(const std::string& path) const override;
    std::optional<std::string> read_link(const std::string& path) const override;
    std::vector<std::string> list(const std::string& path) const override { return tree_.list(path); }
    std::vector<std::string> list_directories(const std::string& path) const override;
    bool exists(const std::string& path) const override { return tree_.find(path) != nullptr; }
    std::optional<DeviceNumber> device_number(const std::string& path) const override;
    std::int64_t wall_clock() const override { return 1'700'000'000; }
    std::optional<FileFacts> file_facts(const std::string& path) const override;
    SysResult read_within(const std::string& path, std::size_t bytes, Milliseconds timeout) const override;
    std::optional<std::string> read_records(const std::string& path, std::size_t bytes,
                                            Milliseconds timeout) const override;
    SysResult list_inside(const std::string& root, const std::string& directory, const std::string& prefix,
                          Milliseconds timeout) const override;
    SysResult try_claim_within(const std::string& path, Milliseconds timeout) const override;

private:
    testing::FakeTree tree_;
};

} // namespace pvegpu::fuzz
