// Status for programs: CONTRACT.md's status/1.
#include "base/json.hpp"
#include "host/status.hpp"
#include "pci/function_json.hpp"

namespace pvegpu {
namespace {

// Of the first guest that names it.
std::string hostpci_key(const Status& status, const PciAddress& address)
{
    for (const auto& [guest, run] : status.guests)
        if (const auto key = guest.keys.find(address); key != guest.keys.end()) return key->second;
    return "";
}

Json card_json(const Status& status, const Card& card)
{
    Json functions = Json::array();
    for (const auto& address : card.functions) {
        functions.push_back(function_json(status.topology.at(address), hostpci_key(status, address)));
        functions.back()["guests"] = status.guests_of(address);
    }
    return {{"port", or_null(card.port)},
            {"left_alone_because", or_null(card.left_alone_because)},
            {"functions", functions}};
}

Json last_run_json(const std::optional<LastRun>& run)
{
    if (!run) return nullptr;
    return {{"phase", run->phase},
            {"outcome", run->outcome},
            {"started", run->started},
            {"elapsed_ms", run->elapsed_ms},
            {"error", or_null(run->error)}};
}

Json guest_json(const GuestStatus& status)
{
    const auto& guest = status.guest;
    return {{"vmid", guest.vmid},
            {"type", guest.container ? "ct" : "vm"},
            {"hostpci", guest.passed},
            {"hookscript", or_null(guest.config.hookscript)},
            {"attached", guest.attached},
            {"problem", guest.problem ? Json(to_string(*guest.problem)) : Json(nullptr)},
            {"last_run", last_run_json(status.last_run)}};
}

Json host_json(const Status& status)
{
    const auto& host = status.host;
    return {{"node", host.cluster.node},
            {"proxmox", host.proxmox},
            {"kernel", host.kernel},
            {"boot_loader", to_string(host.loader)},
            {"secure_boot", host.secure_boot},
            {"iommu", host.iommu_on},
            {"interrupt_remapping", or_null(host.interrupt_remapping)},
            {"cluster", host.cluster.clustered},
            {"reboot_needed", !status.reboot_reasons.empty()},
            {"reboot_reasons", status.reboot_reasons}};
}

} // namespace

std::string status_json(const Status& status)
{
    Json json{{"schema", "pve-gpu-hook/status/1"}, {"host", host_json(status)}};
    auto& cards = json["cards"] = Json::array();
    for (const auto& card : status.cards) cards.push_back(card_json(status, card));
    auto& guests = json["guests"] = Json::array();
    for (const auto& guest : status.guests) guests.push_back(guest_json(guest));
    auto& journals = json["open_journals"] = Json::array();
    for (const auto& [vmid, paths] : status.open_journals)
        journals.push_back({{"vmid", vmid}, {"to_put_back", paths}});
    return print(json);
}

} // namespace pvegpu
