// For each check a machine on which it finds something and one on which it finds nothing.
#pragma once

#include "check/check.hpp"
#include "install_hosts.hpp"

#include <functional>
#include <string>
#include <vector>

namespace pvegpu::testing {

using Build = std::function<void(FakeSystem&)>;

// A Proxmox 9 host whose Arc A310 is well, prepared and passed to VM 101 with the hook; another GPU is the
// host's screen.
void add_healthy_host(FakeSystem& machine);
void add_facts_of_the_host(FakeSystem& machine); // its part without devices and guests
extern const std::string healthy_guest;          // VM 101's configuration

// A file of a function, as below /sys/bus/pci/devices.
void set_attribute(FakeSystem& machine, const std::string& address, const std::string& name,
                   const std::string& text);
void replace_guest(FakeSystem& machine, const std::string& lines);                         // of VM 101
std::string guest_without(const std::string& line_start, const std::string& instead = ""); // the healthy one
void add_to_kernel_log(FakeSystem& machine, const std::string& message);

struct CheckCase {
    std::string check;
    Verdict verdict = Verdict::warning; // the worst that it finds
    Build fires;                        // done to the healthy host
    std::string subject = "host";       // of that finding
    std::string says = "";              // a part of its evidence
    Build quiet = [](FakeSystem&) {};   // done to the healthy host
    bool silent = false;                // it then finds nothing at all, instead of "ok"
    std::string kernel = "6.14.8-2-pve";
    std::string fix = ""; // a part of what to do, of words and command
};

std::vector<CheckCase> host_cases();
std::vector<CheckCase> card_cases();
std::vector<CheckCase> guest_cases();
std::vector<CheckCase> container_cases();
std::vector<CheckCase> instance_cases();
std::vector<CheckCase> log_cases();

} // namespace pvegpu::testing
