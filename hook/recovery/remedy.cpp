#include "recovery/remedy.hpp"

namespace pvegpu {
namespace {

std::string remedy(const Holder& holder)
{
    switch (holder.kind) {
    case Holder::Kind::mount:
        return "unmount it, or take the device out of the guest's hostpci lines";
    case Holder::Kind::network:
        return "take the interface down, or take the device out of the guest's hostpci lines";
    case Holder::Kind::usb:
        return "unplug it, or pass the controller to the guest too";
    case Holder::Kind::claim:
        return "wait until that VM has started, or end that process";
    case Holder::Kind::reservation: // from its start on, and as long as it runs
        return "wait if it is starting, else stop it first";
    case Holder::Kind::vfio:
        if (!holder.pid) return "stop the VM that had it last, else the host has to be rebooted";
        break;
    case Holder::Kind::process:
        break;
    }
    return "stop it first";
}

} // namespace

Advice in_use_message(const Holder& holder)
{
    return {quote(holder.function) + " is in use by " + describe(holder), remedy(holder)};
}

} // namespace pvegpu
