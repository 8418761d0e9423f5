// Who uses a device: processes, their open files, what the kernel tells of them, disks, networks, USB
// devices, reservations and claims; and who is at work on the PCI bus.
#include "fuzz.hpp"
#include "machine_reader.hpp"
#include "pci/read_function.hpp"
#include "pci/read_topology.hpp"
#include "usage/holders.hpp"
#include "usage/pci_writers.hpp"

using namespace pvegpu;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const fuzz::MachineReader machine(fuzz::text_of(data, size));
    const auto topology = read_topology(machine, list_functions(machine), Milliseconds(1000));
    std::vector<Function> functions;
    for (const auto& [address, function] : topology.functions) functions.push_back(function);
    for (const auto& holder : find_holders(machine, functions, 101)) {
        fuzz::require(topology.find(holder.function) != nullptr);
        fuzz::require_printable(describe(holder));
        fuzz::require_printable(to_string(in_use_message(holder)));
    }
    for (const auto& writer : find_pci_writers(machine)) fuzz::require(!writer.where.empty());
    return 0;
}
