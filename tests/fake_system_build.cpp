// The verbs that build the fake machine and its processes.
#include "fake_system.hpp"

#include "machine/paths.hpp"

#include <stdexcept>

namespace pvegpu::testing {

FakeReturn& FakeSystem::add_bridge(const std::string& parent, const std::string& address,
                                   const BridgeFacts& facts)
{
    auto& behaviour = pci_.add_bridge(parent, address, facts);
    if (!facts.driver.empty()) drivers_.attach(facts.driver, address_of(address));
    if (facts.pciehp) kernel_.add_pciehp_service(address_of(address));
    return behaviour;
}

FakeReturn& FakeSystem::add_function(const std::string& parent, const std::string& address,
                                     const FunctionFacts& facts)
{
    auto& behaviour = pci_.add_function(parent, address, facts);
    const auto where = address_of(address);
    if (facts.driver.empty()) return behaviour;
    // A driver that was not added yet knows this one device. vfio-pci was told by somebody.
    if (is_vfio_driver(facts.driver))
        drivers_.add_driver(facts.driver, {});
    else if (!exists(paths::driver(facts.driver)))
        drivers_.add_driver(facts.driver, {pci_.id(where)});
    drivers_.attach(facts.driver, where);
    return behaviour;
}

void FakeSystem::add_virtual_function(const std::string& physical, const std::string& address,
                                      const FunctionFacts& facts)
{
    const auto parent = base_name(directory_of(pci_.directory(address_of(physical))));
    add_function(parse_pci_address(parent) ? parent : "", address, facts);
    const auto above = pci_.directory(address_of(physical));
    const auto own = pci_.directory(address_of(address));
    std::size_t number = 0;
    while (tree_.find_unfollowed(above + "/virtfn" + std::to_string(number)) != nullptr) ++number;
    tree_.set_sysfs_link(above + "/virtfn" + std::to_string(number), own);
    tree_.set_sysfs_link(own + "/physfn", above);
}

// A group's /dev/vfio node is made when a function of it is bound.
void FakeSystem::set_group(unsigned group, const std::vector<std::string>& addresses)
{
    std::vector<std::pair<PciAddress, std::string>> on_vfio;
    for (const auto& text : addresses)
        if (const auto driver = driver_of(text); is_vfio_driver(driver))
            on_vfio.emplace_back(address_of(text), driver);
    for (const auto& [address, driver] : on_vfio) drivers_.release(address);
    pci_.set_group(group, addresses);
    for (const auto& [address, driver] : on_vfio) drivers_.attach(driver, address);
}

void FakeSystem::without_iommu_group(const std::string& address)
{
    pci_.forget_group(address_of(address));
}

void FakeSystem::add_driver(const std::string& name, const std::vector<std::string>& ids)
{
    drivers_.add_driver(name, ids);
}

void FakeSystem::add_node(const std::string& address, const std::string& below, const std::string& node,
                          DeviceNumber number)
{
    drivers_.add_node(address_of(address), below, node, number);
}

// --- processes ---

void FakeSystem::add_process(pid_t pid, const std::string& comm, const std::map<int, OpenFile>& files,
                             pid_t parent, std::uint64_t start_time)
{
    file(paths::process(pid, "comm"), comm + '\n');
    // Field 4 is the parent, field 22 the start time: proc(5).
    file(paths::process(pid, "stat"), std::to_string(pid) + " (" + comm + ") S " + std::to_string(parent) +
                                          " 0 0 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 " +
                                          std::to_string(start_time) + " 0 0\n");
    file(paths::process(pid, "wchan"), "0");
    file(paths::process(pid, "stack"), "");
    tree_.add_directory(paths::process(pid, "fd"));
    for (const auto& [number, open] : files) {
        tree_.set_link(paths::process(pid, "fd/" + std::to_string(number)), open.target,
                       open.number ? open.number : device_number(open.target));
        file(paths::process(pid, "fdinfo/" + std::to_string(number)),
             "pos:\t0\nflags:\t02000002\n" + open.fdinfo);
    }
}

void FakeSystem::end_process(pid_t pid)
{
    tree_.erase(paths::process(pid));
}

void FakeSystem::set_task_state(pid_t pid, char state, const std::string& wchan, const std::string& stack)
{
    auto stat = read(paths::process(pid, "stat")).value();
    stat.at(stat.rfind(')') + 2) = state;
    file(paths::process(pid, "stat"), stat);
    file(paths::process(pid, "wchan"), wchan);
    file(paths::process(pid, "stack"), stack);
}

// vfio_pci_core uses the module, too.
void FakeSystem::count_vfio_users()
{
    file(std::string(paths::vfio_references), std::to_string(1 + opened_by_.size()) + '\n');
}

// What /proc shows of a QEMU with the function: LAB.md, "/proc/PID/fdinfo of a vfio device fd".
void FakeSystem::open_vfio(const std::string& address, pid_t pid, const std::string& comm,
                           std::optional<unsigned> vmid)
{
    const auto where = address_of(address);
    const auto group = "/dev/vfio/" + pci_.group(where);
    if (!device_number(group)) throw std::logic_error(address + " is not on a vfio driver");
    const bool tells = text(std::string(paths::kernel_release)) >= "7"; // from 6.18 on, in truth
    const auto syspath = "vfio-device-syspath: " + pci_.directory(where) + '\n';
    add_process(pid, comm,
                {{10, {"/dev/vfio/vfio", DeviceNumber{10, 196, false}, ""}},
                 {11, {group, device_number(group), ""}},
                 {12, {"anon_inode:[vfio-device]", {}, tells ? syspath : ""}}});
    if (vmid) file(paths::pve_pid_file(*vmid), std::to_string(pid) + '\n');
    opened_by_[address] = pid;
    count_vfio_users();
    drivers_.open(where);
}

void FakeSystem::open_vfio_cdev(const std::string& address, pid_t pid, const std::string& comm)
{
    const auto where = address_of(address);
    const auto names = list(pci_.directory(where) + "/vfio-dev");
    const auto node = "/dev/vfio/devices/" + (names.empty() ? "" : names.front());
    if (!device_number(node)) throw std::logic_error(address + " has no vfio character device");
    add_process(pid, comm, {{11, {node, device_number(node), ""}}});
    opened_by_[address] = pid;
    count_vfio_users();
    drivers_.open(where);
}

void FakeSystem::close_vfio(const std::string& address)
{
    if (const auto pid = opened_by_.find(address); pid != opened_by_.end()) end_process(pid->second);
    opened_by_.erase(address);
    count_vfio_users();
    drivers_.close(address_of(address));
    finish_blocked();
}

} // namespace pvegpu::testing
