// A machine's PCI functions as sysfs has them, from all of its files.
#include "fuzz.hpp"
#include "machine_reader.hpp"
#include "pci/cards.hpp"
#include "pci/read_function.hpp"
#include "pci/read_topology.hpp"

using namespace pvegpu;

namespace {

void check(const Topology& topology, const Card& card)
{
    fuzz::require(!card.functions.empty());
    for (const auto& address : card.functions) fuzz::require(!topology.at(address).bridge);
    if (!card.port) return fuzz::require(!card.left_alone_because.empty());
    fuzz::require(topology.at(*card.port).bridge && !card.top.empty());
    for (const auto& address : card.functions) {
        const auto& above = topology.at(address).above;
        fuzz::require(std::find(above.begin(), above.end(), *card.port) != above.end());
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const fuzz::MachineReader machine(fuzz::text_of(data, size));
    const auto all = list_functions(machine);
    const auto topology = read_topology(machine, all, Milliseconds(1000));
    for (const auto& [address, function] : topology.functions) fuzz::require(function.address == address);
    std::vector<PciAddress> gpus;
    for (const auto& [address, function] : topology.functions)
        if (is_gpu(function)) gpus.push_back(address);
    for (const auto& card : find_cards(topology, gpus)) check(topology, card);
    return 0;
}
