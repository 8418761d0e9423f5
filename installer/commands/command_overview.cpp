// pve-gpu-install without a command.
#include "base/lists.hpp"
#include "base/text.hpp"
#include "commands/command_status.hpp"
#include "commands/commands.hpp"
#include "host/status.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

// "Intel Arc A310, 0000:03:00.0", of each of its GPUs; empty if it has none.
std::string gpus_of(const Status& status, const SurveyedGuest& guest)
{
    std::vector<std::string> gpus;
    for (const auto& card : status.cards)
        for (const auto& address : card.functions)
            if (contains(guest.passed, address) && is_gpu(status.topology.at(address)))
                gpus.push_back(with_name(status.names, address));
    return join(gpus, " and ");
}

std::string aligned(std::string left, const std::string& right)
{
    constexpr std::size_t width = 38;
    left.resize(std::max(left.size() + 2, width), ' ');
    return "  " + left + right + "\n";
}

} // namespace

int overview(Session& session)
{
    const auto status = read_status(session.system);
    std::string guests;
    std::optional<Guest> without_hook, with_hook;
    for (const auto& [guest, run] : status.guests) {
        const auto gpus = gpus_of(status, guest);
        if (gpus.empty()) continue;
        guests += aligned(guest.id.name() + (guest.config.is_template ? "  a template, which never starts"
                                             : guest.id.is_instance() && guest.attached ? "  prepared"
                                             : guest.id.is_instance()                   ? "  not prepared"
                                             : guest.attached ? "  the hook is attached"
                                                              : "  the hook is not attached"),
                          gpus);
        if (guest.config.is_template) continue;
        auto& first = guest.attached ? with_hook : without_hook;
        if (!first) first = guest.id;
    }
    const auto vm = without_hook ? *without_hook : with_hook.value_or(Guest{101, GuestKind::vm});
    std::string text =
        guests.empty() ? "No guest of this node has a GPU: a VM gets one by Hardware > Add > PCI Device.\n"
                       : "Guests with a GPU\n" + guests;
    text += "\nWhat can be done\n";
    if (without_hook || guests.empty())
        text += aligned(vm.install_command(),
                        vm.is_instance() ? "prepare the host, and give " + vm.name() + " all of the card"
                                         : "prepare the host and attach the hook to " + vm.name());
    if (with_hook)
        text += aligned("pve-gpu-install try " + with_hook->option(),
                        "recover its GPU twice, with the VM stopped");
    text += aligned("pve-gpu-install check", "what is wrong with this host, and how to fix it") +
            aligned("pve-gpu-install status", "cards, guests, the hook's last runs") +
            aligned("pve-gpu-install --help", "all commands and options");
    session.document = status_json(status);
    session.console.print(text);
    return exit_usage;
}

} // namespace pvegpu
