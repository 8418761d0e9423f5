// The programs as processes, and a fake machine's files for their '--root'.
#pragma once

#include "install_hosts.hpp"
#include "real_process.hpp"

#include <fcntl.h>
#include <functional>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

namespace pvegpu::testing {

struct Ended {
    int status = 0;
    std::string out, err;
};

// Does not return. 126 if the program cannot be started.
inline int become(const std::string& program, std::vector<std::string> arguments)
{
    arguments.insert(arguments.begin(), program);
    std::vector<char*> argv;
    for (auto& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    execv(program.c_str(), argv.data());
    return 126;
}

inline Ended run_to_end(const std::string& program, const std::vector<std::string>& arguments)
{
    TempDirectory outputs;
    outputs.file("/out", "");
    outputs.file("/err", "");
    TestProcess process([&] {
        dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
        dup2(open(outputs("/out").c_str(), O_WRONLY), STDOUT_FILENO);
        dup2(open(outputs("/err").c_str(), O_WRONLY), STDERR_FILENO);
        return become(program, arguments);
    });
    const int status = process.wait();
    return {status, outputs.text("/out"), outputs.text("/err")};
}

inline Ended run_installer(const std::vector<std::string>& arguments)
{
    return run_to_end(INSTALL_PROGRAM, arguments);
}

inline void put(const TempDirectory& root, const std::string& path, const FakeNode& node)
{
    if (node.kind == FakeNode::Kind::link)
        root.link(path, node.text);
    else if (node.kind != FakeNode::Kind::directory)
        root.file(path, node.text);
    else if (!path_exists(root(path)))
        root.file(path + "/.directory", "");
}

// The fake machine's files below a directory.
struct Tree : TempDirectory {
    explicit Tree(const std::function<void(FakeSystem&)>& more = {})
    {
        FakeSystem machine("6.8.12-4-pve");
        add_arc(machine);
        add_host(machine);
        add_vm(machine, 101, "hostpci0: 0000:03:00.0,pcie=1\nhostpci1: 0000:04:00.0,pcie=1\n");
        if (more) more(machine);
        for (const auto& [path, node] : machine.tree().nodes())
            if (!path.empty() && node.kind != FakeNode::Kind::directory) put(*this, path, node);
        file("/sys/class/iommu/dmar0/uevent", "");
    }

    Ended installer(std::vector<std::string> arguments) const
    {
        arguments.insert(arguments.end(), {"--root", (*this)()});
        return run_installer(arguments);
    }
};

} // namespace pvegpu::testing
