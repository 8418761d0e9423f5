#include "commands/command_status.hpp"
#include "base/error.hpp"
#include "base/json.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "commands/commands.hpp"
#include "commands/instances.hpp"
#include "machine/paths.hpp"
#include "pci/function_json.hpp"

#include <algorithm>

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
        functions.back()["name"] = or_null(device_name(status.names, address));
        functions.back()["guests"] = status.numbers_of(address);
        functions.back()["instances"] = status.instances_of(address);
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
    const bool named = guest.id.is_instance();
    return {{"vmid", named ? Json(nullptr) : Json(guest.id.vmid)},
            {"instance", or_null(guest.id.instance)},
            {"type", guest.id.type()},
            {"hostpci", guest.passed},
            {"hookscript", or_null(guest.config.hookscript)},
            {"attached", guest.attached},
            {"template", guest.config.is_template},
            {"running", guest.running},
            {"started_bare", guest.started_bare},
            {"problem", guest.problem ? Json(to_string(*guest.problem)) : Json(nullptr)},
            {"last_run", last_run_json(status.last_run)}};
}

Json host_json(const Status& status)
{
    const auto& host = status.host;
    return {{"node", host.cluster.node},
            {"proxmox", host.proxmox},
            {"daemons", status.daemons},
            {"kernel", host.kernel},
            {"boot_loader", to_string(host.loader)},
            {"secure_boot", host.secure_boot},
            {"iommu", host.iommu_on},
            {"interrupt_remapping", or_null(host.interrupt_remapping)},
            {"cluster", host.cluster.clustered},
            {"reboot_needed", !status.reboot_reasons.empty()},
            {"reboot_reasons", status.reboot_reasons}};
}

class Painter {
public:
    explicit Painter(const Screen& screen) : screen_(screen) {}

    std::string good(const std::string& text) const { return screen_.painted(text, Colour::green); }
    std::string bad(const std::string& text) const { return screen_.painted(text, Colour::red); }
    std::string title(const std::string& text) const { return screen_.painted(text, Colour::bold); }

private:
    const Screen& screen_;
};

std::string padded(std::string text, std::size_t width)
{
    text.resize(std::max(text.size(), width), ' ');
    return text;
}

std::string link_of(const Function& function)
{
    if (!function.config || function.config->link_width == 0) return "";
    return "  link x" + std::to_string(function.config->link_width);
}

std::string resets_of(const Function& function)
{
    return function.reset_methods.empty() ? "no reset" : "reset: " + join(function.reset_methods, " ");
}

std::string group_of(const Function& function)
{
    return function.iommu_group ? "group " + std::to_string(*function.iommu_group) : "no group";
}

std::string guests_of(const Status& status, const Function& function)
{
    std::string text;
    for (const auto& guest : status.guests_of(function.address)) text += "  " + guest.name();
    return text;
}

std::string function_line(const Status& status, const Function& function, const Painter& paint)
{
    const auto driver = padded(function.driver.empty() ? "-" : printable(function.driver), 13);
    return "  " + to_string(function.address) + "  " + device_id(function) + "  " +
           padded(class_word(function), 7) + (function.driver == "vfio-pci" ? paint.good(driver) : driver) +
           "  " + padded(group_of(function), 9) + "  " + resets_of(function) + guests_of(status, function) +
           "\n";
}

// Of its GPU: what the card is sold as.
std::string name_of_card(const Status& status, const Card& card)
{
    for (const auto& address : card.functions)
        if (auto name = device_name(status.names, address);
            !name.empty() && is_gpu(status.topology.at(address)))
            return name;
    return "Card";
}

std::string card_text(const Status& status, const Card& card, const Painter& paint)
{
    std::string text = paint.title(name_of_card(status, card));
    if (card.port) {
        const auto& port = status.topology.at(*card.port);
        text += " below port " + to_string(*card.port) + link_of(port) + "\n";
        for (const auto& bridge : card.switches) text += "  " + to_string(bridge) + "  switch\n";
    } else {
        text += " without a port of its own: " + printable(card.left_alone_because) + "\n";
    }
    for (const auto& address : card.functions)
        text += function_line(status, status.topology.at(address), paint);
    return text;
}

std::string last_run_text(const std::optional<LastRun>& run, const Painter& paint)
{
    if (!run) return "never ran since the host was started";
    const bool well = run->outcome != "failed" && run->outcome != "refused";
    const auto outcome = printable(run->outcome);
    return (well ? paint.good(outcome) : paint.bad(outcome)) + " in " + std::to_string(run->elapsed_ms) +
           " ms, " + printable(run->phase) + " at " + printable(run->started) +
           (run->error.empty() ? "" : ": " + printable(run->error));
}

std::string guest_text(const GuestStatus& status, const Painter& paint)
{
    const auto& guest = status.guest;
    const auto name = guest.id.short_name();
    std::string text = "  " + padded(name, std::max<std::size_t>(8, name.size() + 1)) +
                       (guest.attached ? paint.good("attached    ") : "not attached") + "  ";
    const auto started_by = "'pve-gpu-install start --incus " + guest.id.instance + "' starts it";
    text += guest.config.is_template ? "a template, which never starts"
            : guest.started_bare     ? paint.bad("runs, not started by us") + ": its card was not recovered"
            : guest.id.is_instance() && !(guest.attached && status.last_run) ? started_by
            : guest.attached                  ? last_run_text(status.last_run, paint)
            : guest.config.hookscript.empty() ? "no hookscript"
                                              : "hookscript " + quote(guest.config.hookscript);
    if (guest.problem) text += "; " + paint.bad(printable(to_string(*guest.problem)));
    return text + "\n";
}

std::string host_text(const Status& status, const Painter& paint)
{
    const auto& host = status.host;
    auto managers = status.daemons;
    if (host.is_proxmox()) managers.insert(managers.begin(), "Proxmox VE " + printable(host.proxmox));
    return paint.title("Host") + "  " + (managers.empty() ? "" : join(managers, ", ") + ", ") + "Linux " +
           printable(host.kernel) + ", " + (host.loader == BootLoader::unknown ? "boot loader " : "") +
           to_string(host.loader) + (host.secure_boot ? ", Secure Boot" : "") + ", IOMMU " +
           (host.iommu_on ? paint.good("on") : paint.bad("off")) +
           (host.interrupt_remapping == false ? paint.bad(" without interrupt remapping") : "") + "\n";
}

std::string name_asked(const Options& options, unsigned number)
{
    for (const auto& name : options.instances)
        if (number_of(name) == number) return name.vm();
    return "guest " + std::to_string(number);
}

std::string daemons_text(const Status& status, const Painter& paint)
{
    std::string text;
    if (status.daemon_problem)
        text += paint.bad("not seen") + ": " + printable(to_string(*status.daemon_problem)) + "\n";
    for (const auto& name : status.silent)
        text += paint.bad("not seen") + ": VM " + quote(name) + ", whose QEMU does not answer\n";
    for (const auto& taken : status.taken)
        text += paint.bad("open start") + ": VM " + quote(taken.name.text()) +
                " is without its devices, for a start that is at work or was killed half-way; "
                "'pve-gpu-install start --incus " +
                taken.name.text() + "' puts them back\n";
    return text;
}

} // namespace

int status(Session& session)
{
    const auto& options = session.options;
    require_host_of(session.system, options);
    const auto vmids = options.guests();
    auto all = read_status(session.system);
    for (const auto vmid : vmids)
        if (std::ranges::none_of(all.guests, [&](const auto& one) { return one.guest.id.vmid == vmid; }))
            throw Error(ErrorKind::not_found,
                        {name_asked(options, vmid) + " has neither a 'hostpci' line nor the hook",
                         "see 'pve-gpu-install status'"});
    const auto found = narrowed(std::move(all), vmids);
    session.document = status_json(found);
    session.console.print(print_status(found, session.console.screen()));
    return exit_done;
}

Status narrowed(Status status, const std::vector<unsigned>& vmids)
{
    if (vmids.empty()) return status;
    std::erase_if(status.guests, [&](const GuestStatus& one) { return !contains(vmids, one.guest.id.vmid); });
    std::erase_if(status.cards, [&](const Card& card) {
        return std::ranges::all_of(card.functions,
                                   [&](const PciAddress& one) { return status.guests_of(one).empty(); });
    });
    return status;
}

Json status_json(const Status& status)
{
    Json json{{"schema", "pve-gpu-hook/status/1"}, {"host", host_json(status)}};
    auto& cards = json["cards"] = Json::array();
    for (const auto& card : status.cards) cards.push_back(card_json(status, card));
    auto& guests = json["guests"] = Json::array();
    for (const auto& guest : status.guests) guests.push_back(guest_json(guest));
    auto& journals = json["open_journals"] = Json::array();
    for (const auto& [vmid, guest, paths] : status.open_journals)
        journals.push_back({{"vmid", vmid}, {"guest", guest}, {"to_put_back", paths}});
    auto& starts = json["open_starts"] = Json::array();
    for (const auto& taken : status.taken) starts.push_back(taken.name.text());
    return json;
}

std::string print_status(const Status& status, const Screen& screen)
{
    const Painter paint(screen);
    auto text = host_text(status, paint);
    for (const auto& reason : status.reboot_reasons)
        text += paint.bad("reboot needed") + ": " + printable(reason) + "\n";
    for (const auto& journal : status.open_journals)
        text +=
            paint.bad("open journal") + ": a start of " + journal.guest +
            " is at work or was killed half-way; the next start of any guest puts back " +
            (journal.paths.empty() ? "what it left" : "'" + printable(join(journal.paths, "', '")) + "'") +
            "\n";
    text += daemons_text(status, paint);
    for (const auto& card : status.cards) text += "\n" + card_text(status, card, paint);
    if (status.cards.empty()) text += "\nno GPU is on this host\n";
    text += "\n" + paint.title("Guests") + "\n";
    for (const auto& guest : status.guests) text += guest_text(guest, paint);
    if (status.guests.empty()) text += "  none has a 'hostpci' line\n";
    return text;
}

} // namespace pvegpu
